# SPDX-License-Identifier: MIT
"""Threads that come and go: none of their waits is missed, and they leave nothing behind."""

import os

import harness
from harness import Hist, TestCase, Workload, last_line

THREADS = int(os.environ.get("WAITPROBE_THREADS", "100000"))
# Of the process, between the end of the first tenth of the threads and of all: a block is 8 KiB, so one leaked a thread would be
# 700 MiB.
GROWTH_KIB = 512


class Churn(TestCase):
    def test_each_thread_is_counted_and_leaves_nothing_behind(self):
        workload = self.started(Workload("--thread-churn", THREADS, "--keys", 7))
        tool = self.started(Hist("-p", workload.pid))
        workload.go()
        self.assertEqual(workload.wait(60 + THREADS / 1000), 0, workload)
        self.assertEqual(tool.wait(), 0, tool)
        self.assert_all_seen(tool.last())
        self.assertEqual(tool.counts(), workload.truth())
        self.assertEqual(sum(tool.counts().values()), 3 * THREADS)
        resident = last_line(workload.out)["rss_kib"]
        if not harness.SANITIZED:
            self.assertLess(resident["after"] - resident["before"], GROWTH_KIB, resident)


if __name__ == "__main__":
    harness.main()
