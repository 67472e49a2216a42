# SPDX-License-Identifier: MIT
"""Targets and tools in time namespaces, whose clocks are ahead of the machine's or behind them: counts, times and ages are right."""

import contextlib
import json
import os
import subprocess
import time

import harness
from harness import Hist, Program, TestCase, TOOL, Workload, built, counts_of, run, wait_until
from slow_test import Slow
from stuck_test import KINDS, OpenWaits, TRACKED, of_key, stuck

# A clock may not be set to before its beginning, and a test machine may just have been started.
BACK_S = -min(100, int(time.clock_gettime(time.CLOCK_MONOTONIC)) // 2)
OFFSETS = ((BACK_S, 0), (1000, 0), (BACK_S, BACK_S // 2), (100_000, 7_000_000))
CLOCKS = ("monotonic", "cycles")
WORK = ("--threads", 3, "--waits", 1009, "--keys", 4)


def inside(monotonic_s, boottime_s=0):
    """The words that start a program in a namespace of its own."""
    return ("unshare", "--time", "--monotonic", str(monotonic_s), "--boottime", str(boottime_s), "--fork", "--kill-child")


def child_of(program):
    def children():
        with open(f"/proc/{program.pid}/task/{program.pid}/children", encoding="ascii") as file:
            return file.read().split()
    wait_until(children, "it has a child")
    return int(children()[0])


class Case(TestCase):
    def workload(self, offsets, *options, clock="monotonic"):
        workload = self.started(Workload(*options, before=inside(*offsets) if offsets else (), env={"WAITPROBE_CLOCK": clock, **TRACKED}))
        workload.inner_pid = child_of(workload) if offsets else workload.pid
        return workload

    def each_way(self):
        for offsets in OFFSETS:
            for clock in CLOCKS:
                with self.subTest(offsets=offsets, clock=clock):
                    yield offsets, clock

    def assert_exact(self, workload, tool):
        workload.go()
        self.assertEqual(workload.wait(), 0, workload)
        self.assertEqual(tool.wait() if "-p" in tool.words else tool.stop(), 0, tool)
        self.assertEqual(tool.counts(workload.inner_pid), workload.truth())
        self.assert_all_seen(tool.last())
        self.assertEqual(len([s for s in tool.last()["series"] if s["pid"] == workload.inner_pid]), len(workload.truth()), "one for each key")


class Targets(Case):
    def test_each_wait_is_counted(self):
        for offsets, clock in self.each_way():
            workload = self.workload(offsets, *WORK, clock=clock)
            self.assert_exact(workload, self.started(Hist("-p", workload.inner_pid)))

    def test_each_wait_is_counted_whatever_names_it(self):
        for target in (("-a",), ("-f", built("waitprobe-workload")), ("-p", None, "--per-event"), ("-p", None, "-i", "0.05")):
            with self.subTest(target=target):
                workload = self.workload((BACK_S, 0), *WORK)
                words = [workload.inner_pid if word is None else word for word in target]
                tool = self.started(Hist(*words))
                if "-i" not in words:
                    self.assert_exact(workload, tool)
                    continue
                workload.go()
                self.assertEqual((workload.wait(), tool.wait()), (0, 0))
                self.assertEqual(sum(sum(counts_of(snapshot).values()) for snapshot in tool.snapshots()), sum(workload.truth().values()))

    def test_commands(self):
        for offsets, clock in self.each_way():
            ran = run(TOOL, "hist", "--json", "--", *inside(*offsets), built("waitprobe-workload"), *WORK, env={"WAITPROBE_CLOCK": clock})
            self.assertEqual(ran.process.returncode, 0, ran)
            (snapshot,) = [json.loads(line) for line in ran.out.splitlines() if line.startswith('{"waitprobe"')]
            truth = harness.last_truth("\n".join(line for line in ran.out.splitlines() if line.startswith('{"keys"')))
            self.assertEqual(counts_of(snapshot), truth)
            self.assert_all_seen(snapshot)

    def test_what_was_before_or_comes_after_is_not_counted(self):
        for offsets, clock in self.each_way():
            workload = self.workload(offsets, *WORK, "--linger", clock=clock)
            first = self.started(Hist("-p", workload.inner_pid))
            workload.go()
            wait_until(lambda: workload.out.endswith("\n"), "the work is done")
            second = self.started(Hist("-p", workload.inner_pid))
            for tool, truth in ((first, workload.truth()), (second, {})):
                self.assertEqual(tool.stop(), 0)
                self.assertEqual(tool.counts(), truth)
                self.assert_all_seen(tool.last())

    def test_slow_tells_the_time_of_day(self):
        for offsets in OFFSETS:
            with self.subTest(offsets=offsets):
                workload = self.workload(offsets, "--waits", 5, "--pattern", "sleep", "--hold-ns", 2_000_000)
                tool = self.started(Slow("--min", "1ms", "-p", workload.inner_pid))
                self.assert_times(tool, workload)

    def assert_times(self, tool, workload):
        before = time.time_ns()
        workload.go()
        self.assertEqual((workload.wait(), tool.wait()), (0, 0))
        times = [line["time_unix_ns"] for line in tool.lines()]
        self.assertEqual(len(times), 5, tool)
        self.assertTrue(all(before < moment < time.time_ns() for moment in times), (before, times))


class Tools(Targets):
    """The tool in a namespace of its own, the targets in another or in none."""

    def test_each_wait_is_counted(self):
        for offsets, clock in self.each_way():
            for targets in ((), (1000, 50), (BACK_S, 0)):
                workload = self.workload(targets, *WORK, clock=clock)
                self.assert_exact(workload, self.started(Hist("-p", workload.inner_pid, before=inside(*offsets))))

    def test_slow_tells_the_time_of_day(self):
        workload = self.workload((1000, 0), "--waits", 5, "--pattern", "sleep", "--hold-ns", 2_000_000)
        self.assert_times(self.started(Slow("--min", "1ms", "-p", workload.inner_pid, before=inside(BACK_S))), workload)

    test_each_wait_is_counted_whatever_names_it = test_commands = test_what_was_before_or_comes_after_is_not_counted = None


class Ages(Case):
    def assert_right(self, began, found):
        self.assertEqual(len(found["open"]), sum(KINDS.values()), found)
        at_most = (time.monotonic() - began) * 1e9
        self.assertTrue(all(0 < wait["age_ns"] < at_most for wait in found["open"]), found["open"])
        self.assertGreater(of_key(found, "idle.wait")["age_ns"] - of_key(found, "many.wait")["age_ns"], 140_000_000)
        self.assertEqual({wait["key"]: wait.get("meant_to_last") for wait in found["open"]},
                         {"idle.wait": None, "many.wait": None, "stack.wait": None, "given.wait": None})

    @contextlib.contextmanager
    def open_waits(self, clock, *before):
        began = time.monotonic()
        target = self.started(OpenWaits(env={**TRACKED, "WAITPROBE_CLOCK": clock}, before=before))
        yield began, child_of(target) if before else target.pid
        target.finish()

    def test_of_targets(self):
        for offsets, clock in self.each_way():
            with self.open_waits(clock, *inside(*offsets)) as (began, pid):
                self.assert_right(began, stuck("-p", pid, "--older", "0")[0])
                younger, status = stuck("-p", pid, "--older", "1h")
                self.assertEqual((younger["younger"], status), (sum(KINDS.values()), 0))

    def test_of_targets_that_are_watched(self):
        with self.open_waits("monotonic", *inside(BACK_S)) as (began, pid):
            watch = self.started(Program([TOOL, "stuck", "--json", "--watch", "-i", "0.05", "-p", pid, "--older", "0"]))
            wait_until(lambda: watch.out.count("\n") >= 3, "it has looked several times")
            watch.signal(2)
            watch.wait()
            for line in watch.out.splitlines()[:3]:
                self.assert_right(began, json.loads(line))

    def test_of_tools(self):
        for offsets, clock in self.each_way():
            for before in ((), inside(1000, 50)):
                with self.open_waits(clock, *before) as (began, pid):
                    ran = run(*inside(*offsets), TOOL, "stuck", "--json", "-p", pid, "--older", "0")
                    self.assert_right(began, json.loads(ran.out))


class Movers(Case):
    """Processes whose own namespace is not the one that /proc/PID/timens_offsets tells of."""

    def assert_counted(self, before, word, **env):
        mover = self.started(Program([*before, built("waitprobe-time-mover"), word], stdin=subprocess.PIPE, env=env))
        wait_until(lambda: "ready" in mover.out, "it is there")
        pid = child_of(mover) if before else mover.pid
        tool = self.started(Hist("-p", pid))
        mover.process.stdin.write(b"go\n")
        mover.process.stdin.flush()
        wait_until(lambda: "done" in mover.out, "it has waited")
        tool.stop()
        self.assertEqual(tool.counts(), {"mover.wait": 207})
        self.assert_all_seen(tool.last())
        mover.process.stdin.close()
        self.assertEqual(mover.wait(), 0)

    def test_children_to_come_would_be_elsewhere(self):
        for before in ((), inside(BACK_S), inside(1000)):
            with self.subTest(before=before):
                self.assert_counted(before, "unshare", WAITPROBE_CLOCK="monotonic")

    def test_one_that_moves(self):
        for offset in (BACK_S, 1000):
            for clock in CLOCKS:
                with self.subTest(offset=offset, clock=clock):
                    there = self.started(Program([*inside(offset), "sleep", "600"]))
                    self.assert_counted((), f"/proc/{child_of(there)}/ns/time", WAITPROBE_CLOCK=clock)


if __name__ == "__main__":
    harness.main()
