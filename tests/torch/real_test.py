# SPDX-License-Identifier: MIT
"""What the tool says of real PyTorch. By hand: tests/torch/run.sh."""

import json
import os
import signal
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../e2e"))

import harness  # noqa: E402
from harness import Hist, Program, TestCase, TOOL, run, wait_until  # noqa: E402

ROOT = os.environ.get("WAITPROBE_TORCH_ROOT")
LIBRARY = os.path.abspath(harness.built("libwaitprobe_torch.so"))
IN_ROOT = ["chroot", ROOT] if ROOT else []
# Debian builds PyTorch without libuv, which torchrun insists on: what it would do is done here.
TWO_RANKS = "for RANK in 0 1; do export RANK; python3 -B \"$@\" & done; wait -n && wait -n"
ENVIRONMENT = {"USE_LIBUV": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29517", "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}


def with_torch(*words):
    """A command that finds PyTorch."""
    return [*IN_ROOT, TOOL, "run", "--torch", "--track", "--", *words]


def training(*words):
    return with_torch("bash", "-c", TWO_RANKS, "bash", os.path.join(HERE, "train.py"), *words)


class Training(TestCase):
    """Two ranks of gloo that meet at a barrier; each has a data loader with two workers. Rank 1 is the slower."""

    def setUp(self):
        super().setUp()
        os.environ.update(ENVIRONMENT)
        # In the folder of the build, which is there inside and outside.
        folder = tempfile.TemporaryDirectory(dir=harness.BUILD)
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def truth(self):
        """What the processes have counted themselves: {(rank, key): count}."""
        truth = {}
        for name in os.listdir(self.folder):
            with open(os.path.join(self.folder, name), encoding="ascii") as file:
                one = json.load(file)
            for key, count in one["counts"].items():
                truth[one["rank"], key] = truth.get((one["rank"], key), 0) + count
        return truth

    def test_every_wait_of_every_rank_and_worker_is_counted(self):
        tool = self.started(Hist("--by-env", "RANK", "--", *training(self.folder)))
        self.assertEqual(tool.wait(), 0)
        counts = self.assert_counted(tool.last())
        of_torch = {key for rank, key in counts if key.startswith("pytorch.") and rank == "0"}
        self.assertLessEqual({"pytorch.wait_counter.TCPStore__init", "pytorch.wait_counter.c10d.init_process_group"}, of_torch)

    def assert_counted(self, snapshot):
        """All that the ranks and their workers have counted themselves; rank 1 comes last."""
        counts = {}
        for series in snapshot["series"]:
            place = series.get("group"), series["key"]
            counts[place] = counts.get(place, 0) + series["count"]
        truth = self.truth()
        self.assertEqual(truth["0", "train.barrier"], 40)
        self.assertEqual(truth["0", "dataset.read"], 160)
        self.assertEqual({place: counts.get(place) for place in truth}, truth)
        self.assert_all_seen(snapshot)
        (spread,) = [spread for spread in snapshot["spread"] if spread["key"] == "train.barrier"]
        self.assertEqual((spread["least"]["group"], spread["most"]["group"]), ("1", "0"), "rank 1 comes last")
        return counts

    def test_table(self):
        tool = self.started(Hist("--by-env", "RANK", "--", *training(self.folder), json_output=False))
        self.assertEqual(tool.wait(), 0)
        self.assertIn("train.barrier", tool.out)
        print("\n" + tool.out[tool.out.index("key "):])

    def test_recordings_of_two_nodes(self):
        with tempfile.TemporaryDirectory() as folder:
            recordings = [os.path.join(folder, f"node{rank}.jsonl") for rank in (0, 1)]
            nodes = []
            for rank, recording in enumerate(recordings):
                recorded = [TOOL, "record", "--by-env", "RANK", "-o", recording, "--",
                            *with_torch("python3", "-B", os.path.join(HERE, "train.py"), self.folder)]
                node = ["unshare", "--uts", "sh", "-c", f'hostname node{rank} && exec "$@"', "sh", *recorded]
                nodes.append(self.started(Program(node, env={"RANK": str(rank)})))
            self.assertEqual([node.wait() for node in nodes], [0, 0])
            report = [TOOL, "report", "--by-env", "RANK", *recordings]
            self.assert_counted(harness.last_line(run(*report, "--json").out))
            print("\n" + run(*report).out)

    def test_which_rank_does_not_come(self):
        hung = self.started(Program(training(self.folder, "hang"), start_new_session=True))
        found = {}

        def is_stuck():
            stuck = run(TOOL, "stuck", "--json", "--older", "1s", "-f", LIBRARY, "--by-env", "RANK")
            if stuck.process.returncode == 3:
                found.update(json.loads(stuck.out))
            return "train.barrier" in [wait["key"] for wait in found.get("open", [])]

        wait_until(is_stuck, "rank 0 waits at the barrier")
        print("\n" + run(TOOL, "stuck", "--older", "1s", "-f", LIBRARY, "--by-env", "RANK", "--stack").out)
        (barrier,) = [wait for wait in found["open"] if wait["key"] == "train.barrier"]
        self.assertEqual((barrier["group"], found["groups_without"]), ("0", ["1"]))
        os.killpg(hung.pid, signal.SIGKILL)


