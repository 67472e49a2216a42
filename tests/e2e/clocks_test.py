# SPDX-License-Identifier: MIT
"""What the guards read the time from: chosen by the library, shown by `list`, forced by WAITPROBE_CLOCK; the figures are the same."""

import json
import unittest

import harness
from harness import Hist, TestCase, Workload, run

HOLD_NS = 20_000_000


def kernel_trusts_the_counter():
    with open("/sys/devices/system/clocksource/clocksource0/current_clocksource", encoding="ascii") as file:
        return file.read().strip() in ("tsc", "arch_sys_counter")


class Clocks(TestCase):
    def clock_of(self, env, *hist_options):
        """The clock that `list` shows for a workload once it has waited, and the series of its one key."""
        workload = self.started(Workload("--threads", 1, "--waits", 5, "--keys", 1, "--pattern", "sleep", "--hold-ns", HOLD_NS, "--linger",
                                         env=env))
        tool = self.started(Hist("-p", workload.pid, *hist_options))
        self.assertEqual(self.listed(workload), None, "nobody has waited yet")
        workload.go()
        harness.wait_until(lambda: workload.out.strip(), "the work is done")
        clock = self.listed(workload)
        workload.signal(15)
        workload.wait()
        self.assertEqual(tool.wait(), 0)
        (series,) = tool.last()["series"]
        self.assert_all_seen(tool.last())
        return clock, series

    def listed(self, workload):
        return json.loads(run(harness.TOOL, "list", "--json", "-p", workload.pid).out)["carriers"][0]["clock"]

    def assert_right(self, series):
        self.assertEqual(series["count"], 5)
        self.assertGreaterEqual(series["min_ns"], HOLD_NS * 0.999, "a sleep is never shorter than was asked for, within 0.1 %")
        self.assertLess(series["total_ns"], 5 * HOLD_NS * 10)

    def test_the_kernels_choice_is_followed(self):
        clock, series = self.clock_of({})
        self.assertEqual(clock, "cycles" if kernel_trusts_the_counter() else "monotonic")
        self.assert_right(series)

    def test_it_can_be_forced(self):
        for name in ("monotonic", "cycles"):
            with self.subTest(clock=name):
                clock, series = self.clock_of({"WAITPROBE_CLOCK": name})
                self.assertEqual(clock, name)
                self.assert_right(series)

    def test_events_are_timed_by_the_clock(self):
        _, series = self.clock_of({"WAITPROBE_CLOCK": "cycles"}, "--per-event")
        self.assert_right(series)


if __name__ == "__main__":
    unittest.main(verbosity=2)
