# SPDX-License-Identifier: MIT
"""`waitprobe stuck` names who holds a mutex that is waited for, threads that wait for each other, and threads that sleep without a guard."""

import json
import os
import re
import subprocess
import tempfile
import unittest

import harness
from harness import TOOL, Program, TestCase, built, run, wait_until


class Locks(Program):
    """Threads that wait for mutexes: a scene of locks.cpp."""

    def __init__(self, scene):
        super().__init__([built("waitprobe-locks"), scene], stdin=subprocess.PIPE, env={"WAITPROBE_TRACK": "1"})
        wait_until(lambda: "ready" in self.out or self.process.poll() is not None, "all wait")

    def kill(self):
        self.process.stdin.close()
        super().kill()


class Holders(TestCase):
    def stuck(self, *words):
        return json.loads(run(TOOL, "stuck", "--older", "0", "--json", *words).out)

    def scene(self, name):
        """The program, what is found in it, and its open waits by thread."""
        program = self.started(Locks(name))
        found = self.stuck("-p", program.pid)
        return program, found, {wait["thread"]: wait for wait in found["open"]}

    def assert_held_by(self, wait, *steps):
        self.assertEqual([(holder["thread"], holder["key"]) for holder in wait.get("held_by", [])], list(steps))

    def test_a_holder_and_what_it_is_inside_of(self):
        program, found, waits = self.scene("holder")
        for name in ("finder-1", "finder-2"):
            self.assert_held_by(waits[name], ("saver", "disk.fsync"))
            holder = waits[name]["held_by"][0]
            self.assertEqual((holder["tid"], holder["state"]), (waits["saver"]["tid"], "S"))
        self.assertNotIn("held_by", waits["saver"])
        self.assertNotIn("deadlocks", found)
        out = run(TOOL, "stuck", "--older", "0", "-p", program.pid).out
        self.assertEqual(out.count(f"       mutex held by saver ({waits['saver']['tid']}) inside disk.fsync\n         sleeping in "), 2, out)

    def test_mutexes_that_have_their_owner_in_their_word(self):
        for name in ("inherit", "robust"):
            with self.subTest(kind=name):
                _, _, waits = self.scene(name)
                self.assert_held_by(waits["finder-1"], ("saver", "disk.fsync"))

    def test_a_chain_over_a_thread_without_a_guard(self):
        program, _, waits = self.scene("chain")
        self.assert_held_by(waits["first"], ("middle", None), ("last", "disk.fsync"))
        out = run(TOOL, "stuck", "--older", "0", "-p", program.pid).out
        self.assertRegex(out, r"\n       mutex held by middle \(\d+\)\n       which waits for a mutex held by last \(\d+\) inside disk.fsync\n         sleeping in ")

    def test_stacks(self):
        program = self.started(Locks("chain"))
        # Without its own wait, the holder is shown apart.
        waits = self.stuck("-p", program.pid, "--stack", "-k", "cache.*")["open"]
        self.assertEqual([wait["thread"] for wait in waits], ["first"])
        self.assertTrue(any(re.search(r"operator\(\).* \(locks.cpp:", frame) for frame in waits[0]["held_by"][0]["stack"]), waits)
        self.assertIn("\n         stack of middle (", run(TOOL, "stuck", "--older", "0", "-p", program.pid, "--stack").out)

    def assert_deadlock(self, found, *names):
        self.assertEqual(len(found["deadlocks"]), 1)
        threads = [thread["thread"] for thread in found["deadlocks"][0]["threads"]]
        begin = threads.index(names[0])
        self.assertEqual(threads[begin:] + threads[:begin], list(names))

    def test_a_circle(self):
        program, found, waits = self.scene("circle")
        self.assert_deadlock(found, "one", "two", "three")
        self.assertNotIn("timed", found["deadlocks"][0])
        self.assert_held_by(waits["behind"], *[(name, "cache.lock") for name in ("one", "two", "three", "one")])
        ran = run(TOOL, "stuck", "--older", "0", "-p", program.pid)
        self.assertEqual(ran.process.returncode, 3)
        tid = {name: wait["tid"] for name, wait in waits.items()}
        self.assertRegex(ran.out, rf"\ndeadlock in waitprobe-locks \({program.pid}\):\s(\w+) \(\d+\)\s+waits for \w+ \(\d+\)\s+waits for \w+ \(\d+\)\s+waits for \1 \(\d+\)\n4 waits open\n")
        self.assertIn(f"\n       mutex held by one ({tid['one']}) inside cache.lock: deadlock\n", ran.out)

    def test_a_thread_that_waits_for_itself(self):
        program, found, _ = self.scene("itself")
        self.assert_deadlock(found, "lonely")
        self.assertRegex(run(TOOL, "stuck", "--older", "0", "-p", program.pid).out, r"\ndeadlock in \S+ \(\d+\): lonely \(\d+\) waits for itself\n")

    def test_one_that_will_not_wait_for_ever(self):
        program, found, _ = self.scene("timed")
        self.assert_deadlock(found, "patient", "impatient")
        self.assertTrue(found["deadlocks"][0]["timed"])
        self.assertRegex(run(TOOL, "stuck", "--older", "0", "-p", program.pid).out, r"\ndeadlock in [^,]*, until a timeout\n")

    def test_an_owner_that_has_ended(self):
        program, found, waits = self.scene("ended")
        holder = waits["orphan"]["held_by"][0]
        self.assertEqual((holder["ended"], holder["thread"]), (True, None))
        self.assertNotIn("deadlocks", found)
        self.assertIn(f"mutex held by a thread that has ended ({holder['tid']})\n", run(TOOL, "stuck", "--older", "0", "-p", program.pid).out)

    def test_what_only_looks_like_a_mutex(self):
        _, _, waits = self.scene("other")
        self.assertNotIn("held_by", waits["spinner"])

    @unittest.skipIf(harness.SANITIZED, "sanitizers take terabytes of addresses")
    def test_a_core_dump(self):
        with tempfile.TemporaryDirectory() as folder:
            for scene, lines in (("holder", {"mutex held by thread {saver} inside disk.fsync\n": 2}),
                                 ("circle", {" inside cache.lock: deadlock\n": 4, "deadlock in waitprobe-locks ({pid}): thread ": 1})):
                program, _, waits = self.scene(scene)
                dumped = run("gcore", "-o", os.path.join(folder, scene), program.pid)
                self.assertEqual(dumped.process.returncode, 0, dumped)
                out = run(TOOL, "stuck", "--core", os.path.join(folder, f"{scene}.{program.pid}"), "--older", "0").out
                for line, count in lines.items():
                    expected = line.format(pid=program.pid, **{name: wait["tid"] for name, wait in waits.items()})
                    self.assertEqual(out.count(expected), count if os.uname().machine == "x86_64" else 0, out)

    def test_threads_that_sleep_without_a_guard(self):
        program, found, _ = self.scene("uninterruptible")
        (sleeper,) = found["sleepers"]
        self.assertEqual((sleeper["pid"], sleeper["thread"], sleeper["syscall"]), (program.pid, "reader", "vfork"))
        self.assertGreaterEqual(sleeper["seen_ns"], 100_000_000)
        ran = run(TOOL, "stuck", "-p", program.pid)
        self.assertEqual(ran.process.returncode, 0, "no wait is open")
        self.assertRegex(ran.out, r"\nwithout a guard, in uninterruptible sleep:\n  waitprobe-locks \(\d+\), thread reader \(\d+\), for at least \d\S+s\n    in vfork")
        self.assertNotIn("sleepers", self.stuck("-p", program.pid, "-k", "*"))


if __name__ == "__main__":
    harness.main()