class Compiler(TestCase):
    def test_keys_of_the_compiler_measure_work(self):
        program = ("import torch; f = torch.compile(torch.nn.Linear(64, 64)); "
                   "print(f(torch.ones(8, 64)).shape)")
        tool = self.started(Hist("--", *with_torch("python3", "-c", program)))
        self.assertEqual(tool.wait(120), 0)
        self.assertIn("pytorch.wait_counter.dynamo_compile", tool.counts())
        classes = {one["key"]: one["class"] for one in tool.last()["series"]}
        self.assertEqual({key for key, one in classes.items() if key.endswith("_compile") and one != "work"}, set(), classes)
        self.assert_all_seen(tool.last())


class Header(TestCase):
    """tests/runtime/c10_test.cpp, which passes on our c10/util/WaitCounter.h, on PyTorch's own."""

    # PyTorch 2.6 has only the two other macros.
    WITH = "-DWITH_WAIT_COUNTER(k,...)=([&]() -> decltype(auto) { STATIC_SCOPED_WAIT_COUNTER(k); return __VA_ARGS__; }())"

    @unittest.skipUnless(ROOT, "the headers of this machine's PyTorch may be anywhere")
    def test_same_code_behaves_the_same(self):
        with tempfile.TemporaryDirectory(dir=harness.BUILD) as folder:
            program = os.path.join(folder, "c10_tests")
            built = self.started(Program(["chroot", ROOT, "g++", "-std=c++17", "-O1", self.WITH, os.path.join(HERE, "../runtime/c10_test.cpp"),
                                          "-o", program, "-lgmock", "-lgtest", "-lgtest_main", "-lc10"]))
            self.assertEqual(built.wait(), 0)
            tests = [line.strip() for line in run("chroot", ROOT, program, "--gtest_list_tests").out.splitlines() if line.startswith("  ")]
            self.assertGreater(len(tests), 5)
            for test in tests:  # each by itself: a factory, once registered, stays
                ran = self.started(Program(["chroot", ROOT, program, f"--gtest_filter=C10.{test}"]))
                self.assertEqual(ran.wait(), 0)
                self.assertIn("[  PASSED  ] 1 test.", ran.out)


class Python(TestCase):
    def test_wait_counter_of_a_script(self):
        program = ("import time; from torch.monitor import _WaitCounter\n"
                   "for i in range(10):\n"
                   "  with _WaitCounter('my.key').guard(): time.sleep(0.01)\n"
                   "  with _WaitCounter('my.' + 'k\\0y').guard(): pass\n")
        tool = self.started(Hist("--", *with_torch("python3", "-c", program)))
        self.assertEqual(tool.wait(), 0)
        series = {one["key"]: one for one in tool.last()["series"]}
        self.assertEqual(series["my.key"]["count"], 10)
        self.assertGreaterEqual(series["my.key"]["min_ns"], 10_000_000)
        self.assertEqual(series["my.k\0y"]["count"], 10)

    def test_doctor_knows_whether_it_has_its_backend(self):
        program = ("import time; from torch.monitor import _WaitCounter\n"
                   "with _WaitCounter('my.key').guard(): pass\n"
                   "print('ready', flush=True); time.sleep(600)\n")
        for words, status in ((with_torch("python3", "-c", program), "ok"), ((*IN_ROOT, "python3", "-c", program), "warning")):
            script = self.started(Program(words))
            wait_until(lambda: "ready" in script.out or script.process.poll() is not None, f"it is ready: {script}")
            told = json.loads(run(TOOL, "doctor", "--json", "-p", script.pid).out)
            (check,) = [check for check in told["findings"][-1]["checks"] if check["name"] == "PyTorch"]
            self.assertEqual(check["status"], status, check)

    def test_loaded_by_the_script_itself(self):
        program = (f"import ctypes; ctypes.CDLL({LIBRARY!r}, mode=ctypes.RTLD_GLOBAL)\n"
                   "from torch.monitor import _WaitCounter\n"
                   "for i in range(10):\n"
                   "  with _WaitCounter('my.key').guard(): pass\n")
        tool = self.started(Hist("--", *IN_ROOT, "python3", "-c", program))
        self.assertEqual(tool.wait(), 0)
        self.assertEqual(tool.counts()["my.key"], 10)
        self.assert_all_seen(tool.last())


if __name__ == "__main__":
    harness.main()
