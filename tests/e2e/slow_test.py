# SPDX-License-Identifier: MIT
"""`waitprobe slow`: each wait that took longer, and nothing silently lost."""

import json
import os
import re
import signal
import subprocess
import time

import harness
from harness import TOOL, Program, TestCase, Workload, run, wait_for_byte, wait_until
from pty_run import run_on_terminal

HOLD_NS = 2_000_000
STATS = "/proc/sys/kernel/bpf_stats_enabled"


class Slow(Program):
    """`waitprobe slow --json`, attached and ready."""

    def __init__(self, *options, json_output=True, before=(), **program_options):
        read_end, write_end = os.pipe()
        super().__init__([*before, TOOL, "slow", "--ready-fd", write_end] + (["--json"] if json_output else []) + list(options),
                         pass_fds=(write_end,), **program_options)
        os.close(write_end)
        wait_for_byte(read_end, self)
        os.close(read_end)

    def lines(self):
        return [json.loads(line) for line in self.out.splitlines() if line.startswith('{"time_unix_ns"')]

    def summary(self):
        return json.loads([line for line in self.out.splitlines() if line.startswith('{"waitprobe"')][-1])


def counts(lines):
    found = {}
    for line in lines:
        found[line["key"]] = found.get(line["key"], 0) + 1
    return found


def runs_of(tool):
    """How often the kernel has run its program on the probe, as the descriptors of its programs say."""
    runs, folder = 0, f"/proc/{tool.pid}/fdinfo"
    for name in os.listdir(folder):
        try:
            with open(os.path.join(folder, name), encoding="ascii") as file:
                text = file.read()
        except FileNotFoundError:  # closed meanwhile
            continue
        if re.search(r"^prog_type:\t2$", text, re.M):  # a kprobe, as uprobes are
            runs += int(re.search(r"^run_cnt:\t(\d+)$", text, re.M).group(1))
    return runs


class EachWait(TestCase):
    def traced(self, options, *workload_options):
        workload = self.started(Workload(*workload_options))
        began_ns = time.time_ns()
        tool = self.started(Slow(*options, "-p", workload.pid))
        workload.go()
        self.assertEqual(workload.wait(), 0, workload)
        self.assertEqual(tool.wait(), 0, tool)
        self.assertEqual(tool.summary()["coverage"]["lost"], 0)
        return workload, tool, began_ns

    def test_is_told_of_with_all_that_is_known(self):
        workload, tool, began_ns = self.traced(["--min", "1ms"], "--threads", 3, "--waits", 23, "--keys", 4, "--pattern", "sleep",
                                               "--hold-ns", HOLD_NS)
        lines = tool.lines()
        self.assertEqual(counts(lines), workload.truth())
        self.assertEqual({line["pid"] for line in lines}, {workload.pid})
        self.assertEqual(len({line["tid"] for line in lines} - {workload.pid}), 3)
        self.assertEqual({(line["comm"], line["thread"]) for line in lines}, {("waitprobe-workl",) * 2})
        self.assertEqual(len({line["wait_id"] for line in lines}), len(lines))
        for line in lines:
            self.assertGreaterEqual(line["duration_ns"], HOLD_NS)
            self.assertTrue(began_ns < line["time_unix_ns"] < time.time_ns(), line)
        self.assertEqual(tool.summary()["coverage"]["observed"], len(lines))

    def test_of_zero_is_every_wait(self):
        workload, tool, _ = self.traced(["--min", "0"], "--threads", 2, "--waits", 499, "--keys", 7)
        self.assertEqual(counts(tool.lines()), workload.truth())

    def test_that_took_less_is_not_shown(self):
        _, tool, _ = self.traced(["--min", "1h"], "--waits", 23, "--pattern", "sleep", "--hold-ns", HOLD_NS)
        self.assertEqual(tool.lines(), [])

    def test_of_other_keys_is_counted_though_not_shown(self):
        workload, tool, _ = self.traced(["--min", "1ms", "-k", "work.1"], "--waits", 23, "--keys", 3, "--pattern", "sleep", "--hold-ns",
                                        HOLD_NS)
        self.assertEqual(counts(tool.lines()), {"work.1": workload.truth()["work.1"]})
        self.assertEqual(tool.summary()["coverage"]["observed"], 23)

    def test_of_every_bad_key_comes_through(self):
        workload, tool, _ = self.traced(["--min", "0"], "--nasty-keys", "--waits", 23)
        kept = {}  # two of them differ only beyond what is kept
        for key, count in workload.truth().items():
            kept[key[:256]] = kept.get(key[:256], 0) + count
        self.assertEqual(counts(tool.lines()), kept)
        self.assertEqual(sum(line.get("key_len", 0) > 256 for line in tool.lines()), 4)


class Thresholds(TestCase):
    def setUp(self):
        super().setUp()
        with open(STATS, encoding="ascii") as stats:
            self.addCleanup(self.write_stats, stats.read())
        self.write_stats("1")

    @staticmethod
    def write_stats(text):
        with open(STATS, "w", encoding="ascii") as stats:
            stats.write(text)

    def traps(self, minimum):
        """Of 2,000 waits that take nothing."""
        workload = self.started(Workload("--waits", 2000, "--linger"))
        tool = self.started(Slow("--min", minimum, "-p", workload.pid))
        workload.go()
        wait_until(lambda: workload.out.endswith("\n"), "the work is done")
        runs = runs_of(tool)
        tool.signal(signal.SIGINT)
        self.assertEqual(tool.wait(), 0, tool)
        workload.kill()
        return runs

    def test_shorter_waits_do_not_trap(self):
        self.assertEqual(self.traps("0"), 2000)
        self.assertEqual(self.traps("999ns"), 2000, "below the first threshold every wait is looked at")
        # A thread may be kept from running in the middle of a wait, for some milliseconds even.
        for minimum in ("1ms", "5ms", "99ms", "2s"):
            self.assertLess(self.traps(minimum), 20, minimum)


