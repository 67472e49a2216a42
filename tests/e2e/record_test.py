# SPDX-License-Identifier: MIT
"""What was recorded is what was waited for, whatever ends the recording, and is reported on as if it were live."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

import harness
from harness import Hist, Program, TOOL, TestCase, Workload, counts_of, run, wait_for_byte, wait_until
from made_recordings import ZONE, waits_of, write_recording


class Record(Program):
    """`waitprobe record`, attached and ready."""

    def __init__(self, *options, **program_options):
        read_end, write_end = os.pipe()
        super().__init__([TOOL, "record", "--ready-fd", write_end, *options], pass_fds=(write_end,), **program_options)
        os.close(write_end)
        wait_for_byte(read_end, self)
        os.close(read_end)


class Recordings(TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tempfile.mkdtemp(prefix="waitprobe-record-")
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, name="waits.jsonl"):
        return os.path.join(self.folder, name)

    def lines(self, name="waits.jsonl"):
        with open(self.path(name), encoding="ascii") as file:
            return [json.loads(line) for line in file]

    def report(self, *words, status=0, **options):
        program = run(TOOL, "report", *words, **options)
        self.assertEqual(program.process.returncode, status, program)
        return program

    def reported(self, *words):
        return [json.loads(line) for line in self.report(*words, "--json").out.splitlines()]

    def record_workload(self, *options, name="waits.jsonl", work=("--waits", 5_003)):
        """A workload that is recorded from its first wait to its end. Returns the truth."""
        workload = self.started(Workload("--threads", 2, "--keys", 3, *work))
        tool = self.started(Record("-o", self.path(name), "-p", workload.pid, "-i", "0.05", *options))
        workload.go()
        self.assertEqual(workload.wait(), 0, workload)
        self.assertEqual(tool.wait(), 0, tool)
        self.assertEqual(tool.out + tool.err, "", tool)
        return workload.truth()


class Whole(Recordings):
    def test_holds_all_waits_and_says_of_what(self):
        truth = self.record_workload()
        first, *snapshots, last = self.lines()
        self.assertEqual(first["waitprobe_recording"], 2)
        self.assertEqual(first["host"], os.uname().nodename)
        self.assertEqual(first["kernel"], f"Linux {os.uname().release}")
        self.assertEqual(first["targets"][0], "-p")
        self.assertAlmostEqual(first["time_unix_ns"], time.time_ns(), delta=60e9)
        self.assertEqual(last, {"waitprobe_end": "targets ended"})
        self.assertGreater(len(snapshots), 0)
        for snapshot in snapshots:
            self.assertEqual(snapshot["coverage"]["lost"], 0)
            self.assertIn("losses", snapshot)
        report = self.report(self.path())
        self.assertEqual(report.err, "")
        self.assertIn(f"{os.uname().nodename}, Linux {os.uname().release}, ", report.out)
        self.assertIn(f"{sum(truth.values())} waits in ", report.out)
        self.assertIn("coverage 100 %: none was lost", report.out)
        [all_of_it] = self.reported(self.path())
        self.assertEqual(counts_of(all_of_it), truth)

    def test_is_reported_on_as_it_was_seen_live(self):
        workload = self.started(Workload("--threads", 2, "--keys", 3, "--waits", 3_001))
        live = self.started(Hist("-p", workload.pid))
        tool = self.started(Record("-o", self.path(), "-p", workload.pid, "-i", "0.02"))
        workload.go()
        for program in (workload, live, tool):
            self.assertEqual(program.wait(), 0, program)
        [recorded], seen = self.reported(self.path()), live.last()
        self.assertEqual(counts_of(recorded), counts_of(seen))
        for mine, theirs in zip(recorded["series"], seen["series"]):
            self.assertEqual(set(mine) - {"host"}, set(theirs))
            # Each tool has measured the rate of the cycle counter on its own.
            for extreme in ("min_ns", "max_ns"):
                self.assertAlmostEqual(mine[extreme], theirs[extreme], delta=2 + theirs[extreme] / 1000)
            self.assertNotIn("min_max_are_bounds", mine, "the extremes of all time are exact")

    def test_each_end_is_told(self):
        workload = self.started(Workload("--threads", 1, "--keys", 1, "--waits", 11, "--stay"))
        timed = run(TOOL, "record", "-o", self.path("timed"), "-p", workload.pid, "-d", "0.1")
        self.assertEqual(timed.process.returncode, 0, timed)
        self.assertEqual(self.lines("timed")[-1], {"waitprobe_end": "time was up"})
        stopped = self.started(Record("-o", self.path("stopped"), "-p", workload.pid))
        workload.go()
        wait_until(lambda: workload.out.endswith("\n"), "the work is done")
        stopped.signal(signal.SIGINT)
        self.assertEqual(stopped.wait(), 0, stopped)
        self.assertEqual(self.lines("stopped")[-1], {"waitprobe_end": "stopped"})
        [all_of_it] = self.reported(self.path("stopped"))
        self.assertEqual(counts_of(all_of_it), workload.truth(), "less than a second's worth")

    def test_a_command_ends_with_its_own_status(self):
        tool = run(TOOL, "record", "-o", self.path(), "--", harness.built("waitprobe-workload"), "--threads", 2, "--waits", 100)
        self.assertEqual(tool.process.returncode, 0, tool)
        [all_of_it] = self.reported(self.path())
        self.assertEqual(counts_of(all_of_it), harness.last_truth(tool.out))
        self.assertEqual(run(TOOL, "record", "-o", self.path("2"), "--", "sh", "-c", "exit 7").process.returncode, 7)

    def test_keys_that_are_not_wanted_are_counted_and_left_out(self):
        truth = self.record_workload("-k", "*.1")
        [all_of_it] = self.reported(self.path())
        self.assertEqual(counts_of(all_of_it), {"work.1": truth["work.1"]})
        self.assertEqual(all_of_it["coverage"]["observed"], sum(truth.values()))


class CutOff(Recordings):
    def test_of_a_tool_that_was_killed_all_whole_intervals_are_there(self):
        workload = self.started(Workload("--threads", 1, "--keys", 1, "--loop", 60))
        tool = self.started(Record("-o", self.path(), "-p", workload.pid, "-i", "0.02"))
        workload.go()
        wait_until(lambda: os.path.getsize(self.path()) > 5_000, "some lines are there")
        tool.kill()
        report = self.report(self.path())
        self.assertRegex(report.err, r"warning: cannot find the end of .*: it is still being written, or was cut off\n"
                                     r"  it holds \d+ snapshots, up to \d{4}-")
        self.assertIn("work.0", report.out)
        with open(self.path(), "r+", encoding="ascii") as file:
            file.truncate(os.path.getsize(self.path()) - 10)
        self.assertRegex(self.report(self.path()).err, r"warning: cannot read all of .*: line \d+ breaks off, after \d+ bytes\n")
        with open(self.path(), "r+b") as file:
            file.truncate(len(file.readline()) + 40)
        for words in (("report", self.path()), ("report", self.path(), "--json"), ("diff", self.path(), self.path())):
            nothing = run(TOOL, *words)
            self.assertEqual((nothing.process.returncode, nothing.out), (1, ""), nothing)
            self.assertRegex(nothing.err, r"^waitprobe: cannot look at .*: there is no snapshot in it: line 2 breaks off\n  the first is written ")

    def test_a_full_disk_leaves_whole_lines(self):
        disk = self.path("disk")
        os.mkdir(disk)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", disk], check=True)
        self.addCleanup(subprocess.run, ["umount", disk], check=True)
        workload = self.started(Workload("--threads", 1, "--keys", 3, "--loop", 60))
        tool = self.started(Record("-o", os.path.join(disk, "waits"), "-p", workload.pid, "-i", "0.02"))
        workload.go()
        self.assertEqual(tool.wait(), 1, tool)
        self.assertRegex(tool.err, r"waitprobe: cannot write to .*/waits: No space left on device\n"
                                   r"  it holds the \d+ lines before, and can be reported on\n")
        *_, last = self.lines("disk/waits")
        self.assertEqual(last["waitprobe"], 1, "and the last is whole")
        self.assertIn("work.0", self.report(os.path.join(disk, "waits")).out)

    def test_so_does_a_limit_for_files(self):
        workload = self.started(Workload("--threads", 1, "--keys", 3, "--loop", 60))
        workload.go()
        tool = run("sh", "-c", f"ulimit -f 16; exec {TOOL} record -o {self.path()} -p {workload.pid} -i 0.02")
        self.assertEqual(tool.process.returncode, 1, tool)
        self.assertIn("File too large", tool.err)
        self.assertEqual(self.lines()[-1]["waitprobe"], 1)

    def test_a_reader_that_goes_ends_it_without_an_error(self):
        workload = self.started(Workload("--threads", 1, "--loop", 60))
        workload.go()
        ran = run("bash", "-c", f"{TOOL} record -o - -p {workload.pid} -i 0.02 | head -n 4; exit ${{PIPESTATUS[0]}}")
        self.assertEqual(ran.process.returncode, 0, ran)
        self.assertEqual(ran.err, "")
        self.assertEqual(len([json.loads(line) for line in ran.out.splitlines()]), 4)

    def test_nothing_is_lost_of_what_was_there(self):
        with open(self.path(), "w", encoding="ascii") as file:
            file.write("precious")
        for options in ([], ["--overwrite", "-p", "4194305"]):
            tool = run(TOOL, "record", "-o", self.path(), "-d", "0.1", *(options or ["-a"]))
            self.assertEqual(tool.process.returncode, 1, tool)
            with open(self.path(), encoding="ascii") as file:
                self.assertEqual(file.read(), "precious")
        self.assertIn("there is such a file already\n  name another, or add --overwrite",
                      run(TOOL, "record", "-o", self.path(), "-a").err)
        self.assertEqual(run(TOOL, "record", "-o", self.path(), "--overwrite", "-a", "-d", "0.1").process.returncode, 0)
        self.assertEqual(self.lines()[-1], {"waitprobe_end": "time was up"})
        self.assertEqual(run(TOOL, "record", "-o", self.path("none"), "-p", "4194305").process.returncode, 1)
        self.assertFalse(os.path.exists(self.path("none")), "what has nothing in it is not left behind")


class Windows(Recordings):
    """Of recordings made at 22:46 for four minutes, and from 23:50 to 00:10."""

    def made(self, name, begin, intervals, interval_s=1):
        return write_recording(self.path(name), begin, [[waits_of("a", 3)]] * intervals, interval_s)

    def evening(self):
        return self.made("evening", "2026-11-27 22:46:00", 240)

    def midnight(self):
        return self.made("midnight", "2026-11-27 23:50:00", 120, 10)

    def seconds(self, *words):
        """How many are reported on."""
        program = self.report(*words, "--json", env=ZONE)
        return json.loads(program.out)["elapsed_ns"] / 1e9

    def test_hold_what_lies_in_them(self):
        for seconds, *words in (
                (240,), (60, "--from", "22:48", "--to", "22:49"), (60, "--from", "22:49"), (60, "--to", "22:47"),
                # They overlap, whatever lies beside them.
                (60, "--from", "22:00", "--to", "22:47"), (60, "--from", "22:49", "--to", "23:00"), (240, "--from", "22:00", "--to", "23:00"),
                (240, "--from", "22:00"), (240, "--from", "08:00"), (240, "--to", "23:00"), (240, "--from", "20:00", "--to", "09:00"),
                (30, "--from", "90s", "--to", "2m"), (60, "--from", "0s", "--to", "22:47"), (60, "--from", "22:48", "--to", "3m"),
                (60, "--from", "2026-11-27T22:48", "--to", "22:49"), (60, "--from", "22:48", "--to", "2026-11-27T22:49")):
            with self.subTest(words=words):
                self.assertEqual(self.seconds(self.evening(), *words), seconds)

    def test_go_over_midnight(self):
        for seconds, *words in (
                (1200, "--from", "23:50", "--to", "00:10"), (600, "--from", "23:55", "--to", "00:05"), (300, "--from", "00:05"),
                (300, "--to", "23:55"), (900, "--to", "00:05"), (60, "--from", "00:02", "--to", "00:03"), (60, "--from", "23:58", "--to", "23:59"),
                (1200, "--to", "00:30"), (1200, "--from", "23:00"), (600, "--from", "23:00", "--to", "00:00"),
                (600, "--from", "2026-11-27T23:55", "--to", "00:05"), (600, "--from", "23:55", "--to", "2026-11-28 00:05")):
            with self.subTest(words=words):
                self.assertEqual(self.seconds(self.midnight(), *words), seconds)
        self.assertEqual(self.seconds(self.evening(), "--from", "22:49", "--to", "00:10"), 60)
        early = self.made("early", "2026-11-28 00:02:00", 60)
        self.assertEqual(self.seconds(early, "--from", "23:50", "--to", "00:02:30"), 30)

    def test_are_of_the_first_day_that_has_something_in_them(self):
        days = self.made("days", "2026-11-27 22:02:00", 50, 3600)
        self.assertEqual(self.seconds(days, "--from", "03:00", "--to", "05:00"), 2 * 3600)
        self.assertEqual(self.seconds(days, "--from", "23:00", "--to", "05:00"), 6 * 3600)
        other = self.made("other", "2026-11-29 08:00:00", 60)
        with open(other, encoding="ascii") as file:
            text = file.read().replace('"pid": 1', '"pid": 2')
        with open(other, "w", encoding="ascii") as file:
            file.write(text)
        self.assertEqual(self.seconds(self.evening(), other, "--from", "08:00:10", "--to", "08:00:20"), 10)

    def test_are_refused_where_nothing_was_recorded(self):
        for window, *words in (
                ("from 2026-11-27 22:00:00 to 2026-11-27 22:05:00", "--from", "22:00", "--to", "22:05"),
                ("from 2026-11-27 23:00:00 to 2026-11-27 23:05:00", "--from", "23:00", "--to", "23:05"),
                ("from 2026-11-27 23:00:00 to 2026-11-28 00:05:00", "--from", "23:00", "--to", "00:05"),
                ("up to 2026-11-27 22:05:00", "--to", "22:05"), ("up to 2026-11-27 10:00:00", "--to", "10:00"),
                ("from 2026-11-27 23:00:00 on", "--from", "23:00"),
                ("from 2026-11-26 22:46:00 to 2026-11-26 22:47:00", "--from", "2026-11-26T22:46", "--to", "22:47"),
                ("from 2026-11-27 22:49:00 to 2026-11-27 22:48:00, which is not later", "--from", "22:49", "--to", "22:48"),
                ("from 2026-11-27 22:48:00 to 2026-11-27 22:48:00, which is not later", "--from", "22:48", "--to", "22:48"),
                ("from 2026-11-27 22:47:00 to 2026-11-27 22:46:30, which is not later", "--from", "60s", "--to", "30s"),
                ("from 2026-11-27 22:46:00 to 2026-11-27 22:46:00", "--from", "0.1", "--to", "0.2")):
            with self.subTest(words=words):
                for more in ([], ["-i", "60"], ["--html", "-"]):
                    refused = self.report(self.evening(), *words, *more, status=1, env=ZONE)
                    self.assertEqual(refused.out, "")
                    self.assertEqual(refused.err, f"waitprobe: cannot look at this part of {self.path('evening')}: nothing was recorded {window}\n"
                                                  "  what was recorded is from 2026-11-27 22:46:00 to 2026-11-27 22:50:00, 4m00s in 240 intervals\n")
        several = self.report(self.evening(), self.midnight(), "--from", "22:55", "--to", "23:05", status=1, env=ZONE)
        self.assertRegex(several.err, r"of .*evening and 1 more: nothing was recorded from 2026-11-27 22:55:00 to 2026-11-27 23:05:00\n"
                                      r"  what was recorded is from 2026-11-27 22:46:00 to 2026-11-28 00:10:00, 1h24m in 360 intervals\n")
        late = self.report(self.midnight(), "--from", "00:30", status=1, env=ZONE)
        self.assertIn("nothing was recorded from 2026-11-28 00:30:00 on\n", late.err)
        over = self.report(self.midnight(), "--from", "00:06", "--to", "00:05", status=1, env=ZONE)
        self.assertIn("from 2026-11-28 00:06:00 to 2026-11-28 00:05:00, which is not later\n", over.err)


class Reports(Recordings):
    def test_pieces_add_up_to_the_whole(self):
        truth = self.record_workload(work=("--loop", 1))
        pieces = self.reported(self.path(), "-i", "0.1")
        self.assertGreater(len(pieces), 1)
        counts = {}
        for piece in pieces:
            for key, count in counts_of(piece).items():
                counts[key] = counts.get(key, 0) + count
        self.assertEqual(counts, truth)
        spans = self.reported(self.path(), "--to", "0.1") + self.reported(self.path(), "--from", "0.1")
        self.assertEqual(sum(span["coverage"]["observed"] for span in spans), sum(truth.values()))
        self.assertEqual(spans[0]["series"], pieces[0]["series"])
        text = self.report(self.path(), "-i", "0.1", "--bars", "--sort", "key", "-k", "work.*")
        self.assertEqual(text.out.count(" to "), len(pieces) + 1)
        self.assertIn("#####", text.out)

    def test_a_span_by_the_clock(self):
        self.record_workload()
        begin = self.lines()[0]["time_unix_ns"] // 10**9
        for form in ("%H:%M:%S", "%Y-%m-%dT%H:%M:%S"):
            # Not of the next day: that time of day was before the beginning, too.
            same_day = time.localtime(begin + 3600).tm_mday == time.localtime(begin).tm_mday
            until = time.strftime(form, time.localtime(begin + (3600 if same_day else 60)))
            self.assertEqual(self.reported(self.path(), "--to", until), self.reported(self.path()))
            late = self.report(self.path(), "--from", until, status=1)
            self.assertRegex(late.err, "cannot look at this part of .*: nothing was recorded from .* on\n  what was recorded is from ")
        # The minute in which it begins, and the hour before: nothing was then, and all is after it.
        for before in (time.strftime("%H:%M", time.localtime(begin)), time.strftime("%H:%M:%S", time.localtime(begin - begin % 3600))):
            self.assertEqual(self.reported(self.path(), "--from", before), self.reported(self.path()))

    def test_a_clock_that_is_set_by_years_makes_a_gap_and_no_delay(self):
        truth = self.record_workload(work=("--loop", 1))
        years = 50 * 365 * 86_400 * 10**9
        head, *snapshots, end = self.lines()
        half = len(snapshots) // 2
        with open(self.path("jump"), "w", encoding="ascii") as file:
            for line in [head, *snapshots[:half], *({**one, "time_unix_ns": one["time_unix_ns"] + years} for one in snapshots[half:]), end]:
                file.write(json.dumps(line) + "\n")
        pieces = self.reported(self.path("jump"), "-i", "0.1")
        self.assertGreater(len(pieces), 2)
        self.assertEqual(sum(piece["coverage"]["observed"] for piece in pieces), sum(truth.values()))
        self.report(self.path("jump"), "--html", self.path("page"))

    def test_several_are_merged(self):
        truths = [self.record_workload(name=name) for name in ("one", "two")]
        together = {key: truths[0][key] + truths[1][key] for key in truths[0]}
        [merged] = self.reported(self.path("one"), self.path("two"))
        self.assertEqual(counts_of(merged), together)
        self.assertEqual(len(merged["series"]), 6, "two processes")
        [by_key] = self.reported(self.path("one"), self.path("two"), "--by-key")
        self.assertEqual(counts_of(by_key), together)
        self.assertEqual(len(by_key["series"]), 3)
        text = self.report(self.path("one"), self.path("two"))
        self.assertEqual(text.out.count("waitprobe-workl ("), 2, text)
        # As if one of them were of another machine.
        with open(self.path("two"), encoding="ascii") as file:
            other = file.read().replace(f'"host":"{os.uname().nodename}"', '"host":"\\u001b[31m"')
        with open(self.path("two"), "w", encoding="ascii") as file:
            file.write(other)
        self.assertIn(r" on \x1b[31m", self.report(self.path("one"), self.path("two")).out)

    def test_what_two_tools_saw_is_not_added_up(self):
        self.record_workload()
        shutil.copy(self.path(), self.path("copy"))
        refused = self.report(self.path(), self.path("copy"), status=1)
        self.assertRegex(refused.err, r"cannot add up .* and .*copy: both hold waits of process \d+ \(waitprobe-workl\) at the same time")

    def test_from_the_standard_input(self):
        truth = self.record_workload()
        with open(self.path(), encoding="ascii") as file:
            program = run(TOOL, "report", "-", "--json", stdin=file)
        self.assertEqual(counts_of(json.loads(program.out)), truth)

    def test_what_cannot_be_understood(self):
        for status, pattern, words in (
                (1, "cannot open /nowhere: No such file", ["report", "/nowhere"]),
                (1, "cannot read .*record_test.py: its first line is not that of a recording", ["report", __file__]),
                (1, "cannot read /dev/null: it is empty", ["report", "/dev/null"]),
                (1, "cannot read /proc: Is a directory", ["report", "/proc"]),
                (2, "FILE", ["report"]),
                (2, "--from takes a time such as .* not '25:00'", ["report", "/nowhere", "--from", "25:00"]),
                (1, "cannot open /nowhere: No such file", ["report", "--", "/nowhere"]),
                (2, "--output is missing", ["record", "-a"]),
                (1, "cannot write /nowhere/x: No such file", ["record", "-a", "-o", "/nowhere/x"])):
            with self.subTest(words=words):
                program = run(TOOL, *words)
                self.assertEqual(program.process.returncode, status, program)
                self.assertRegex(program.err, pattern)
                self.assertEqual(len(re.findall("^waitprobe(: cannot| [a-z]+: )", program.err, re.M)), 1, program)
                self.assertEqual(program.out, "")


if __name__ == "__main__":
    harness.main()
