# SPDX-License-Identifier: MIT
"""Waits that a longjmp has left: they cost others nothing, they are told of as what they are, and no other wait is lost by them."""

import json
import os
import signal
import tempfile

import harness
from harness import TOOL, Hist, Program, TestCase, armed_word, built, run, wait_until

JUMPS = built("waitprobe-jumps")
TRACKED = {"WAITPROBE_TRACK": "1"}
# How many of those that were left may not be known as such by the end.
OPEN_AT_MOST = {
    ("one-place", 20_000): 1, ("one-place", 600_000): 1, ("many-places", 100_000): 150, ("ever-deeper", 3_000): 3_000,
    ("ever-higher", 3_000): 3_000, ("threads", 2_000): 3 * 2_000, ("inside-others", 10_000): 60, ("handlers", 5_000): 2}
TRANSPORTS = ([], ["--per-event"])
MUST_BE_EXACT = [("exceptions", 1_000), ("coroutines", 1_000), ("fibres", 1_000)]


def truth_of(text):
    return json.loads(next(line for line in text.splitlines() if line.startswith('{"left"')))


class Counted(TestCase):
    def counted(self, kind, number, *options):
        tool = self.started(Hist(*options, "--", JUMPS, kind, str(number)))
        self.assertEqual(tool.wait(), 0, tool)
        snapshot = tool.last()
        truth = truth_of(tool.out)
        self.assertEqual(tool.counts(), truth["keys"])
        self.assert_all_seen(snapshot)
        return snapshot.get("abandoned", 0), truth["left"]

    def test_those_that_were_left_are_counted_as_abandoned_and_lose_nothing(self):
        for options in TRANSPORTS:
            for (kind, number), open_at_most in OPEN_AT_MOST.items():
                with self.subTest(options=options, kind=kind, number=number):
                    abandoned, left = self.counted(kind, number, *options)
                    self.assertLessEqual(abandoned, left)
                    self.assertGreaterEqual(abandoned, left - open_at_most)

    def test_those_that_end_are_exact(self):
        for options in TRANSPORTS:
            for kind, number in MUST_BE_EXACT:
                with self.subTest(options=options, kind=kind):
                    self.assertEqual(self.counted(kind, number, *options), (0, 0))

    # Stacks that look as if they were one: what ends after all is lost, and is told of as that alone.
    def test_those_that_end_after_all_are_losses(self):
        for options in TRANSPORTS:
            with self.subTest(options=options):
                ran = run(TOOL, "hist", *options, "--json", "--", JUMPS, "fibres", "6000")
                snapshot, truth = json.loads(ran.out.splitlines()[-1]), truth_of(ran.out)
                stale = snapshot["losses"]["stale"]
                self.assertGreater(stale, 0)
                self.assertEqual(snapshot["coverage"], {"observed": sum(truth["keys"].values()) - stale, "lost": stale})
        text = run(TOOL, "hist", "--", JUMPS, "fibres", "6000")
        self.assertIn("lost: stale", text.out)
        self.assertNotIn("longjmp", text.out)

    # Of 20,000 blocks of one thread, and those of others behind them.
    def test_waits_that_are_never_stopped_hide_no_others(self):
        self.assertEqual(self.counted("never-stopped", 600_000), (0, 0))
        self.assertEqual(self.counted("never-stopped", 20_000, "--per-event"), (0, 0))

    def test_the_text_tells_of_them_and_blames_no_threads(self):
        ran = run(TOOL, "hist", "--", JUMPS, "one-place", "20000")
        self.assertEqual(ran.process.returncode, 0, ran)
        self.assertIn("19999 waits abandoned: a longjmp left them open", ran.out)
        self.assertIn("none was lost", ran.out)
        self.assertNotIn("thread", ran.out)


class Recorded(TestCase):
    def test_a_recording_keeps_how_many_there_were(self):
        with tempfile.TemporaryDirectory() as folder:
            file, page = os.path.join(folder, "recording"), os.path.join(folder, "page.html")
            recorded = run(TOOL, "record", "-o", file, "--", JUMPS, "one-place", "20000")
            self.assertEqual(recorded.process.returncode, 0, recorded)
            line = "19999 waits abandoned: a longjmp left them open"
            self.assertIn(line, run(TOOL, "report", file).out)
            self.assertEqual(json.loads(run(TOOL, "report", "--json", file).out.splitlines()[-1])["abandoned"], 19_999)
            run(TOOL, "report", "--html", page, file)
            with open(page, encoding="utf-8") as text:
                self.assertIn(line, text.read())


