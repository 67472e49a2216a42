# SPDX-License-Identifier: MIT
"""A process whose memory lies harms nobody but itself: no crash, no hang, no memory without bound, and others are counted exactly.
A file whose notes lie loses its own waits, and that is told."""

import json
import os
import platform
import re
import resource
import subprocess
import tempfile
import time
import unittest

import harness
from harness import Hist, Program, TestCase, Workload, counts_of, run
from verified_test import NOT_VERIFIED

LIES = ("wild-counters", "null-counters", "huge-counts", "wild-chunks", "endless-chunks", "counter-ring", "many-blocks", "open-slots",
        "wild-ring", "long-ring", "ones-counters")
MOST_SECONDS = 10 * harness.PATIENCE
MOST_OPEN = 65_536  # waits that stuck takes of a process
MOST_KIB = 300 * 1024


class Liars(TestCase):
    def lie(self, name, *options):
        liar = self.started(Program([harness.built("waitprobe-liar"), name], stdin=subprocess.PIPE))
        harness.wait_until(lambda: "ready" in liar.out, "the liar stands ready")
        honest = self.started(Workload("--threads", 2, "--waits", 2003, "--keys", 3))
        tool = self.started(Hist("-p", liar.pid, "-p", honest.pid, "-i", "0.1", *options))
        began = time.monotonic()
        # Before the lie, so that the first histogram is the honest one's; but for lies that leave no room for it, or something behind.
        is_after = name in ("many-blocks", "ones-counters")
        if not is_after:
            honest.go()
        harness.wait_until(lambda: "lied" in liar.out, "the liar has lied")
        if is_after:
            honest.go()
        self.assertEqual(honest.wait(), 0)
        listed = run(harness.TOOL, "list", "--json", "-p", liar.pid)
        self.assertEqual(listed.process.returncode, 0, listed)
        stuck = run(harness.TOOL, "stuck", "--json", "--stack", "--older", "0", "-p", liar.pid)
        self.assertIn(stuck.process.returncode, (0, 3, 4), stuck.err)
        if name == "open-slots":
            self.assertEqual(len(json.loads(stuck.out)["open"]), MOST_OPEN)
        liar.process.stdin.close()
        liar.wait()
        # Where it shows more copies than there was room to tell of, that is said.
        self.assertIn(tool.wait(), (0, NOT_VERIFIED) if name == "many-blocks" else (0,), tool)
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


class Notes(TestCase):
    """Copies of the workload whose note says of one argument that it stands in memory, and not where the programs read it."""

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.program = os.path.join(folder.name, "server")

    def break_argument(self, probe, index):
        """The address is in the third argument: a number, which is none."""
        with open(harness.built("waitprobe-workload"), "rb") as file:
            whole = file.read()
        (note,) = re.finditer(b"\0waitprobe\0" + probe.encode() + b"\0([^\0]+)\0", whole)
        arguments = note.group(1).split()
        register = arguments[2].split(b"@")[1]
        broken = b"8@[%s]" if platform.machine() == "aarch64" else b"8@(%s)"
        text = b" ".join([*arguments[:index], broken % register])
        self.assertLessEqual(len(text), len(note.group(1)))
        with open(self.program, "wb") as file:
            file.write(whole[:note.start(1)] + text.ljust(len(note.group(1)), b"\0") + whole[note.end(1):])
        os.chmod(self.program, 0o700)

    def test_a_file_whose_arguments_are_elsewhere_is_refused(self):
        for probe, index, tool in (("wait_batch", 0, "hist"), ("wait_block", 0, "hist"), ("wait_slow_1ms", 2, "slow")):
            with self.subTest(probe=probe):
                self.break_argument(probe, index)
                workload = self.started(Workload(program=self.program))
                refused = run(harness.TOOL, tool, "-p", workload.pid, "-d", "1")
                self.assertEqual(refused.process.returncode, 1, refused)
                self.assertRegex(refused.err, rf"cannot attach to probe waitprobe:{probe} of .*: its arguments are not where they are read: ")
                workload.go()
                self.assertEqual(workload.wait(), 0, workload)


if __name__ == "__main__":
    harness.main()
