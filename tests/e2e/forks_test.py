# SPDX-License-Identifier: MIT
"""Processes that come out of others, in whatever way, and processes that get the number of one that has ended."""

import contextlib
import os
import shutil
import tempfile
import time
import unittest

import harness
from harness import Hist, TestCase, Workload, wait_until
from truth import Truth

FORKS = int(os.environ.get("WAITPROBE_FORKS", "200"))
# The first thread forks in the middle of its work; what children wait fits into a ring, or does not.
WORK = ["--threads", 3, "--waits", 20_011, "--keys", 5, "--pattern", "none"]
FEW, MANY = ["--child-waits", 3], ["--child-waits", 300]
THREADS, CHILDREN = slice(0, -1), slice(-1, None)

# A file of our own, with a name of its own: under -a there are also the workloads of others.
FOLDER = tempfile.TemporaryDirectory(prefix="waitprobe-forks-")
WORKLOAD = os.path.join(FOLDER.name, f"forks-{os.getpid()}")
shutil.copy(harness.built("waitprobe-workload"), WORKLOAD)


def setUpModule():
    unittest.addModuleCleanup(FOLDER.cleanup)


def own_series(tool):
    return [series for series in tool.last()["series"] if series["comm"] == os.path.basename(WORKLOAD)]


def own_counts(tool):
    return harness.counts_of({"series": own_series(tool)})


def only_child(pid):
    children = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
            children += file.read().split()
    (child,) = children
    return child


class Children(TestCase):
    def run_command(self, truth, *options):
        """`hist -- CMD`, to its end."""
        tool = self.started(Hist("--", WORKLOAD, *options, *truth.options, ready=False))
        self.assertEqual(tool.wait(), 0, tool)
        self.assert_all_seen(tool.last())
        return tool

    def assert_counted(self, target, *options, processes):
        """By whatever kind of target, all that parent and children have waited, as so many processes."""
        with self.subTest(target=target, options=options):
            truth = Truth()
            if target == "--":
                tool = self.run_command(truth, *WORK, *options)
            else:
                workload = self.started(Workload(*WORK, *options, *truth.options, program=WORKLOAD))
                tool = self.started(Hist(*{"-p": ["-p", workload.pid], "-f": ["-f", WORKLOAD], "-a": ["-a"]}[target]))
                workload.go()
                self.assertEqual(workload.wait(), 0, workload)
                self.assertEqual(tool.wait() if target == "-p" else tool.stop(), 0, tool)
                self.assert_all_seen(tool.last())
            self.assertEqual(own_counts(tool), truth.exact(), tool)
            self.assertEqual(len({series["pid"] for series in own_series(tool)}), processes)

    def test_a_fork_in_the_middle_of_a_block(self):
        self.assert_counted("--", "--fork-in-block", FORKS, processes=FORKS + 1)
        for target, waits in (("--", MANY), ("-f", FEW), ("-f", MANY), ("-a", FEW)):
            self.assert_counted(target, "--fork-in-block", 20, *waits, processes=21)

    def test_children_of_a_fork_are_not_the_process_that_was_asked_for(self):
        truth = Truth()
        workload = self.started(Workload(*WORK, "--fork-in-block", 50, *MANY, *truth.options, program=WORKLOAD))
        tool = self.started(Hist("-p", workload.pid))
        workload.go()
        self.assertEqual(workload.wait(), 0, workload)
        self.assertEqual(tool.wait(), 0, tool)
        self.assert_all_seen(tool.last())
        self.assertEqual(tool.counts(), {key: done for key, (done, _) in truth.bounds(THREADS).items()})

    def assert_counted_as_the_parent(self, how):
        """A child in the memory of its parent waits in the middle of what its parent's thread waits, and is counted with it."""
        for target, waits in (("--", FEW), ("--", MANY), ("-p", FEW), ("-p", MANY), ("-f", MANY), ("-a", MANY)):
            self.assert_counted(target, how, 50, *waits, processes=1)

    def test_vfork_and_exec(self):
        self.assert_counted_as_the_parent("--vfork-exec")

    def test_a_clone_in_the_same_memory(self):
        self.assert_counted_as_the_parent("--raw-clone")

    def test_all_of_them_in_turn(self):
        for target in ("--", "-f", "-a"):
            self.assert_counted(target, "--fork-in-block", 31, "--vfork-exec", 17, "--raw-clone", 23, "--child-waits", 100, processes=32)

    def assert_counted_until_exec(self, how, again):
        with self.subTest(how=how, again=again):
            truth = Truth()
            options = ["--threads", 3, "--waits", 100, "--keys", 5, "--exec-again", again]
            tool = self.run_command(truth, *options, "--die", how)
            for key, (done, begun) in truth.bounds().items():
                self.assertLessEqual(done, tool.counts()[key], (key, truth.bounds(), tool.last()["losses"]))
                self.assertLessEqual(tool.counts()[key], begun)

    def test_exec_by_a_thread_that_is_not_the_main_one(self):
        for again in (0, 3):
            self.assert_counted_until_exec("exec-thread", again)

    def test_exec_by_the_main_thread(self):
        for again in (0, 3):
            self.assert_counted_until_exec("exec", again)

    def test_a_process_that_executes_program_after_program(self):
        """Each time, the thread of the process's number leaves a block behind."""
        for how in ("exec", "exec-thread"):
            self.assert_counted_until_exec(how, 20)

    def test_a_child_in_the_memory_of_a_parent_that_is_killed(self):
        for how in ("--vfork-exec", "--raw-clone"):
            with self.subTest(how=how):
                truth = Truth()
                work = ["--threads", 1, "--waits", 100, "--pattern", "sleep", "--hold-ns", 1_000_000]
                parent = self.started(Workload(*work, how, 1, "--child-waits", 100, *truth.options, program=WORKLOAD))
                tool = self.started(Hist("-f", WORKLOAD))
                parent.go()
                wait_until(lambda: truth.bounds(CHILDREN).get("work.0", (0, 0))[0] > 20, "the child waits")
                child = only_child(parent.pid)
                parent.kill()
                wait_until(lambda: not os.path.exists(f"/proc/{child}"), "the child has ended")
                self.assertEqual(tool.stop(), 0, tool)
                self.assert_all_seen(tool.last())
                self.assertEqual(tool.counts(), truth.exact())


