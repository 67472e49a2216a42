# SPDX-License-Identifier: MIT
"""What the probes promise (docs/design.md, section 4), seen by bpftrace alone."""

import os
import re
import subprocess

import harness
from harness import Hist, Program, TestCase, Workload
from stepped import Stepped
from tracers import FILE, Tracer, assert_counted

WORK = ["--threads", "4", "--waits", "1009", "--keys", "5", "--pattern", "none"]
THRESHOLDS = {"1us": 10**3, "10us": 10**4, "100us": 10**5, "1ms": 10**6, "10ms": 10**7, "100ms": 10**8, "1s": 10**9}
STOPS = "usdt:%s:waitprobe:wait_stop { @count[str(arg0)] = count(); }" % FILE


class Promises(TestCase):
    def bpftrace(self, text, workload):
        return self.started(Tracer(["bpftrace", "-e", text], workload.pid))

    def traced(self, text, *options):
        workload = self.started(Workload(*(options or WORK)))
        tracer = self.bpftrace(text, workload)
        workload.go()
        workload.wait()
        tracer.stop()
        return tracer, workload.truth()

    def test_keys_of_literals_that_nobody_touched_are_readable(self):
        tracer, truth = self.traced(STOPS)
        assert_counted(self, tracer.map("count"), truth, tracer)

    def assert_pairs(self, *options):
        tracer, truth = self.traced(
            f"usdt:{FILE}:waitprobe:wait_start {{ @key[arg2] = arg0; @began[arg2] = arg1; @at[arg2] = nsecs; }} "
            f"usdt:{FILE}:waitprobe:wait_stop /@began[arg3]/ {{ @count[str(arg0)] = count(); "
            "if (arg1 - @began[arg3] != arg2) { @mismatch[1] = count(); } if (@key[arg3] != arg0) { @other_key[1] = count(); } "
            # The clock is read before the probe fires, by the library as by bpftrace.
            "if (arg1 > nsecs || nsecs - arg1 > 1000000000 || @began[arg3] > @at[arg3]) { @other_clock[1] = count(); } "
            "delete(@began[arg3]); delete(@key[arg3]); delete(@at[arg3]); }", *options)
        assert_counted(self, tracer.map("count"), truth, tracer)
        for name in ("mismatch", "other_key", "other_clock", "began"):
            self.assertNotRegex(tracer.out, f"(?m)^@{name}")  # it shows the script with its warnings

    def test_starts_and_stops_pair_by_wait_id_and_carry_the_clock_of_nsecs(self):
        self.assert_pairs()

    def test_so_they_do_across_threads(self):
        self.assert_pairs("--threads", "4", "--waits", "300", "--keys", "3", "--cross-thread")

    def test_slow_probes_are_exact_at_their_thresholds(self):
        program = harness.built("waitprobe-bounds")
        target = self.started(Program([program], stdin=subprocess.PIPE))
        tracer = self.started(Tracer(["bpftrace", "-e", " ".join(
            f'usdt:{program}:waitprobe:{probe} {{ printf("{probe} %lu\\n", arg2); }}'
            for probe in ["wait_stop", *(f"wait_slow_{name}" for name in THRESHOLDS)])], target.pid))
        target.process.stdin.write(b"go")
        target.process.stdin.close()
        target.wait()
        # bpftrace leaves unread what comes in the moment of its Ctrl-C; the longest wait is the last, and fires every probe.
        longest = 2**64 - 1
        harness.wait_until(lambda: tracer.out.count(f" {longest}\n") == 1 + len(THRESHOLDS), f"the last wait is told: {tracer}")
        tracer.stop()
        told = {}
        for probe, duration in re.findall(r"^(wait_\w+) (\d+)$", tracer.out, re.M):
            told.setdefault(probe, []).append(int(duration))
        durations = told.pop("wait_stop")
        self.assertEqual(durations, [0, *(bound + more for bound in THRESHOLDS.values() for more in (-1, 0, 1)), longest], tracer)
        self.assertEqual(told, {f"wait_slow_{name}": [duration for duration in durations if duration >= bound]
                                for name, bound in THRESHOLDS.items()}, tracer)

    def test_several_tools_at_once_of_which_some_leave(self):
        target = self.started(Stepped("--threads", "2", "--waits", "50", "--keys", "2"))
        target.go()
        first, second = self.bpftrace(STOPS, target), self.bpftrace(STOPS, target)
        hist = self.started(Hist("-p", target.pid))
        per_event = self.started(Hist("-p", target.pid, "--per-event"))
        target.step()
        self.assertEqual(first.stop(), 0, first)
        self.assertEqual(per_event.stop(), 0, per_event)
        target.step()
        self.assertEqual(hist.stop(), 0, hist)
        target.step()
        self.assertEqual(second.stop(), 0, second)
        self.assertFalse(harness.armed_word(target.pid), "all have left")
        target.step()
        self.assertEqual(target.finish(), 0)
        for steps, counts in ((1, first.map("count")), (1, per_event.counts()), (2, hist.counts()), (3, second.map("count"))):
            assert_counted(self, counts, {"work.0": steps * 50, "work.1": steps * 50}, first)


if __name__ == "__main__":
    harness.main()
