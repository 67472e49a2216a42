# SPDX-License-Identifier: MIT
"""A process whose memory lies harms nobody but itself: no crash, no hang, no memory without bound, and others are counted exactly."""

import json
import re
import resource
import subprocess
import time
import unittest

import harness
from harness import Hist, Program, TestCase, Workload, counts_of, run

LIES = ("wild-counters", "null-counters", "huge-counts", "wild-chunks", "endless-chunks", "counter-ring", "many-blocks", "open-slots")
MOST_SECONDS = 10
MOST_OPEN = 65_536  # waits that stuck takes of a process
MOST_KIB = 300 * 1024


class Liars(TestCase):
    def lie(self, name, *options):
        liar = self.started(Program([harness.built("waitprobe-liar"), name], stdin=subprocess.PIPE))
        harness.wait_until(lambda: "ready" in liar.out, "the liar stands ready")
        honest = self.started(Workload("--threads", 2, "--waits", 2003, "--keys", 3))
        tool = self.started(Hist("-p", liar.pid, "-p", honest.pid, "-i", "0.1", *options))
        began = time.monotonic()
        # Before the lie, so that the first histogram is the honest one's; but for the lie that leaves no room for it.
        if name != "many-blocks":
            honest.go()
        harness.wait_until(lambda: "lied" in liar.out, "the liar has lied")
        if name == "many-blocks":
            honest.go()
        self.assertEqual(honest.wait(), 0)
        listed = run(harness.TOOL, "list", "--json", "-p", liar.pid)
        self.assertEqual(listed.process.returncode, 0, listed)
        stuck = run(harness.TOOL, "stuck", "--json", "--stack", "--older", "0", "-p", liar.pid)
        self.assertIn(stuck.process.returncode, (0, 3), stuck.err)
        if name == "open-slots":
            self.assertEqual(len(json.loads(stuck.out)["open"]), MOST_OPEN)
        liar.process.stdin.close()
        liar.wait()
        self.assertEqual(tool.wait(), 0, tool)
        if not harness.SANITIZED:  # which takes twenty times as long for the JSON of all those waits
            self.assertLess(time.monotonic() - began, MOST_SECONDS)
        counts = {}
        for snapshot in tool.snapshots():
            for key, count in counts_of(snapshot, honest.pid).items():
                counts[key] = counts.get(key, 0) + count
        return counts, honest.truth(), tool

    def test_each_lie(self):
        for name in LIES:
            with self.subTest(lie=name):
                counts, truth, tool = self.lie(name)
                if name == "many-blocks":  # which may have taken the room that the honest one's blocks need: that is told
                    lost = sum(s["losses"]["blocks_full"] for s in tool.snapshots())
                    self.assertGreater(lost, 0)
                else:
                    self.assertEqual(counts, truth)
        if not harness.SANITIZED:
            self.assertLess(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, MOST_KIB)

    @unittest.skipIf(harness.SANITIZED, "a sanitizer keeps what was freed")
    def test_memory_stays_flat_while_blocks_move(self):
        liar = self.started(Program([harness.built("waitprobe-liar"), "rotating"], stdin=subprocess.PIPE))
        harness.wait_until(lambda: "ready" in liar.out, "the liar stands ready")
        tool = self.started(Hist("-p", liar.pid, "-i", "0.01"))
        harness.wait_until(lambda: "lied" in liar.out, "the liar has lied")

        def rss_after(snapshots):
            harness.wait_until(lambda: tool.out.count("\n") >= snapshots, f"{snapshots} looks")
            with open(f"/proc/{tool.pid}/status", encoding="ascii", errors="replace") as status:
                return int(re.search(r"^VmRSS:\s+(\d+)", status.read(), re.M)[1])

        before = rss_after(20)
        self.assertLess(rss_after(120) - before, 2048)  # KiB; by address it would be 100 for each look
        liar.process.stdin.close()
        liar.wait()
        self.assertEqual(tool.wait(), 0, tool)


if __name__ == "__main__":
    harness.main()
