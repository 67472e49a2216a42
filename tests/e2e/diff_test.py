# SPDX-License-Identifier: MIT
"""What has really changed is called a change, and what has not is not, a hundred times."""

import itertools
import json
import os
import shutil
import tempfile

import harness
from harness import TOOL, TestCase, run
from made_recordings import ZONE, waits_of, write_recording

FIGURES = ("count_per_s", "total_ns_per_s", "mean_ns", "p50_ns", "p99_ns")


def intervals_of(file):
    with open(file, encoding="utf-8", errors="surrogateescape") as lines:
        return [line for line in map(json.loads, lines) if "waitprobe" in line]


def spread(middle):
    """Twenty numbers around it, which vary as little in one recording as in the next."""
    return [middle + middle * (7 * i % 11 - 5) // 100 for i in range(20)]


class Diff(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="waitprobe-diff-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)

    @classmethod
    def recorded(cls, name, hold_ns, seconds, interval_s=0.02):
        """A recording of waits that take so long."""
        file = os.path.join(cls.folder, name)
        if not os.path.exists(file):
            tool = run(TOOL, "record", "-o", file, "-i", interval_s, "--", harness.built("waitprobe-workload"), "--threads", 2, "--keys", 3,
                       "--loop", seconds, "--pattern", "spin", "--hold-ns", hold_ns)
            assert tool.process.returncode == 0, tool
        return file

    def diff(self, *words, status=0, **options):
        program = run(TOOL, "diff", *words, **options)
        self.assertEqual(program.process.returncode, status, program)
        return program

    def compared(self, *words):
        return json.loads(self.diff(*words, "--json").out)

    def made(self, name, keys=(), members=None, interval_s=1, ms=1, **counts):
        """A recording of so many waits in each of its seconds, by key."""
        seconds = max(len(count) for count in counts.values())
        intervals = [[waits_of(key, count[i], ms) for key, count in counts.items()] for i in range(seconds)]
        return write_recording(os.path.join(self.folder, name), "2026-11-27 22:46:00", intervals, interval_s=interval_s, keys=keys, **(members or {}))

    def quick(self):
        return self.made("quick", interval_s=0.02, **{f"work.{i}": spread(400) for i in range(3)})

    def slow(self):
        """Half as many, which take twice as long."""
        return self.made("slow", interval_s=0.02, ms=2, **{f"work.{i}": spread(200) for i in range(3)})


class NoChange(Diff):
    def test_a_hundred_times(self):
        pairs, intervals = 100, 10
        file = self.recorded("steady", 50_000, 24)
        # Parts of as many intervals each: on a busy machine they are longer.
        ends_s = list(itertools.accumulate(line["elapsed_ns"] / 1e9 for line in intervals_of(file)))[::intervals]
        part = [f"{begin:.6f}..{end:.6f}" for begin, end in zip(ends_s, ends_s[1:])]
        self.assertGreater(len(part), pairs / 2, "it has recorded")
        alarms = []
        for a, b in list(zip(part, part[1:]))[:pairs]:
            compared = self.compared(file, "--a", a, "--b", b)
            self.assertEqual(len(compared["keys"]), 3)
            self.assertGreaterEqual(compared["a"]["batches"], intervals - 3)
            self.assertNotEqual({key["mean_ns"]["verdict"] for key in compared["keys"]}, {"unknown"}, "they are compared")
            found = [(a, key["key"], figure, key[figure]) for key in compared["keys"] for figure in FIGURES
                     if key[figure]["verdict"] not in ("no change", "unknown")]
            if found:
                alarms.append(found)
        self.assertLessEqual(len(alarms), 5, alarms)


class Changes(Diff):
    def test_waits_that_take_twice_as_long(self):
        # How many there are, and the mean, depend on what else the machine does.
        quick, slow = self.recorded("50us", 50_000, 2), self.recorded("100us", 100_000, 2)
        compared = self.compared(quick, slow)
        self.assertEqual(len(compared["keys"]), 3)
        for key in compared["keys"]:
            self.assertIn("p50_ns", key["worse"], key)
            self.assertEqual(key["p50_ns"]["verdict"], "worse", key)
            self.assertAlmostEqual(key["p50_ns"]["ratio"], 2, delta=0.15, msg=key)
            self.assertLess(key["p50_ns"]["ratio_least"], key["p50_ns"]["ratio"], key)
        for key in self.compared(slow, quick)["keys"]:
            self.assertEqual(key["p50_ns"]["verdict"], "better", key)

    def test_half_as_many_that_take_twice_as_long(self):
        for a, b, verdict, verdicts in ((self.quick(), self.slow(), "worse", ["less", "no change", "worse", "worse", "worse"]),
                                        (self.slow(), self.quick(), "better", ["more", "no change", "better", "better", "better"])):
            compared = self.compared(a, b)
            self.assertEqual(len(compared["keys"]), 3)
            for key in compared["keys"]:
                self.assertEqual((key["verdict"], key[verdict]), (verdict, ["mean_ns", "p50_ns", "p99_ns"]), key)
                self.assertEqual([key[figure]["verdict"] for figure in FIGURES], verdicts, key)
                self.assertAlmostEqual(key["mean_ns"]["ratio"], 2 if verdict == "worse" else 0.5, delta=0.02, msg=key)

    def test_as_text(self):
        out = self.diff(self.quick(), self.slow(), "-k", "work.[01]").out
        self.assertRegex(out, r"\nwork\.[01] +worse: mean, p50, p99\n  count +7992 +3996\n  count/s .*  less\n  total/s .*\n  mean .* worse\n  p50 .* worse\n")
        self.assertIn("keys: 2 worse, 0 better, 0 without a change beyond noise", out)
        self.assertNotIn("work.2", out)

    def test_a_gate_is_shut_by_what_got_worse_by_more(self):
        shut = self.diff(self.quick(), self.slow(), "--gate", "10", status=3)
        self.assertEqual(shut.err.count("waitprobe: gate: work."), 3, shut)
        self.assertRegex(shut.err, r"gate: work\.0: (total/s|mean|p50|p99) is worse by (\+\d+\.\d %|x \d+\.\d)")
        self.assertEqual(self.diff(self.quick(), self.slow(), "--gate", "1000000").err, "")
        self.diff(self.slow(), self.quick(), "--gate", "0")
        self.diff(self.quick(), self.quick(), "--gate", "0")

    def test_a_gate_does_not_pass_what_was_lost(self):
        a, b = (write_recording(os.path.join(self.folder, name), "2026-11-27 22:46:00", [[waits_of("a", 30)]] * 20, **lost)
                for name, lost in (("kept", {}), ("lost", {"coverage": {"observed": 30, "lost": 70}, "losses": {"series_full": 70}})))
        for sides in ((a, b), (b, a)):
            passed = self.diff(*sides, "--gate", "10", status=4)
            self.assertEqual(passed.err, "waitprobe: gate: waits were lost; the result is uncertain\n")
        self.diff(a, a, "--gate", "10")

    def test_two_parts_of_one_recording(self):
        with open(self.quick(), encoding="ascii") as quick, open(self.slow(), encoding="ascii") as slow:
            lines, more = quick.readlines(), slow.readlines()
        both = os.path.join(self.folder, "both")
        with open(both, "w", encoding="ascii") as file:
            file.writelines(lines[:-1] + more[1:])
        middle = (json.loads(lines[-2])["time_unix_ns"] - json.loads(lines[0])["time_unix_ns"]) / 1e9
        compared = self.compared(both, "--a", f"..{middle}", "--b", f"{middle + 0.1}..")
        self.assertEqual({key["verdict"] for key in compared["keys"]}, {"worse"})

    def test_parts_in_which_nothing_was_recorded_are_refused(self):
        evening = write_recording(os.path.join(self.folder, "evening"), "2026-11-27 22:46:00", [[waits_of("a", 3)]] * 240)
        for a, b in (("12:00..12:05", "22:46..22:47"), ("22:46..22:47", "23:46..23:47")):
            refused = self.diff(evening, "--a", a, "--b", b, status=1, env=ZONE)
            self.assertRegex(refused.err, r"nothing was recorded from 2026-11-27 (12|23):.*\n  what was recorded is from 2026-11-27 22:46:00 to ")
            self.assertEqual(refused.out, "")
        compared = json.loads(self.diff(evening, "--a", "22:00..22:47", "--b", "22:48..22:50", "--json", env=ZONE).out)
        self.assertEqual([compared[side]["elapsed_ns"] for side in "ab"], [60 * 10**9, 120 * 10**9])

    def test_keys_of_one_side(self):
        other = os.path.join(self.folder, "renamed")
        with open(self.slow(), encoding="ascii") as slow, open(other, "w", encoding="ascii") as file:
            file.write(slow.read().replace("work.2", "\\u001b[31m"))
        program = self.diff(self.quick(), other, "--gate", "1000000", status=3)
        self.assertRegex(program.out, r"\nwork\.2 +gone, better: total/s\n  count +\d+ +-\n")
        self.assertRegex(program.out, r"\n\\x1b\[31m +new, worse: total/s\n  count +- +\d+\n")
        self.assertIn("1 new (1 beyond noise), 1 gone (1 beyond noise)", program.out)
        self.assertRegex(program.err, r"^waitprobe: gate: \\x1b\[31m: new, total/s is \S+s\n$")

    def test_too_little_cannot_be_told(self):
        compared = self.compared(self.quick(), "--a", "0..0.06", "--b", "0.1..0.16")
        # A key that one of the two has not met yet is new or gone, and that is all that is said of it.
        self.assertLessEqual({key["verdict"] for key in compared["keys"]}, {"unknown", "new", "gone"})
        self.assertEqual([key for key in compared["keys"] if key["worse"] or key["better"]], [])
        gate = self.diff(self.quick(), "--a", "0..0.06", "--b", "0.1..0.16", "--gate", "0", status=1)
        self.assertRegex(gate.out, r"(?m)^ +(total|count)/s .* unknown$")
        self.assertIn("cannot judge total/s, mean, p50, p99: no key has enough waits on both sides\n  record longer, or with a smaller -i", gate.err)

    def test_what_cannot_be_understood(self):
        for status, pattern, words in (
                (2, "FILE", []),
                (2, "nothing to compare with; give a second recording, or two parts", [self.quick()]),
                (2, "nothing to compare with", [self.quick(), "--a", "0..1"]),
                (2, "--a takes two times such as .* not '5'", [self.quick(), self.slow(), "--a", "5"]),
                (2, "--b takes two times such as .* not '5..x'", [self.quick(), self.slow(), "--b", "5..x"]),
                (2, "--gate-on takes some of total, mean, p50 and p99, .* not 'count'",
                 [self.quick(), self.slow(), "--gate", "1", "--gate-on", "mean,count"]),
                (2, "--gate-on takes some .* not ''", [self.quick(), self.slow(), "--gate", "1", "--gate-on", "mean,"]),
                (2, "--gate-on needs --gate PERCENT", [self.quick(), self.slow(), "--gate-on", "mean"]),
                (2, "--gate takes a percentage.* not '-1'", [self.quick(), self.slow(), "--gate=-1"]),
                (1, "cannot look at this part of .*quick: nothing was recorded from .* on\n  what was recorded is from", [self.quick(), self.slow(), "--a", "1h.."]),
                (1, "cannot open /nowhere", [self.quick(), "/nowhere"])):
            with self.subTest(words=words):
                program = self.diff(*words, status=status)
                self.assertRegex(program.err, pattern)
                self.assertEqual(program.out, "")


class Totals(Diff):
    """What a user loses is the time that is waited in a second, whatever a single wait takes."""

    def test_more_waits_of_the_same_length_are_worse(self):
        before, after = self.made("few", fsync=spread(100), other=spread(900)), self.made("many", fsync=spread(8_200), other=spread(900))
        program = self.diff(before, after, "--gate", "10%", status=3)
        self.assertRegex(program.out, r"\nfsync +worse: total/s\n")
        self.assertEqual(program.err, "waitprobe: gate: fsync: total/s is worse by x 82.0\n")
        fsync, other = self.compared(before, after)["keys"]
        self.assertEqual((fsync["key"], fsync["verdict"], fsync["worse"], fsync["better"]), ("fsync", "worse", ["total_ns_per_s"], []))
        self.assertEqual([fsync[figure]["verdict"] for figure in FIGURES], ["more", "worse", "no change", "no change", "no change"])
        self.assertEqual((other["verdict"], other["worse"]), ("no change", []))
        self.assertEqual(self.compared(after, before)["keys"][0]["better"], ["total_ns_per_s"])
        self.diff(before, after, "--gate", "9000")
        self.diff(after, before, "--gate", "0")
        for figures, status in (("mean,p99", 0), ("p50", 0), ("total", 3), ("p99,total/s", 3)):
            self.diff(before, after, "--gate", "10", "--gate-on", figures, status=status)

    def test_what_is_new_is_worse_unless_it_is_rare(self):
        rare = [0] * 19 + [30]
        before = self.made("without", other=spread(900), old=spread(300))
        after = self.made("with", other=spread(900), fresh=spread(2_000), rare=rare)
        program = self.diff(before, after, "--gate", "1000", status=3)
        self.assertEqual(program.err, "waitprobe: gate: fresh: new, total/s is 1.95s\n"
                                      "waitprobe: gate: 1 of 4 keys could not be judged (\"unknown\")\n")
        self.assertRegex(program.out, r"\nrare +new, unknown\n")
        keys = self.compared(before, after)["keys"]
        self.assertEqual([key["key"] for key in keys], ["fresh", "old", "rare", "other"], "by the change of the total")
        self.assertEqual([key["verdict"] for key in keys], ["new", "gone", "new", "no change"])
        self.assertEqual([key["total_ns_per_s"]["verdict"] for key in keys], ["worse", "better", "unknown", "no change"])
        self.diff(before, after, "--gate", "0", "--gate-on", "mean")
        self.diff(after, before, "--gate", "0", "-k", "fresh", "-k", "other")

    def test_what_hardly_was_there_is_as_good_as_new(self):
        before = self.made("hardly", other=spread(900), slow=[0] * 15 + [1] + [0] * 4)
        after = self.made("often", other=spread(900), slow=spread(200))
        program = self.diff(before, after, "--gate", "10", status=3)
        self.assertRegex(program.err, r"^waitprobe: gate: slow: total/s is worse by x \d+\.\d\n$")

    def test_a_gate_needs_something_that_it_can_judge(self):
        few = self.made("a", other=spread(4))  # 80 waits: less than one is beyond p99
        refused = self.diff(few, few, "--gate", "10", "--gate-on", "p99", status=1)
        self.assertIn("cannot judge p99: no key has enough waits", refused.err)
        self.diff(few, few, "--gate", "10")

    def test_processes_that_were_not_verified_are_told_of(self):
        late = {"pid": 7, "comm": "late", "file": "/late", "elapsed_ns": 5}
        unseen = {"pid": 8, "comm": "unseen", "file": "/unseen", "why": "ended_unseen"}
        whole, partly = self.made("whole", other=spread(900)), self.made(
            "partly", members={"attached_late": [late], "unverified": [unseen]}, other=spread(900))
        heading, _ = self.diff(whole, partly).out.split("count/s", 1)
        self.assertEqual(heading.count("not verified"), 1, heading)
        self.assertRegex(heading, r"\nB: .*\n   .*\n   targets: .*\n   20 samples of 1.00s\n   1 process not verified, \d+ attached late: lost waits are unknown; see waitprobe report\n")
        compared = self.compared(whole, partly)
        self.assertNotIn("unverified", compared["a"])
        self.assertEqual([one["comm"] for one in compared["b"]["unverified"]], ["unseen"])
        self.assertEqual(compared["b"]["attached_late"][0], late)
        for words in ((whole, partly), (partly, whole)):
            self.assertIn("gate: not all processes were verified", self.diff(*words, "--gate", "10", status=4).err)
        self.assertNotIn("verified", self.diff(whole, whole, "--gate", "10").err)

    def test_keys_that_only_one_recording_was_to_hold_are_not_compared(self):
        some = self.made("some", keys=["oth*"], other=spread(900))
        both = self.made("both", other=spread(900), fsync=spread(2_000))
        for words in ((some, both), (both, some)):
            program = self.diff(*words, "--gate", "10")
            self.assertIn("warning: keys selected in only one recording (record -k) are ignored", program.err)
            self.assertEqual([key["key"] for key in self.compared(*words)["keys"]], ["other"])
        self.assertEqual(self.diff(some, some).err, "")

    def test_too_few_intervals_are_told_whether_there_is_a_gate_or_not(self):
        short, enough = self.made("short", other=spread(900)[:3]), self.made("enough", other=spread(900))
        for words, has in (((short, enough), "A has 3"), ((enough, short), "B has 3"), ((short, short), "A has 3, B has 3")):
            heading, _ = self.diff(*words).out.split("count/s", 1)
            self.assertIn(f"Too few intervals to judge: {has}, and each side needs 5.\nRecord longer, or with a smaller -i; ", heading)
            compared = self.compared(*words)
            self.assertEqual([compared[side].get("too_few", False) for side in "ab"], ["A has" in has, "B has" in has])
            self.diff(*words, "--gate", "10", status=1)
        self.assertNotIn("Too few", self.diff(enough, enough).out)
        self.assertNotIn("too_few", self.diff(enough, enough, "--json").out)


if __name__ == "__main__":
    harness.main()