# A fork takes from 0.3 to 3 ms, whoever looks.
MOST_S = 5 * harness.DEADLINE_S


class ManyProcesses(TestCase):
    def test_of_more_than_there_is_room_for_the_rest_is_known_as_lost(self):
        truth = Truth()
        workload = self.started(Workload("--waits", 17_000, "--fork-in-block", 17_000, *truth.options, program=WORKLOAD))
        tool = self.started(Hist("-f", WORKLOAD))
        workload.go()
        self.assertEqual(workload.wait(MOST_S), 0, workload)
        self.assertEqual(tool.stop(), 0, tool)
        counted, lost = sum(tool.counts().values()), tool.last()["coverage"]["lost"]
        self.assertEqual(counted + lost, sum(truth.exact().values()), tool.last()["losses"])

    def test_others_that_come_and_go_change_nothing_for_one_that_stays(self):
        truth = Truth()
        work = ["--threads", 8, "--loop", 600, "--pattern", "sleep", "--hold-ns", 1_000_000]
        stays = self.started(Workload(*work, *truth.options, program=WORKLOAD))
        others = self.started(Workload("--waits", 6000, "--fork-in-block", 6000, program=WORKLOAD))
        tool = self.started(Hist("-f", WORKLOAD, "-i", "0.1"))
        stays.go()
        others.go()
        self.assertEqual(others.wait(), 0, others)
        stays.kill()
        self.assertEqual(tool.stop(), 0, tool)
        counted = sum(harness.counts_of(snapshot, stays.pid).get("work.0", 0) for snapshot in tool.snapshots())
        done, begun = truth.bounds()["work.0"]
        self.assertLessEqual(done, counted)
        self.assertLessEqual(counted, begun)


