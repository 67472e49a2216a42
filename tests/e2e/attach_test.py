# SPDX-License-Identifier: MIT
"""Attaching and detaching at any moment: nothing crashes, nothing is miscounted, and the word is zero again afterwards."""

import os
import signal

import harness
from harness import Hist, TestCase, Workload, armed_word, kernel_maps, wait_until

KERNEL_BYTES = (62 << 20) + (64 << 10) * min(os.cpu_count(), 64)
CYCLES = int(os.environ.get("WAITPROBE_CYCLES", "20"))
# Closing a link takes the kernel about 100 ms, and is asynchronous after a kill.
DISARMED_WITHIN_S = 2


class KernelMemory(TestCase):
    def test_is_bounded(self):
        workload = self.started(Workload("--threads", 8, "--waits", 10_007, "--keys", 300, "--linger"))
        tool = self.started(Hist("-p", workload.pid))
        workload.go()
        wait_until(lambda: workload.out.endswith("\n"), "the work is done")
        taken = sum(kernel_maps(tool.pid).values())
        self.assertEqual(tool.stop(), 0, tool)
        self.assertLess(taken, KERNEL_BYTES)
        self.assertGreater(taken, 40 << 20, "the histograms alone are more")


class Attach(TestCase):
    def assert_disarmed(self, pid):
        wait_until(lambda: not armed_word(pid), "nobody listens any more, and the word is zero", DISARMED_WITHIN_S)

    def test_a_wait_that_began_before_is_not_reported(self):
        workload = self.started(Workload("--threads", 1, "--waits", 7, "--keys", 1, "--hold-open", "--pattern", "none"))
        tool = self.started(Hist("-p", workload.pid))
        self.assertTrue(armed_word(workload.pid))
        workload.go()
        workload.wait()
        tool.wait()
        self.assertEqual(tool.counts(), {"work.0": 7}, "the wait that was open before the tool came is not among them")
        self.assert_all_seen(tool.last())

    def test_a_tracer_may_leave_in_the_middle_of_a_wait(self):
        for how in (signal.SIGINT, signal.SIGKILL):
            with self.subTest(signal=how):
                workload = self.started(Workload("--threads", 2, "--loop", 20, "--keys", 2, "--pattern", "sleep", "--hold-ns", 300_000_000))
                tool = self.started(Hist("-p", workload.pid))
                workload.go()
                wait_until(lambda: armed_word(workload.pid), "armed")
                tool.signal(how)
                tool.wait()
                self.assert_disarmed(workload.pid)
                self.assertIsNone(workload.process.poll(), "the workload goes on")

    def test_a_killed_tracer_leaves_nothing_behind_for_the_next(self):
        workload = self.started(Workload("--threads", 2, "--waits", 5003, "--keys", 3, "--pattern", "none"))
        self.started(Hist("-p", workload.pid)).kill()
        self.assert_disarmed(workload.pid)
        tool = self.started(Hist("-p", workload.pid))
        workload.go()
        workload.wait()
        tool.wait()
        self.assertEqual(tool.counts(), workload.truth())

    def test_cycles_under_load(self):
        workload = self.started(Workload("--threads", 4, "--loop", 600, "--keys", 3, "--pattern", "none"))
        workload.go()
        for cycle in range(CYCLES):
            with self.subTest(cycle=cycle):
                tool = self.started(Hist("-p", workload.pid, "-d", "0.02"))
                if cycle % 5 == 4:
                    tool.kill()
                    continue
                self.assertEqual(tool.wait(), 0, tool)
                self.assertGreater(sum(tool.counts().values()), 0)
                self.assert_all_seen(tool.last())
                self.assertIsNone(workload.process.poll(), workload)
        self.assert_disarmed(workload.pid)
        workload.signal(signal.SIGTERM)

    def test_the_target_may_die_at_any_moment(self):
        for delay_ms in range(0, 60, 4):
            workload = self.started(Workload("--threads", 2, "--loop", 60, "--keys", 1, "--pattern", "none"))
            workload.go()
            tool = self.started(Hist("-p", workload.pid, ready=False))
            try:
                tool.process.wait(delay_ms / 1000)
            except Exception:  # not yet ended: that is the point
                pass
            workload.kill()
            status = tool.wait()
            self.assertIn(status, (0, 1), tool)
            if status == 1:
                self.assertRegex(tool.err, "waitprobe: cannot .*: .*", tool)
                self.assertNotIn("Success", tool.err)


if __name__ == "__main__":
    harness.main()
