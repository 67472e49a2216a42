# SPDX-License-Identifier: MIT
"""What is counted is what happened, to the last wait."""

import os
import unittest

import harness
from harness import Hist, TestCase, Workload, counts_of

BIG = ["--threads", 8, "--waits", 1000003, "--keys", 7, "--pattern", "none"]
SMALL = ["--threads", 4, "--waits", 2503, "--keys", 7, "--pattern", "none"]
ROUNDS = int(os.environ.get("WAITPROBE_ROUNDS", "20"))


class Exact(TestCase):
    def count_one(self, options, *targets):
        workload = self.started(Workload(*options))
        tool = self.started(Hist(*(targets or ("-p", workload.pid))))
        workload.go()
        self.assertEqual(workload.wait(), 0)
        self.assertEqual(tool.stop() if targets else tool.wait(), 0)
        self.assertEqual(tool.counts(workload.pid), workload.truth())
        self.assert_all_seen(tool.last())

    def test_eight_threads_are_counted_exactly_many_times_in_a_row(self):
        for turn in range(ROUNDS):
            with self.subTest(turn=turn):
                self.count_one(BIG)

    def test_every_process_of_the_machine(self):
        self.count_one(SMALL, "-a")

    def test_every_process_of_a_file(self):
        self.count_one(SMALL, "-f", harness.built("waitprobe-workload"))

    def test_other_processes_of_the_same_file_are_not_counted(self):
        mine, other = self.started(Workload(*SMALL)), self.started(Workload(*SMALL))
        tool = self.started(Hist("-p", mine.pid))
        for workload in (other, mine):  # in this order: the tool ends with its target
            workload.go()
            self.assertEqual(workload.wait(), 0)
        tool.wait()
        self.assertEqual(tool.counts(), mine.truth())

    def test_two_processes_by_number_until_both_have_ended(self):
        both = [self.started(Workload(*SMALL)) for _ in range(2)]
        tool = self.started(Hist("-p", both[0].pid, "-p", both[1].pid))
        for workload in both:
            workload.go()
            workload.wait()
        self.assertEqual(tool.wait(), 0)
        for workload in both:
            self.assertEqual(tool.counts(workload.pid), workload.truth())

    def test_two_tools_at_once_both_count_everything(self):
        workload = self.started(Workload(*SMALL))
        tools = [self.started(Hist("-p", workload.pid)) for _ in range(2)]
        workload.go()
        workload.wait()
        for tool in tools:
            tool.wait()
            self.assertEqual(tool.counts(), workload.truth())

    def test_both_transports_count_the_same_at_the_same_time(self):
        workload = self.started(Workload(*SMALL))
        tools = [self.started(Hist("-p", workload.pid, *options)) for options in ([], ["--per-event"])]
        workload.go()
        workload.wait()
        for tool in tools:
            tool.wait()
            self.assertEqual(tool.counts(), workload.truth())
            self.assert_all_seen(tool.last())

    def test_waits_that_end_on_other_threads(self):
        self.count_one(SMALL + ["--cross-thread"])

    def test_a_backend_in_the_process_changes_nothing(self):
        self.count_one(SMALL + ["--late-backend"])

    def test_intervals_add_up_to_the_truth(self):
        workload = self.started(Workload("--threads", 2, "--waits", 301, "--keys", 3, "--pattern", "sleep", "--hold-ns", 2_000_000))
        tool = self.started(Hist("-p", workload.pid, "-i", "0.2"))
        workload.go()
        workload.wait()
        tool.wait()
        snapshots = tool.snapshots()
        self.assertGreater(len(snapshots), 2, "600 ms of waiting are more than two intervals of 200 ms")
        total = {}
        for snapshot in snapshots:
            for key, count in counts_of(snapshot).items():
                total[key] = total.get(key, 0) + count
        self.assertEqual(total, workload.truth())


class Durations(TestCase):
    def test_totals_and_bounds_of_a_known_wait(self):
        hold_ns = 5_000_000
        workload = self.started(Workload("--threads", 1, "--waits", 23, "--keys", 1, "--pattern", "sleep", "--hold-ns", hold_ns))
        tool = self.started(Hist("-p", workload.pid))
        workload.go()
        workload.wait()
        tool.wait()
        (series,) = tool.last()["series"]
        self.assertEqual(series["count"], 23)
        self.assertGreaterEqual(series["min_ns"], hold_ns, "a sleep is never shorter than was asked for")
        self.assertGreaterEqual(series["total_ns"], 23 * hold_ns)
        self.assertLessEqual(series["min_ns"] * 23, series["total_ns"])
        self.assertLessEqual(series["total_ns"], series["max_ns"] * 23)
        self.assertEqual(sum(bucket["count"] for bucket in series["buckets"]), 23)
        for bucket in series["buckets"]:
            self.assertLess(bucket["lo_ns"], bucket["hi_ns"])


if __name__ == "__main__":
    harness.main()