class ReusedNumbers(TestCase):
    """A process with the number of one that has ended."""

    def started_as(self, pid, *options):
        """A workload with this number, which nobody else may have taken meanwhile."""
        # Two with one number are told apart by the ticks, hundredths of a second, at which they began.
        tick = lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 10_000_000
        last = tick()
        wait_until(lambda: tick() > last, "the clock ticks")
        for _ in range(200):
            wait_until(lambda: not os.path.exists(f"/proc/{pid}"), f"{pid} is free")
            with open("/proc/sys/kernel/ns_last_pid", "w", encoding="ascii") as file:
                file.write(str(pid - 1))
            workload = self.started(Workload(*options, program=WORKLOAD))
            if workload.pid == pid:
                return workload
            workload.kill()
        self.fail(f"others take {pid} each time")

    def free_number(self):
        """A number far from those that others are given meanwhile."""
        with open("/proc/sys/kernel/pid_max", encoding="ascii") as file:
            most = int(file.read())
        with open("/proc/sys/kernel/ns_last_pid", encoding="ascii") as file:
            last = int(file.read())
        start = 1000 + (last + most // 2) % (most - 2000)
        return next(pid for pid in range(start, most) if not os.path.exists(f"/proc/{pid}"))

    @contextlib.contextmanager
    def number(self):
        with open("/proc/sys/kernel/ns_last_pid", encoding="ascii") as file:
            before = file.read()
        try:
            yield self.free_number()
        finally:
            with open("/proc/sys/kernel/ns_last_pid", "w", encoding="ascii") as file:
                file.write(before)

    def work(self, pid, waits):
        workload = self.started_as(pid, "--threads", 3, "--waits", waits, "--keys", 2)
        workload.go()
        self.assertEqual(workload.wait(), 0, workload)

    def series(self, tool, pid):
        return sorted((series["key"], series["count"]) for series in tool.last()["series"] if series["pid"] == pid)

    def test_each_process_of_the_same_number_has_its_own_series(self):
        for target in (["-a"], ["-f", WORKLOAD]):
            with self.subTest(target=target), self.number() as pid:
                keeper = self.started(Workload(program=WORKLOAD))  # so that -a knows the file
                tool = self.started(Hist(*target))
                self.work(pid, 2500)
                self.work(pid, 1001)
                self.assertEqual(tool.stop(), 0, tool)
                self.assert_all_seen(tool.last())
                self.assertEqual(self.series(tool, pid), [("work.0", 3 * 501), ("work.0", 3750), ("work.1", 3 * 500), ("work.1", 3750)])
                keeper.kill()

    def test_one_that_dies_with_records_and_one_that_comes_after(self):
        with self.number() as pid:
            tool = self.started(Hist("-f", WORKLOAD))
            for waits in (100, 130):
                stays = self.started_as(pid, "--threads", 3, "--waits", waits, "--stay")
                stays.go()
                wait_until(lambda: stays.out.strip(), "all threads stay")
                stays.kill()
            self.assertEqual(tool.stop(), 0, tool)
            self.assert_all_seen(tool.last())
            self.assertEqual(self.series(tool, pid), [("work.0", 400), ("work.0", 520)])

    def test_the_number_of_a_target_that_has_ended_is_no_target(self):
        with self.number() as pid:
            target = self.started_as(pid, "--threads", 3, "--waits", 1001)
            other = self.started(Workload("--threads", 3, "--waits", 777, program=WORKLOAD))
            tool = self.started(Hist("-p", pid, "-p", other.pid))
            target.go()
            self.assertEqual(target.wait(), 0)
            self.work(pid, 5000)
            other.go()
            self.assertEqual(other.wait(), 0)
            self.assertEqual(tool.wait(), 0, tool)
            self.assert_all_seen(tool.last())
            self.assertEqual(self.series(tool, pid), [("work.0", 3003)])
            self.assertEqual(self.series(tool, other.pid), [("work.0", 2331)])

    def test_a_target_by_number_is_the_process_that_has_it_now(self):
        with self.number() as pid:
            self.work(pid, 1001)
            target = self.started_as(pid, "--threads", 3, "--waits", 777)
            tool = self.started(Hist("-p", pid))
            target.go()
            self.assertEqual(target.wait(), 0)
            self.assertEqual(tool.wait(), 0, tool)
            self.assertEqual(tool.counts(), {"work.0": 2331})


if __name__ == "__main__":
    harness.main()
