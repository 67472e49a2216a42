# SPDX-License-Identifier: MIT
"""However a process ends, what its threads have waited until then is counted, and nothing else."""

import contextlib
import os
import random
import signal
import time

import harness
from harness import Hist, TestCase, Workload, armed_word, wait_until
from stepped import Stepped
from truth import Truth

KILLS = int(os.environ.get("WAITPROBE_KILLS", "50"))
SEED = int(os.environ.get("WAITPROBE_SEED", str(time.time_ns() % 1_000_000)))
# Between two full rings, so that something is left when the dying thread has done its waits.
WORK = ["--threads", 4, "--waits", 2503, "--keys", 7, "--pattern", "none"]
THREADS = 4
LOOP = ["--threads", THREADS, "--loop", 600, "--keys", 7, "--pattern", "none"]
TOGETHER = 5  # killed one after the other, under one tool
OOM_LIMIT = 64 << 20


def exit_is_early():
    """Whether sched_process_exit comes while the process still has its memory: its second argument came with that."""
    with open("/sys/kernel/tracing/events/sched/sched_process_exit/format", encoding="ascii") as file:
        return "group_dead" in file.read()


class Dying(TestCase):
    def assert_true(self, snapshot, truth, pid=None):
        """As many as have happened; and where the kernel does not say in time that a thread ends, the rest is known as lost."""
        bounds = truth.bounds()
        counts = harness.counts_of(snapshot, pid)
        self.assertGreater(sum(done for done, _ in bounds.values()), 0)
        self.assertLessEqual(set(counts), set(bounds), "nobody has waited on these keys")
        if exit_is_early():
            self.assert_all_seen(snapshot)
            for key, (done, begun) in bounds.items():
                self.assertLessEqual(done, counts.get(key, 0), (key, counts, bounds))
        done = sum(done for done, _ in bounds.values())
        self.assertGreaterEqual(sum(counts.values()) + snapshot["coverage"]["lost"], done, snapshot["losses"])
        for key, (_, begun) in bounds.items():
            self.assertLessEqual(counts.get(key, 0), begun, (key, counts, bounds))


def whole_run(tool):
    """What the intervals of -i add up to."""
    total = {"series": [], "coverage": {"lost": 0}, "losses": {}}
    for snapshot in tool.snapshots():
        total["series"] += snapshot["series"]
        total["coverage"]["lost"] += snapshot["coverage"]["lost"]
        total["losses"] = {name: total["losses"].get(name, 0) + cnt for name, cnt in snapshot["losses"].items()}
    return total


