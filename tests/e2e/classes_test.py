# SPDX-License-Identifier: MIT
"""Classes of keys: what the program says, what the user says, and what `stuck` takes for idle although nobody does."""

import json
import os
import re
import tempfile

import harness
from harness import TOOL, Hist, TestCase, Workload, run, wait_until
from stuck_test import OpenWaits, TRACKED, stuck

SAID = {"work.0": "wait", "work.1": "idle", "work.2": "work"}


def classes(snapshot):
    return {one["key"]: one["class"] for one in snapshot["series"]}


class Views(TestCase):
    def workload(self, *options):
        return self.started(Workload("--classes", "--threads", 1, "--keys", 3, "--pattern", "none", *options))

    def hist_of(self, *tool_options, waits=60, json_output=True):
        workload = self.workload("--waits", waits)
        tool = self.started(Hist("-p", workload.pid, *tool_options, json_output=json_output))
        workload.go()
        self.assertEqual((workload.wait(), tool.wait()), (0, 0), tool)
        return tool

    def test_are_carried_however_waits_come_to_the_kernel(self):
        for options, waits in (((), 60), ((), 60_000), (("--per-event",), 60)):
            self.assertEqual(classes(self.hist_of(*options, waits=waits).last()), SAID)

    def test_idle_and_work_stand_below_the_waits_and_are_marked(self):
        for order in ("total", "key", "count"):
            tool = self.hist_of("--sort", order, json_output=False)
            self.assertRegex(tool.out, r"(?s)\nwork\.0  .*\nwork\.1 \[idle\]  .*\nwork\.2 \[work\]  ")

    def test_the_user_knows_better(self):
        tool = self.hist_of("--idle", "*.0", "--idle", "*.2", "--work", "work.[01]")
        self.assertEqual(classes(tool.last()), {"work.0": "idle", "work.1": "work", "work.2": "idle"})

    def test_of_two_processes_that_disagree(self):
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "waits.jsonl")
            command = f"{harness.built('waitprobe-workload')} --waits 60 --keys 3 --pattern none"
            ran = run(TOOL, "record", "-o", file, "--", "sh", "-c", f"{command} --classes; {command}")
            self.assertEqual(ran.process.returncode, 0, ran)
            report = json.loads(run(TOOL, "report", "--json", file).out)
            self.assertEqual(sorted(one["class"] for one in report["series"]), ["idle", "wait", "wait", "wait", "wait", "work"])
            report = json.loads(run(TOOL, "report", "--json", "--by-key", file).out)
            self.assertEqual(classes(report), {"work.0": "wait", "work.1": "wait", "work.2": "wait"})

    def test_slow(self):
        workload = self.workload("--waits", 3)
        tool = self.started(harness.Program([TOOL, "slow", "--json", "--min", "0", "-n", "3", "--work", "*.0", "-p", workload.pid]))
        wait_until(lambda: harness.armed_word(workload.pid), "it is attached")
        workload.go()
        self.assertEqual(tool.wait(), 0, tool)
        waits = [json.loads(line) for line in tool.out.splitlines()][:3]
        self.assertEqual({wait["key"]: wait["class"] for wait in waits}, {**SAID, "work.0": "work"})


