# SPDX-License-Identifier: MIT
"""Waits that a longjmp has left: they cost others nothing, they are told of as what they are, and no other wait is lost by them."""

import json
import os

import harness
from harness import TOOL, Hist, Program, TestCase, built, run, wait_until

JUMPS = built("waitprobe-jumps")
TRACKED = {"WAITPROBE_TRACK": "1"}
# How many of those that were left may not be known as such by the end.
OPEN_AT_MOST = {
    ("one-place", 20_000): 1, ("one-place", 600_000): 1, ("many-places", 100_000): 150, ("ever-deeper", 3_000): 3_000,
    ("ever-higher", 3_000): 3_000, ("threads", 2_000): 3 * 2_000, ("inside-others", 10_000): 60, ("handlers", 5_000): 2}
MUST_BE_EXACT = [("exceptions", 1_000), ("coroutines", 1_000), ("fibres", 1_000)]


def truth_of(text):
    return json.loads(next(line for line in text.splitlines() if line.startswith('{"left"')))


class Counted(TestCase):
    def counted(self, kind, number):
        tool = self.started(Hist("--", JUMPS, kind, str(number)))
        self.assertEqual(tool.wait(), 0, tool)
        snapshot = tool.last()
        truth = truth_of(tool.out)
        self.assertEqual(tool.counts(), truth["keys"])
        self.assert_all_seen(snapshot)
        return snapshot.get("abandoned", 0), truth["left"]

    def test_those_that_were_left_are_counted_as_abandoned_and_lose_nothing(self):
        for (kind, number), open_at_most in OPEN_AT_MOST.items():
            with self.subTest(kind=kind, number=number):
                abandoned, left = self.counted(kind, number)
                self.assertLessEqual(abandoned, left)
                self.assertGreaterEqual(abandoned, left - open_at_most)

    def test_those_that_end_are_exact(self):
        for kind, number in MUST_BE_EXACT:
            with self.subTest(kind=kind):
                self.assertEqual(self.counted(kind, number), (0, 0))

    # Of 20,000 blocks of one thread, and those of others behind them.
    def test_waits_that_are_never_stopped_hide_no_others(self):
        self.assertEqual(self.counted("never-stopped", 600_000), (0, 0))

    def test_the_text_tells_of_them_and_blames_no_threads(self):
        ran = run(TOOL, "hist", "--", JUMPS, "one-place", "20000")
        self.assertEqual(ran.process.returncode, 0, ran)
        self.assertIn("19999 waits abandoned: left by longjmp", ran.out)
        self.assertIn("none was lost", ran.out)
        self.assertNotIn("thread", ran.out)


class Staying(Program):
    def __init__(self, kind, number, env=None):
        child_in, self.stdin_fd = os.pipe()
        super().__init__([JUMPS, kind, number, "stay"], stdin=child_in, env=env)
        os.close(child_in)
        wait_until(lambda: '{"left"' in self.out or self.process.poll() is not None, "the waits were left")

    def wait_once(self):
        before = self.out.count("waited")
        os.write(self.stdin_fd, b"w")
        wait_until(lambda: self.out.count("waited") > before, "it has waited")

    def kill(self):
        super().kill()
        if self.stdin_fd is not None:
            os.close(self.stdin_fd)
            self.stdin_fd = None


class AttachedLate(TestCase):
    # The blocks beyond the first of a thread must not be remembered in the place of the first.
    def test_a_thread_with_many_open_waits_is_exact(self):
        target = self.started(Staying("never-stopped", 20_000, TRACKED))
        tool = self.started(Hist("-p", target.pid))
        for _ in range(3):
            target.wait_once()
        self.assertEqual(tool.stop(), 0, tool)
        self.assertEqual(tool.counts(), {"jumps.elsewhere": 3})
        self.assert_all_seen(tool.last())

    def test_those_that_were_left_before_are_not_told_of(self):
        target = self.started(Staying("one-place", 20_000, TRACKED))
        tool = self.started(Hist("-p", target.pid))
        target.wait_once()
        self.assertEqual(tool.stop(), 0, tool)
        self.assertNotIn("abandoned", tool.last())
        self.assertEqual(tool.counts(), {"jumps.elsewhere": 1})


class Stuck(TestCase):
    def stuck(self, target):
        ran = run(TOOL, "stuck", "--json", "--older", "0", "-p", target.pid)
        return json.loads(ran.out), ran.process.returncode

    def test_only_the_last_one_of_a_place_is_listed(self):
        target = self.started(Staying("one-place", 20_000, TRACKED))
        found, status = self.stuck(target)
        self.assertLessEqual(len(found["open"]), 1)
        self.assertNotIn("crowded", found)
        # That of a main thread is as old as it, and so nothing to worry about.
        self.assertEqual(status, 3 if any("meant_to_last" not in wait for wait in found["open"]) else 0, found)

    def test_those_of_threads_that_have_ended_are_bounded(self):
        target = self.started(Staying("many-places", 100_000, TRACKED))
        self.assertLessEqual(len(self.stuck(target)[0]["open"]), 150)

    # More than can be listed: that there are more is told.
    def test_that_there_are_more_than_are_read_is_told(self):
        target = self.started(Staying("never-stopped", 100_000, TRACKED))
        found, status = self.stuck(target)
        self.assertEqual(len(found["open"]), 65_536)
        self.assertEqual(found["crowded"], [target.pid])
        self.assertEqual(status, 3)
        text = run(TOOL, "stuck", "-p", target.pid, "--older", "1h")
        self.assertIn("no wait seen open", text.out)
        self.assertIn("more than 65,536 waits that are open", text.out)
        self.assertEqual(text.process.returncode, 4)


if __name__ == "__main__":
    harness.main()