class WaysToDie(Dying):
    def die(self, how, status, *targets, prepare=None):
        for target in targets or (None, "-a"):
            with self.subTest(how=how, target=target or "-p"), contextlib.ExitStack() as stack:
                truth = Truth()
                workload = self.started(Workload(*WORK, "--die", how, *truth.options))
                if prepare:
                    prepare(workload, stack)
                tool = self.started(Hist(target) if target else Hist("-p", workload.pid))
                workload.go()
                self.assertEqual(workload.wait(), status, workload)
                self.assertEqual(tool.stop() if target else tool.wait(), 0, tool)
                self.assert_true(tool.last(), truth, workload.pid)
                for done, _ in truth.bounds(slice(0, 5)).values():
                    self.assertGreaterEqual(done, 5 * (2503 // 7), "all five threads have done their work first")

    def test_exit(self):
        self.die("exit", 0)

    def test_exit_without_handlers(self):
        self.die("_exit", 0)

    def test_exec_by_the_main_thread(self):
        self.die("exec", 0)

    def test_exec_by_another_thread(self):
        self.die("exec-thread", 0)

    def test_a_fault(self):
        self.die("segv", -11)

    def test_abort(self):
        self.die("abort", -6)

    def test_a_signal_that_kills(self):
        self.die("term", -15)

    def test_a_handler_that_ends_the_process(self):
        self.die("handled", 0)

    def test_each_thread_for_itself(self):
        self.die("thread-exit", 0)

    def test_each_thread_for_itself_by_the_system_call(self):
        self.die("raw-exit", 0)

    def test_no_memory_left_in_the_group(self):
        def confine(workload, stack):
            group = stack.enter_context(memory_group())
            if group is None:
                self.skipTest("no memory controller that can be used")
            with open(os.path.join(group, "cgroup.procs"), "w", encoding="ascii") as file:
                file.write(str(workload.pid))

        self.die("oom", -9, prepare=confine)


@contextlib.contextmanager
def memory_group():
    """A control group with little memory, of whichever version; None where there is no controller."""
    roots = {"memory.max": "/sys/fs/cgroup", "memory.limit_in_bytes": "/sys/fs/cgroup/memory"}
    for limit, root in roots.items():
        group = os.path.join(root, f"waitprobe-test-{os.getpid()}")
        with contextlib.suppress(OSError):
            with open(os.path.join(root, "cgroup.subtree_control"), "w", encoding="ascii") as file:
                file.write("+memory")
        try:
            os.mkdir(group)
        except OSError:
            continue
        try:
            with open(os.path.join(group, limit), "r+", encoding="ascii") as file:
                file.write(str(OOM_LIMIT))
        except OSError:
            os.rmdir(group)
            continue
        with contextlib.suppress(OSError):  # there may be no swap to forbid
            with open(os.path.join(group, "memory.swap.max"), "r+", encoding="ascii") as file:
                file.write("0")
        try:
            yield group
        finally:
            removed = lambda: not os.path.exists(group) or remove(group)
            wait_until(removed, f"{group} is empty")
        return
    yield None


def remove(group):
    try:
        os.rmdir(group)
        return True
    except OSError:
        return False


class Killed(Dying):
    def test_kill_9_at_any_moment(self):
        print(f"WAITPROBE_SEED={SEED}", flush=True)
        chance = random.Random(SEED)
        for turn in range(-(-KILLS // TOGETHER)):
            with self.subTest(turn=turn):
                truths = [Truth() for _ in range(TOGETHER)]
                workloads = [self.started(Workload(*LOOP, *truth.options)) for truth in truths]
                pids = [word for workload in workloads for word in ("-p", workload.pid)]
                # Every other time, the tool brings records itself meanwhile.
                tool = self.started(Hist(*pids, *(["-i", "0.005"] if turn % 2 else [])))
                for workload, truth in zip(workloads, truths):
                    workload.go()
                    wait_until(truth.bounds, "the work has begun")
                for workload in workloads:
                    time.sleep(chance.choice((0.0005, 0.005, 0.05)) * chance.random())
                    workload.kill()
                self.assertEqual(tool.wait(), 0, tool)
                for workload, truth in zip(workloads, truths):
                    self.assert_true(whole_run(tool), truth, workload.pid)

    def test_kill_9_when_all_threads_are_asleep_with_records_in_their_rings(self):
        for waits in (1, 255, 256, 257, 2503):
            with self.subTest(waits=waits):
                truth = Truth()
                workload = self.started(Workload("--threads", 4, "--waits", waits, "--keys", 7, "--stay", *truth.options))
                tool = self.started(Hist("-p", workload.pid))
                workload.go()
                wait_until(lambda: workload.out.strip(), "all threads stay")
                workload.kill()
                self.assertEqual(tool.wait(), 0, tool)
                self.assert_all_seen(tool.last())
                self.assertEqual(tool.counts(), truth.exact())
                self.assertEqual(tool.counts(), workload.truth())

    def test_kill_9_of_threads_that_had_their_blocks_before_the_tool_came(self):
        workload = self.started(Stepped("--threads", 4, "--waits", 3, "--keys", 2, "--pattern", "none"))
        workload.go()
        first = self.started(Hist("-p", workload.pid))
        workload.step()
        before = workload.truth_now.exact()
        second = self.started(Hist("-p", workload.pid))
        workload.step()
        after = workload.truth_now.exact()
        workload.kill()
        for tool, counts in ((first, after), (second, {key: after[key] - before[key] for key in after})):
            self.assertEqual(tool.wait(), 0, tool)
            self.assert_all_seen(tool.last())
            self.assertEqual(tool.counts(), counts)

    def test_kill_9_after_snapshots_have_taken_some(self):
        truth = Truth()
        workload = self.started(Workload(*LOOP, *truth.options))
        tool = self.started(Hist("-p", workload.pid, "-i", "0.05"))
        workload.go()
        wait_until(lambda: len(tool.snapshots()) >= 5, "five intervals")
        workload.kill()
        self.assertEqual(tool.wait(), 0, tool)
        self.assert_true(whole_run(tool), truth)

    def test_kill_9_while_the_tool_leaves(self):
        chance = random.Random(SEED)
        for turn in range(KILLS // 10):
            delay_s = 0.002 * chance.random()
            with self.subTest(turn=turn, delay_s=delay_s):
                truth = Truth()
                workload = self.started(Workload(*LOOP, *truth.options))
                tool = self.started(Hist("-f", workload.words[0]))
                workload.go()
                wait_until(truth.bounds, "the work has begun")
                before = truth.bounds()
                tool.signal(signal.SIGINT)
                time.sleep(delay_s)
                workload.kill()
                self.assertEqual(tool.wait(), 0, tool)
                self.assert_all_seen(tool.last())
                for key, (_, begun) in truth.bounds().items():
                    count = tool.counts(workload.pid).get(key, 0)
                    self.assertLessEqual(before.get(key, (0, 0))[0], count, "all that was done when it was told to leave")
                    self.assertLessEqual(count, begun)


class ToolKilled(Dying):
    def test_a_tool_that_comes_after_a_killed_one_counts_exactly_what_comes_after(self):
        for how in ("work", "ring"):  # killed while threads wait, and while their rings are half full
            with self.subTest(how=how):
                truth = Truth()
                first = self.started(Workload(*LOOP, *truth.options))
                stays = self.started(Workload("--threads", 4, "--waits", 300, "--stay"))
                second = self.started(Workload(*WORK))
                killed = self.started(Hist("-f", harness.built("waitprobe-workload")))
                first.go()
                stays.go()
                wait_until(truth.bounds, "the work has begun")
                wait_until(lambda: stays.out.strip(), "rings are half full")
                killed.kill()
                if how == "ring":
                    first.kill()
                wait_until(lambda: not armed_word(second.pid), "nobody listens any more")
                tool = self.started(Hist("-p", second.pid, "-p", stays.pid))
                second.go()
                self.assertEqual(second.wait(), 0)
                stays.kill()
                self.assertEqual(tool.wait(), 0, tool)
                self.assertEqual(tool.counts(second.pid), second.truth())
                self.assertEqual(tool.counts(stays.pid), {}, "these have been there before")
                self.assert_all_seen(tool.last())
                if how == "work":
                    self.assertIsNone(first.process.poll(), "the workload goes on")
                first.kill()

    def test_a_tool_that_comes_into_the_work_after_a_killed_one(self):
        truth = Truth()
        workload = self.started(Workload(*LOOP, *truth.options))
        killed = self.started(Hist("-p", workload.pid))
        workload.go()
        wait_until(truth.bounds, "the work has begun")
        killed.kill()
        before = truth.bounds()
        tool = self.started(Hist("-p", workload.pid))
        then = truth.bounds()
        wait_until(lambda: all(done > then[key][1] + 1000 for key, (done, _) in truth.bounds().items()), "more work")
        workload.kill()
        self.assertEqual(tool.wait(), 0, tool)
        self.assert_all_seen(tool.last())
        counts, after = tool.counts(), truth.bounds()
        for key in then:
            # A wait that each thread was in may have begun before, when nobody was there: it is not reported.
            self.assertLessEqual(after[key][0] - then[key][1] - THREADS, counts[key], "all that was begun when the tool was there")
            self.assertLessEqual(counts[key], after[key][1] - before[key][0], "and nothing of what was done before it came")


if __name__ == "__main__":
    harness.main()
