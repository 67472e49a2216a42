# SPDX-License-Identifier: MIT
"""Whenever one looks, each wait is in what was shown once: not twice, not earlier than it was over, not lost between two looks."""

import json
import os
import random
import time

import harness
from harness import Hist, TestCase, Workload, counts_of, wait_until
from stepped import Stepped
from truth import Truth

CYCLES = int(os.environ.get("WAITPROBE_CYCLES", "20"))


class Lines:
    """The snapshots of a tool, each parsed once."""

    def __init__(self, tool):
        self._tool = tool
        self._parsed = 0

    def take(self):
        """Those that have come since the last time; the last line may still be being written."""
        lines = [line for line in self._tool.out.splitlines(keepends=True) if line.startswith('{"waitprobe"') and line.endswith("\n")]
        fresh, self._parsed = lines[self._parsed:], len(lines)
        return [json.loads(line) for line in fresh]


def grown(before, after):
    """What has happened between two bounds: {key: (done, begun)}, at the least and at the most."""
    return {key: (max(0, after[key][0] - before.get(key, (0, 0))[1]), after[key][1] - before.get(key, (0, 0))[0]) for key in after}


class Snapshots(TestCase):
    def test_intervals_under_load(self):
        truth = Truth()
        workload = self.started(Workload("--threads", 8, "--keys", 7, "--loop", 3, "--pattern", "none", *truth.options))
        tool = self.started(Hist("-p", workload.pid, "-i", "0.05"))
        lines = Lines(tool)
        counts, shown, lost = {}, 0, 0
        workload.go()
        while True:
            ended = tool.process.poll() is not None
            fresh = lines.take()
            for snapshot in fresh:
                lost += snapshot["coverage"]["lost"]
                for key, count in counts_of(snapshot).items():
                    self.assertGreaterEqual(count, 0)
                    counts[key] = counts.get(key, 0) + count
            if fresh:
                shown += len(fresh)
                now = truth.bounds()  # after the lines: they may not be ahead of it
                for key, count in counts.items():
                    self.assertLessEqual(count, now[key][1], f"{key}: shown before it was over, or twice (snapshot {shown})")
            if ended:
                break
            time.sleep(0.005)
        self.assertEqual(workload.wait(), 0, workload)
        self.assertGreater(shown, 10, "three seconds are many intervals of 50 ms")
        self.assertEqual(lost, 0)
        self.assertEqual(counts, truth.exact())

    def test_threads_that_share_one_cpu(self):
        workload = self.started(Workload("--threads", 6, "--keys", 7, "--waits", 20_011, "--pattern", "none", "--pin", 0))
        tool = self.started(Hist("-p", workload.pid, "-i", "0.05"))
        workload.go()
        self.assertEqual(workload.wait(), 0, workload)
        tool.wait()
        counts = {}
        for snapshot in tool.snapshots():
            self.assert_all_seen(snapshot)
            for key, count in counts_of(snapshot).items():
                counts[key] = counts.get(key, 0) + count
        self.assertEqual(counts, workload.truth())

    def test_a_thread_that_waits_three_times_and_then_sleeps_for_ever(self):
        workload = self.started(Workload("--threads", 1, "--waits", 3, "--stay"))
        tool = self.started(Hist("-p", workload.pid, "-d", "1"))
        workload.go()
        wait_until(lambda: workload.out.endswith("\n"), "the work is done")
        self.assertIsNone(tool.process.poll(), "the tool was there during the work")
        self.assertEqual(tool.wait(), 0, tool)
        self.assertEqual(tool.counts(), {"work.0": 6}, "the main thread waits as well")
        self.assert_all_seen(tool.last())
        later = self.started(Hist("-p", workload.pid, "-d", "1"))
        self.assertEqual(later.wait(), 0, later)
        self.assertEqual(later.counts(), {}, "they were over before this tool came")
        self.assert_all_seen(later.last())

    def test_two_tools_that_come_and_go_in_the_middle_of_blocks(self):
        for waits in (1, 101, 256, 301):  # less than a ring holds, exactly a ring, more
            with self.subTest(waits=waits):
                workload = self.started(Stepped("--threads", 3, "--waits", waits, "--keys", 3, "--pattern", "none"))
                workload.go()
                workload.step()
                now = workload.truth_now.exact
                at_first_attach = now()
                first = self.started(Hist("-p", workload.pid))
                workload.step()
                at_second_attach = now()
                second = self.started(Hist("-p", workload.pid))
                workload.step()
                workload.step()
                at_first_detach = now()
                self.assertEqual(first.stop(), 0, first)
                workload.step()
                at_second_detach = now()
                self.assertEqual(second.stop(), 0, second)
                workload.step()
                self.assertEqual(workload.finish(), 0, workload)
                for tool, attach, detach in ((first, at_first_attach, at_first_detach), (second, at_second_attach, at_second_detach)):
                    self.assert_all_seen(tool.last())
                    self.assertEqual(tool.counts(), {key: detach[key] - attach[key] for key in detach if detach[key] != attach[key]})

    def test_attach_and_detach_under_load(self):
        truth = Truth()
        workload = self.started(Workload("--threads", 4, "--keys", 3, "--loop", 600, "--pattern", "none", *truth.options))
        workload.go()
        wait_until(lambda: sum(done for done, _ in truth.bounds().values()) > 1000, "the threads are at work")
        chance = random.Random(23)
        for cycle in range(CYCLES):
            with self.subTest(cycle=cycle):
                before = truth.bounds()
                tool = self.started(Hist("-p", workload.pid))
                ready = truth.bounds()
                time.sleep(chance.uniform(0, 0.03))  # the random moment itself
                asked = truth.bounds()
                self.assertEqual(tool.stop(), 0, tool)
                after = truth.bounds()
                at_most, at_least = grown(before, after), grown(ready, asked)
                counts = tool.counts()
                self.assertLessEqual(set(counts), set(after))
                for key in after:
                    self.assertLessEqual(counts.get(key, 0), at_most[key][1], f"{key}: counted twice")
                    if tool.last()["coverage"]["lost"] == 0:
                        self.assertGreaterEqual(counts.get(key, 0), at_least[key][0], f"{key}: neither counted nor said to be lost")
                self.assertGreaterEqual(sum(counts.values()) + tool.last()["coverage"]["lost"], sum(done for done, _ in at_least.values()))
                self.assertIsNone(workload.process.poll(), workload)


if __name__ == "__main__":
    harness.main()
