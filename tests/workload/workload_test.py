# SPDX-License-Identifier: MIT
"""The workload itself: what the other tests take for the truth adds up without any tracer."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))

import harness  # noqa: E402
from harness import TestCase, Workload, built, last_line, run, wait_until  # noqa: E402
from truth import Truth as TruthFile  # noqa: E402

PROGRAMS = ("waitprobe-workload", "waitprobe-workload-shared")


class Truth(TestCase):
    def truth(self, *options, program="waitprobe-workload"):
        ran = run(built(program), *options)
        self.assertEqual(ran.process.returncode, 0, ran)
        return last_line(ran.out)["keys"]

    def test_waits_are_spread_evenly_and_none_is_missing(self):
        for program in PROGRAMS:
            for more in ([], ["--cross-thread"], ["--late-backend"]):
                with self.subTest(program=program, more=more):
                    truth = self.truth("--threads", 3, "--waits", 23, "--keys", 7, *more, program=program)
                    self.assertEqual(truth, {f"work.{i}": 3 * (4 if i < 2 else 3) for i in range(7)})

    def test_children_do_the_same_work(self):
        self.assertEqual(self.truth("--threads", 2, "--waits", 23, "--keys", 1, "--fork", 3), {"work.0": 2 * 23 * 4})

    def test_children_stand_until_the_work_begins(self):
        workload = self.started(Workload("--threads", 1, "--waits", 7, "--fork", 2))
        with open(f"/proc/{workload.pid}/task/{workload.pid}/children", encoding="ascii") as file:
            self.assertEqual(len(file.read().split()), 2, workload)
        workload.go()
        self.assertEqual(workload.wait(), 0, workload)
        self.assertEqual(workload.truth(), {"work.0": 21})

    def test_distinct_keys_get_their_waits_each(self):
        truth = self.truth("--threads", 2, "--waits", 3, "--distinct", 5000)
        self.assertEqual((len(truth), set(truth.values())), (5000, {6}))

    def test_a_backend_is_told_every_wait_and_its_duration(self):
        ran = run(built("waitprobe-workload"), "--threads", 2, "--waits", 23, "--pattern", "spin", "--hold-ns", 100_000, "--true-quantiles")
        quantiles = last_line(ran.out)["quantiles_ns"]["work.0"]
        self.assertGreaterEqual(quantiles["min"], 100_000, ran)
        values = [quantiles[name] for name in ("min", "p50", "p90", "p99", "p999", "max")]
        self.assertEqual(values, sorted(values))

    def test_a_plug_in_waits_as_often(self):
        truth = self.truth("--threads", 2, "--waits", 23, "--keys", 2, "--plugin", built("workload-plugin.so"))
        self.assertEqual(truth, {"work.0": 24, "work.1": 22, "plugin.0": 24, "plugin.1": 22})

    def test_a_loop_ends_and_has_counted(self):
        self.assertGreater(self.truth("--threads", 2, "--loop", 1, "--pattern", "sleep", "--hold-ns", 1_000_000)["work.0"], 23)


class TruthAsItHappens(TestCase):
    def test_of_a_workload_that_ends_it_is_what_is_printed(self):
        for more in ([], ["--fork", 2], ["--fork-in-block", 7], ["--vfork-exec", 7], ["--raw-clone", 7, "--child-waits", 300]):
            with self.subTest(more=more):
                file = TruthFile()
                ran = run(built("waitprobe-workload"), "--threads", 2, "--waits", 23, "--keys", 3, *more, *file.options)
                self.assertEqual(ran.process.returncode, 0, ran)
                self.assertEqual(file.exact(), last_line(ran.out)["keys"])

    def test_children_have_a_row_of_their_own(self):
        file = TruthFile()
        run(built("waitprobe-workload"), "--threads", 2, "--waits", 20, "--fork-in-block", 4, "--vfork-exec", 3, "--raw-clone", 2, *file.options)
        # Every other fork finds a wait open, which the first thread ends.
        self.assertEqual([row["work.0"][0] for row in file.rows()], [22, 20, 0, 3 * (4 + 3 + 2)])

    @unittest.skipIf(os.environ.get("WAITPROBE_SANITIZE"), "sanitizers die in ways of their own")
    def test_each_way_to_die_has_its_status_and_comes_after_all_waits(self):
        for how, status in {"exit": 0, "_exit": 0, "exec": 0, "exec-thread": 0, "segv": -11, "abort": -6, "term": -15, "handled": 0,
                            "thread-exit": 0, "raw-exit": 0}.items():
            with self.subTest(how=how):
                file = TruthFile()
                ran = run(built("waitprobe-workload"), "--threads", 3, "--waits", 1001, "--die", how, *file.options)
                self.assertEqual((ran.process.returncode, ran.out), (status, ""), ran)
                for row in file.rows()[:4]:
                    done, begun = row["work.0"]
                    self.assertGreaterEqual(done, 1001)
                    self.assertIn(begun - done, (0, 1))

    def test_threads_that_stay_have_waited(self):
        file = TruthFile()
        workload = self.started(Workload("--threads", 3, "--waits", 23, "--stay", *file.options))
        workload.go()
        wait_until(lambda: workload.out.strip(), "all threads stay")
        self.assertEqual(workload.truth(), {"work.0": 4 * 23})
        self.assertEqual(file.exact(), workload.truth())
        self.assertEqual(len(os.listdir(f"/proc/{workload.pid}/task")), 4)


class Usage(TestCase):
    def test_bad_options_are_one_clear_error(self):
        for options in (["--threads", "0"], ["--waits", "-1"], ["--hold-ns", "-1"], ["--distinct", "-1"], ["--keys", "x"], ["--pattern", "dance"], ["--nonsense"], ["word"],
                        ["--loop", "-1"], ["--fork", "1", "--loop", "1"], ["--die", "laughing"], ["--stay", "--die", "exit"], ["--raw-clone", "-1"]):
            with self.subTest(options=options):
                ran = run(built("waitprobe-workload"), *options)
                self.assertEqual(ran.process.returncode, 2, ran)
                self.assertEqual(ran.out, "")
                self.assertIn(options[0], ran.err)
                self.assertLessEqual(len(ran.err.splitlines()), 2, ran)

    def test_a_plug_in_that_cannot_be_opened(self):
        ran = run(built("waitprobe-workload"), "--plugin", "/nonexistent.so")
        self.assertEqual(ran.process.returncode, 1, ran)
        self.assertIn("cannot open plug-in /nonexistent.so", ran.err)


if __name__ == "__main__":
    harness.main()
