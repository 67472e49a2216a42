# SPDX-License-Identifier: MIT
"""A session that sees very much come and go: it counts all of it, and does not grow."""

import os
import time

import harness
from harness import Hist, TestCase, Workload, built, kernel_maps

TIMES = int(os.environ.get("WAITPROBE_PASSING", "1"))
LISTED = 10_000  # ended processes, and keys of a process, that are told apart
DEADLINE_S = 300 * TIMES


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def told(tool, word):
    """What the program has said last of this."""
    values = [int(line.split()[1]) for line in tool.out.splitlines() if line.startswith(word + " ")]
    return values[-1] if values else 0


class Passing(TestCase):
    def pass_by(self, what, cnt, *more, options=(), since_tenth=2, growth_kib=4096):
        """Returns the last snapshot."""
        tool = self.started(Hist(*options, "--", built("waitprobe-passing"), what, cnt, *more))
        sizes = {}
        deadline = time.monotonic() + DEADLINE_S
        while tool.process.poll() is None and told(tool, "waits") == 0:
            self.assertLess(time.monotonic(), deadline, tool)
            tenth = told(tool, "tenths")
            try:
                sizes.setdefault(tenth, (resident_kib(tool.pid), sum(kernel_maps(tool.pid).values()) >> 10))
            except (OSError, StopIteration):
                pass  # it has just ended
            time.sleep(0.02)
        self.assertEqual(tool.wait(DEADLINE_S), 0, tool)
        snapshot = tool.last()
        self.assert_all_seen(snapshot)
        self.assertNotIn("unverified", snapshot)
        self.assertNotIn("attached_late", snapshot)
        self.assertEqual(sum(series["count"] for series in snapshot["series"]), told(tool, "waits"))
        last = max(sizes)
        self.assertGreater(last, since_tenth, sizes)
        first = min(tenth for tenth in sizes if tenth >= since_tenth)
        for before, after in zip(sizes[first], sizes[last]):
            self.assertLess(after - before, growth_kib, sizes)
        return snapshot

    def test_processes(self):
        cnt = 20_000 * TIMES
        # Until there are as many as are told apart, it grows.
        snapshot = self.pass_by("processes", cnt, since_tenth=6 if TIMES == 1 else 2, growth_kib=8192)
        # Those that are added up are few rows, and those that are not have seven each.
        added_up = snapshot["added_up"]
        self.assertGreaterEqual(added_up, cnt - LISTED - LISTED // 5)
        of_program = [series for series in snapshot["series"] if series["pid"] == 0]
        self.assertEqual([series["processes"] for series in of_program], 7 * [added_up])
        self.assertEqual(len(snapshot["series"]), 7 * (cnt - added_up) + 7)

    def test_processes_in_a_small_pool(self):
        self.pass_by("processes", 3000, options=["--max-series", 6000], since_tenth=2, growth_kib=65536)

    def test_a_pool_that_is_nearly_used_up(self):
        # Whatever is given back comes again at once.
        workload = self.started(Workload("--threads", 4, "--keys", 30, "--loop", 2, "--pattern", "none"))
        tool = self.started(Hist("-i", "0.05", "--max-series", "96", "-p", workload.pid))
        workload.go()
        self.assertEqual(workload.wait(), 0, workload)
        self.assertEqual(tool.wait(), 0, tool)
        counts = {}
        for snapshot in tool.snapshots():
            self.assert_all_seen(snapshot)
            for key, count in harness.counts_of(snapshot).items():
                counts[key] = counts.get(key, 0) + count
        self.assertEqual(counts, workload.truth())

    def test_programs(self):
        self.pass_by("programs", 2000 * TIMES, growth_kib=16384 if TIMES == 1 else 65536)

    def test_threads(self):
        self.pass_by("threads", 50_000 if TIMES == 1 else 1_000_000, growth_kib=2048)

    def test_keys(self):
        snapshot = self.pass_by("keys", 100_000)
        self.assertEqual(len(snapshot["series"]), LISTED + 1)
        others = [series["count"] for series in snapshot["series"] if series["key"] == "(other keys)"]
        self.assertEqual(others, [100_000 - LISTED])

    def test_plugins(self):
        self.pass_by("plugins", 300 if TIMES == 1 else 1000, built("passing-plugin.so"), growth_kib=2048)


if __name__ == "__main__":
    harness.main()
