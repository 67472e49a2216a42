# SPDX-License-Identifier: MIT
"""A command is counted until it has ended, whoever asks it to; what it leaves behind is told."""

import json
import os
import signal
import subprocess

import harness
from harness import Hist, Program, TOOL, run, wait_until
from verified_test import NOT_VERIFIED, Built

WAITS = 23  # of the program of these tests
SOON = 2 * harness.PATIENCE  # seconds in which a shell has set its traps


class Asked(Built):
    """A shell that runs the program when it is asked to end: all its waits come after that."""

    def command(self, number):
        return ["sh", "-c", f"trap 'exec {self.program}' {number}; echo ready >&2; while :; do sleep 0.02; done"]

    def assert_counted(self, tool, status):
        self.assertEqual(tool.wait(), status, tool)
        self.assertEqual(tool.last()["coverage"], {"observed": WAITS, "lost": 0}, tool)
        self.assertEqual([series["count"] for series in tool.last()["series"]], [WAITS])

    def test_by_time(self):
        for options in ((), ("-i", "0.05")):
            tool = self.started(Hist("-d", SOON, *options, "--", *self.command("TERM")))
            self.assertEqual(tool.wait(), 0, tool)
            self.assertEqual(sum(series["count"] for snapshot in tool.snapshots() for series in snapshot["series"]), WAITS, tool)

    def test_by_a_signal_to_the_tool(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            tool = self.started(Hist("--", *self.command(number.name[3:])))
            wait_until(lambda tool=tool: "ready" in tool.err, "the command runs")
            tool.signal(number)
            self.assert_counted(tool, 0)

    def test_by_a_signal_that_it_ignores(self):
        # As SIGINT is by what a script has put into the background.
        ignoring = lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)
        tool = self.started(Hist("--", *self.command("TERM"), preexec_fn=ignoring))
        wait_until(lambda: "ready" in tool.err, "the command runs")
        tool.signal(signal.SIGINT)
        self.assert_counted(tool, 0)

    def test_its_time_is_up_and_then_somebody_asks_too(self):
        # The first signal is passed on, as it is without a time.
        command = ["sh", "-c", f"trap : TERM; trap 'exec {self.program}' INT; echo ready >&2; while :; do sleep 0.02; done"]
        tool = self.started(Hist("-d", SOON, "--", *command))
        wait_until(lambda: "waiting for the command to end" in tool.err, "its time was up")
        tool.signal(signal.SIGINT)
        self.assert_counted(tool, 0)

    def test_somebody_asks_and_then_its_time_is_up(self):
        command = ["sh", "-c", f"trap 'sleep {2 * SOON}; exit 7' INT; trap 'exit 8' TERM; echo ready >&2; while :; do sleep 0.02; done"]
        tool = self.started(Hist("-d", SOON, "--", *command))
        wait_until(lambda: "ready" in tool.err, "the command runs")
        tool.signal(signal.SIGINT)
        self.assertEqual(tool.wait(), 7, tool)

    def test_a_recording_says_why_it_ended(self):
        recording = os.path.join(self.folder.name, "r.jsonl")
        ran = run(TOOL, "record", "-o", recording, "--overwrite", "-d", SOON, "--", *self.command("TERM"))
        self.assertEqual(ran.process.returncode, 0, ran)
        with open(recording, encoding="utf-8") as lines:
            self.assertEqual(json.loads(list(lines)[-1]), {"waitprobe_end": "time was up"})
        self.assertRegex(run(TOOL, "report", recording).out, rf"(?m)^{WAITS} waits in .*none was lost$")

    def test_slow_shows_what_comes_then(self):
        ran = run(TOOL, "slow", "--min", "0", "-d", SOON, "--", *self.command("TERM"))
        self.assertEqual(ran.process.returncode, 0, ran)
        self.assertIn(f"{WAITS} waits in ", ran.err)

    def test_who_does_not_wait_for_it_is_told_that_it_goes_on(self):
        tool = self.started(Hist("--", "sh", "-c", "trap '' TERM INT; echo ready >&2; while :; do sleep 0.02; done", json_output=False,
                                 start_new_session=True))
        self.addCleanup(lambda: subprocess.run(["pkill", "-KILL", "-s", str(tool.pid)], check=False))
        wait_until(lambda: "ready" in tool.err, "the command runs")
        tool.signal(signal.SIGTERM)
        wait_until(lambda: "waiting for the command to end" in tool.err, "it says what it waits for")
        tool.signal(signal.SIGTERM)
        self.assertEqual(tool.wait(), 128 + signal.SIGTERM, tool)
        self.assertRegex(tool.out, r"(?m)^not verified: sh \(\d+( and \d+ more)?\)$")
        self.assertIn("still running", tool.out)


class LeftBehind(Built):
    def test_what_has_not_come_to_its_program_yet(self):
        # It lives until the end of the standard input that it has from us.
        read_end, write_end = os.pipe()
        self.addCleanup(os.close, write_end)
        for words in (["hist"], ["slow", "--min", "1h"], ["record", "-o", "-"]):
            ran = Program([TOOL, *words, "--", "sh", "-c", f"exec 3<&0; (read line; exec {self.program}) <&3 & exit 0"], stdin=read_end)
            self.assertEqual(self.started(ran).wait(), NOT_VERIFIED, ran)
            self.assertIn("not verified" if words != ["record", "-o", "-"] else "still running", ran.out + ran.err)
        os.close(read_end)

    def test_nothing_is_left(self):
        ran = run(TOOL, "hist", "--", "sh", "-c", f"{self.program} & wait")
        self.assertEqual(ran.process.returncode, 0, ran)
        self.assertIn("none was lost", ran.out)


if __name__ == "__main__":
    harness.main()