class Losses(TestCase):
    def test_a_full_ring_is_counted_and_told_at_once(self):
        workload = self.started(Workload("--waits", 100_003, "--linger"))
        tool = self.started(Slow("--min", "0", "-p", workload.pid))
        tool.signal(signal.SIGSTOP)
        workload.go()
        wait_until(lambda: workload.out.endswith("\n"), "the work is done")
        tool.signal(signal.SIGCONT)
        wait_until(lambda: "slow waits lost so far: waits occur faster than they are read" in tool.err, "it warns")
        tool.signal(signal.SIGINT)
        self.assertEqual(tool.wait(), 0, tool)
        coverage, losses = tool.summary()["coverage"], tool.summary()["losses"]
        self.assertGreater(losses["ring_full"], 50_000)
        self.assertEqual(len(tool.lines()), coverage["observed"])
        self.assertEqual(coverage["observed"] + losses["ring_full"], 100_003)
        self.assertEqual(coverage["lost"], losses["ring_full"])


class Ends(TestCase):
    BUSY = ("--pattern", "sleep", "--hold-ns", HOLD_NS)

    def test_after_so_many_waits(self):
        workload = self.started(Workload("--loop", 30, *self.BUSY))
        tool = self.started(Slow("--min", "1ms", "-n", 7, "-p", workload.pid))
        workload.go()
        self.assertEqual(tool.wait(), 0, tool)
        self.assertEqual(len(tool.lines()), 7)

    def test_after_a_time(self):
        workload = self.started(Workload("--loop", 30, *self.BUSY))
        tool = self.started(Slow("--min", "1ms", "-d", "0.2", "-p", workload.pid))
        workload.go()
        self.assertEqual(tool.wait(), 0, tool)
        self.assertGreater(len(tool.lines()), 0)
        self.assertGreater(tool.summary()["elapsed_ns"], 200_000_000)
        end_ns = tool.summary()["time_unix_ns"]
        times = [wait["time_unix_ns"] for wait in tool.lines()]
        read_clock_ns = 1_000_000  # two clocks are read one after the other, to tell one time by the other
        self.assertLessEqual(max(times), end_ns + read_clock_ns, "to detach takes its time, which is not that of the waits")
        self.assertGreaterEqual(min(times), end_ns - tool.summary()["elapsed_ns"] - read_clock_ns)

    def test_when_nobody_reads_any_more(self):
        workload = self.started(Workload("--loop", 30, *self.BUSY))
        with subprocess.Popen([TOOL, "slow", "--min", "1ms", "-p", str(workload.pid)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tool:
            workload.go()
            self.assertIn(b"Times: ", tool.stdout.readline())
            tool.stdout.close()
            self.assertEqual(tool.wait(harness.DEADLINE_S), 0)
            self.assertNotIn(b"cannot", tool.stderr.read())

    def test_with_the_status_of_its_command(self):
        ran = run(TOOL, "slow", "--min", "1ms", "--", "sh", "-c", f"{harness.built('waitprobe-workload')} --waits 5 --pattern sleep "
                  f"--hold-ns {HOLD_NS}; exit 17")
        self.assertEqual(ran.process.returncode, 17, ran)
        self.assertEqual(len(re.findall(r"^\d\d:\d\d:\d\d\.\d{3} .*ms work\.0 ", ran.out, re.M)), 5, ran)
        self.assertIn("5 waits of 1.00ms or more in ", ran.err)


class Terminal(TestCase):
    def words(self, *more):
        return [TOOL, "slow", "--min", "0", *more, "--", harness.built("waitprobe-workload"), "--waits", "3", "--nasty-keys"]

    def test_colours_only_there_and_nothing_of_a_key_is_obeyed(self):
        shown = run_on_terminal(self.words())
        self.assertIn("\033[1mtime", shown)
        # The workload prints its keys on its last line as JSON does, without escapes of its own.
        self.assertEqual(set(re.findall(r"\033[^m]*m", shown)), {"\033[1m", "\033[0m"})
        self.assertNotIn("\033", run_on_terminal(self.words(), env={"NO_COLOR": "1"}))
        self.assertNotIn("\033", run(*self.words()).out)

    def test_a_line_of_progress_while_nothing_comes(self):
        workload = self.started(Workload("--linger"))
        shown = run_on_terminal([TOOL, "slow", "--min", "1h", "-d", "4", "-p", str(workload.pid)])
        self.assertRegex(shown, r"tracing waits of 1h00m or more for 2\.\d+s: none so far; Ctrl-C stops")
        self.assertRegex(shown.split("\033[K")[-1], r"^No waits of 1h00m or more were seen in 4\.\d+s\r\n$")


class Options(TestCase):
    def test_that_cannot_be_understood(self):
        for words, text in ((["--min", "fast"], "--min takes a time such as 10s, 100ms or 0.5"), (["--min", "-1s"], "--min takes a time"),
                            (["--min", "5 ms"], "--min takes a time"), (["--min", "1e30h"], "--min takes a time"),
                            (["--min", "nan"], "--min takes a time"), (["-n", "0"], "--count takes a whole number greater than 0, not '0'"),
                            (["-n", "-1"], "not '-1'")):
            with self.subTest(words=words):
                ran = run(TOOL, "slow", "-a", *words)
                self.assertEqual((ran.process.returncode, ran.out), (2, ""), ran)
                self.assertIn(text, ran.err)


if __name__ == "__main__":
    harness.main()