class Recordings(TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)

    def record(self, name, *options):
        file = os.path.join(self.folder.name, name)
        ran = run(TOOL, "record", "--overwrite", "-i", "0.1", "-o", file, *options, "--", harness.built("waitprobe-workload"),
                  "--classes", "--keys", 3, "--loop", 1, "--pattern", "sleep", "--hold-ns", 1_000_000)
        self.assertEqual(ran.process.returncode, 0, ran)
        return file

    def report(self, *options):
        return classes(json.loads(run(TOOL, "report", "--json", *options).out))

    def test_hold_what_was_said_and_reports_may_say_otherwise(self):
        file = self.record("said.jsonl")
        self.assertEqual(self.report(file), SAID)
        self.assertEqual(self.report("--idle", "*.0", "--work", "*.1", file), {"work.0": "idle", "work.1": "work", "work.2": "work"})
        self.assertEqual(self.report(self.record("user.jsonl", "--idle", "*")), dict.fromkeys(SAID, "idle"))

    def test_diff_and_its_gate(self):
        a, b = self.record("a.jsonl"), self.record("b.jsonl", "--idle", "*.0")
        comparison = json.loads(run(TOOL, "diff", "--json", a, b).out)
        self.assertEqual([(key["key"], key["class"]) for key in comparison["keys"]], list(SAID.items()), "a wait in one of them")
        ran = run(TOOL, "diff", "--idle", "*", "--gate", "1", a, b)
        self.assertEqual(ran.process.returncode, 1, "waits for work are no reason to fail, nor to pass")
        self.assertEqual(len(re.findall(r"(?m)^work\.\d \[idle\]  ", ran.out)), 3, ran)

    def test_page(self):
        page = run(TOOL, "report", "--html", "-", self.record("page.jsonl")).out
        rows = re.findall(r'<tr data-class="(\d)"><th scope="row"><a href="[^"]*">(work\.\d)</a>(.*?)</th>', page)
        self.assertEqual([row[:2] for row in rows], [("0", "work.0"), ("1", "work.1"), ("2", "work.2")])
        self.assertEqual(rows[1][2], ' <span class="mark">idle</span>')


class Idle(TestCase):
    """What is taken for a wait for work, and why; and what must not be."""

    def check(self, scene, reasons, status, heading=None, cnt=5, options=()):
        target = self.started(OpenWaits(scene, cnt, env=TRACKED))
        while reasons[0] == "evidence" and target.out == "late\n":
            target = self.started(OpenWaits(scene, cnt, env=TRACKED))
        # A lock or a queue is waited for just after "ready".
        wait_until(lambda: all(wait["syscall"] == "futex" for wait in stuck("-p", target.pid, "--older", "0")[0]["open"]), "all sleep")
        found, was = stuck("-p", target.pid, "--older", "0", *options)
        self.assertEqual(([wait.get("meant_to_last") for wait in found["open"]], was), (reasons, status), found)
        ran = run(TOOL, "stuck", "-p", target.pid, "--older", "0", *options)
        self.assertEqual(ran.process.returncode, status)
        for text in ("idle, as the program says:", "idle, by --idle:", "probably idle: threads that have waited for this alone since they started:"):
            self.assertEqual(text in ran.out, text == heading, ran)
        return found

    def test_requests_that_hang_at_once_on_a_lock_are_stuck(self):
        for cnt in (1, 5):
            found = self.check("requests", [None] * cnt, 3, cnt=cnt)
            self.assertEqual({wait["key"] for wait in found["open"]}, {"account.lock"})

    def test_workers_that_have_never_had_work_are_idle_by_evidence(self):
        self.check("workers", ["evidence"] * 5, 0, "probably idle: threads that have waited for this alone since they started:")

    def test_one_such_worker_alone_is_no_evidence(self):
        self.check("workers", [None], 3, cnt=1)

    def test_workers_that_have_waited_or_worked_before_are_no_evidence(self):
        self.check("used-workers", [None] * 5, 3)
        self.check("late-workers", [None] * 5, 3)

    def test_workers_whose_guards_say_so_are_idle(self):
        found = self.check("marked-workers", ["class"] * 5, 0, "idle, as the program says:")
        self.assertEqual({wait["class"] for wait in found["open"]}, {"idle"})
        self.check("marked-workers", ["class"], 0, "idle, as the program says:", cnt=1)

    def test_the_user_knows_better(self):
        found = self.check("requests", ["ignored"] * 5, 0, "idle, by --idle:", options=("--idle", "account.*"))
        self.assertEqual({wait["class"] for wait in found["open"]}, {"idle"})
        self.check("marked-workers", [None] * 5, 3, options=("--work", "worker.*"))

    def test_work_is_marked_and_may_hang(self):
        found = self.check("jobs", [None] * 4, 3, cnt=2)
        self.assertEqual({wait["key"]: wait["class"] for wait in found["open"]}, {"worker.job": "work", "account.lock": "wait"})


if __name__ == "__main__":
    harness.main()