class Staying(Program):
    def __init__(self, kind, number, env=None):
        child_in, self.stdin_fd = os.pipe()
        super().__init__([JUMPS, kind, number, "stay"], stdin=child_in, env=env)
        os.close(child_in)
        wait_until(lambda: '{"left"' in self.out or self.process.poll() is not None, "the waits were left")

    def do(self, what):
        before = self.out.count("done")
        os.write(self.stdin_fd, what)
        wait_until(lambda: self.out.count("done") > before, "it has done so")

    def wait_once(self):
        self.do(b"w")

    def leave_again(self):
        self.do(b"l")

    def open_one(self):
        self.do(b"o")

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

    def test_those_that_are_left_from_then_on_are_told_of(self):
        for options in TRANSPORTS:
            with self.subTest(options=options):
                target = self.started(Staying("one-place", 20_000))
                tool = self.started(Hist("-p", target.pid, *options))
                target.leave_again()
                target.wait_once()
                self.assertEqual(tool.stop(), 0, tool)
                self.assertEqual(tool.last().get("abandoned"), 19_999)
                self.assertEqual(tool.counts(), {"jumps.elsewhere": 1})
                self.assert_all_seen(tool.last())


# How many of those that were left may be listed as open: of one place the last, of others what fills the blocks that a start looks at.
LISTED_AT_MOST = {("one-place", 20_000): 1, ("many-places", 1_000): 5 * 31, ("many-places", 100_000): 5 * 31, ("ever-higher", 3_000): 1,
                  ("inside-others", 3_000): 5 * 31, ("handlers", 3_000): 31, ("exceptions", 1_000): 0, ("coroutines", 1_000): 0,
                  ("fibres", 1_000): 0}


class Stuck(TestCase):
    def test_few_of_those_that_were_left_are_listed_and_no_others(self):
        for (kind, number), at_most in LISTED_AT_MOST.items():
            with self.subTest(kind=kind, number=number):
                target = self.started(Staying(kind, number, TRACKED))
                found, _ = self.stuck(target)
                self.assertLessEqual(len(found["open"]), at_most, [wait["key"] for wait in found["open"]])
                self.assertTrue(all(wait["key"].startswith("jumps.left.") for wait in found["open"]), found)
                self.assertNotIn("crowded", found)
                target.kill()

    def test_one_that_is_open_stays_so_among_those_that_are_left(self):
        for kind, number in (("one-place", 20_000), ("many-places", 100_000), ("inside-others", 3_000), ("never-stopped", 20_000)):
            with self.subTest(kind=kind):
                target = self.started(Staying(kind, number, TRACKED))
                target.open_one()
                target.leave_again()
                found, _ = self.stuck(target)
                self.assertEqual([wait["key"] for wait in found["open"]].count("jumps.around"), 1)
                target.kill()

    # Who looks later sees what was left open while somebody listened, and says that there may be more.
    def test_those_that_are_left_while_watch_listens(self):
        target = self.started(Staying("one-place", 20_000))
        found, status = self.stuck(target)
        self.assertEqual((found["open"], found["untracked"], status), ([], [target.pid], 4))
        watch = self.started(Program([TOOL, "stuck", "--watch", "-i", "0.05", "--json", "--older", "0", "-p", target.pid]))
        wait_until(lambda: armed_word(target.pid), "it listens")
        target.leave_again()
        seen = watch.out.count("\n")
        wait_until(lambda: watch.out.count("\n") > seen + 1, "it has looked again")
        watch.signal(signal.SIGINT)
        self.assertIn(watch.wait(), (0, 3, 4), watch)
        looks = [json.loads(line) for line in watch.out.splitlines()]
        self.assertEqual(max(len(look["open"]) for look in looks), 1)
        found, _ = self.stuck(target)
        self.assertLessEqual(len(found["open"]), 1)
        self.assertEqual(found["untracked"], [target.pid])

    def stuck(self, target):
        ran = run(TOOL, "stuck", "--json", "--older", "0", "-p", target.pid)
        return json.loads(ran.out), ran.process.returncode

    def test_only_the_last_one_of_a_place_is_listed(self):
        target = self.started(Staying("one-place", 20_000, TRACKED))
        found, status = self.stuck(target)
        self.assertLessEqual(len(found["open"]), 1)
        self.assertNotIn("crowded", found)
        self.assertEqual(status, 3 if found["open"] else 0, found)

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
        self.assertIn("No wait was found open", text.out)
        self.assertIn("more than 65,536 waits are open", text.out)
        self.assertEqual(text.process.returncode, 4)


if __name__ == "__main__":
    harness.main()
