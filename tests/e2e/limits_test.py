# SPDX-License-Identifier: MIT
"""Under a limit the tool prints what it has, or says what is in the way: it is never aborted, and leaves nobody armed."""

import contextlib
import json
import os
import resource
import subprocess
import tempfile
import unittest
import uuid

import harness
from harness import TOOL, Program, TestCase, Workload, armed_word, run

MIB = 1 << 20
COMMANDS = (
    ("hist", "--json", "-d", "0.3"),
    ("slow", "--json", "--min", "0", "-n", "2"),
    ("stuck", "--json", "--stack", "--older", "0"),
    ("record", "-o", "-", "-d", "0.3"),
    ("top", "--json", "-d", "0.3"),
)


def pids_controller():
    """Where a group with a limit on its tasks can be made: what mounts there are depends on the machine."""
    for folder in ("/sys/fs/cgroup/pids", "/sys/fs/cgroup"):
        if os.path.exists(os.path.join(folder, "cgroup.procs")):
            return folder
    return None


class TaskLimit:
    """A control group for so many tasks."""

    def __init__(self, most):
        self.folder = os.path.join(pids_controller(), f"waitprobe-test-{uuid.uuid4().hex}")
        os.mkdir(self.folder)
        if not os.path.exists(os.path.join(self.folder, "pids.max")):  # of version 2: it is switched on above
            with open(os.path.join(os.path.dirname(self.folder), "cgroup.subtree_control"), "w", encoding="ascii") as control:
                control.write("+pids")
        with open(os.path.join(self.folder, "pids.max"), "w", encoding="ascii") as limit:
            limit.write(str(most))

    def enter(self):
        with open(os.path.join(self.folder, "cgroup.procs"), "w", encoding="ascii") as procs:
            procs.write(str(os.getpid()))

    def remove(self):
        """A child of the tool outlives it for a moment: src/collect/machine/late_close.h."""
        def is_removed():
            with contextlib.suppress(OSError):
                os.rmdir(self.folder)
            return not os.path.exists(self.folder)
        harness.wait_until(is_removed, "nobody is left in the control group")


class Limits(TestCase):
    def busy(self):
        workload = self.started(Workload("--loop", 600, "--pattern", "sleep", "--hold-ns", 1_000_000))
        workload.go()
        return workload

    @unittest.skipUnless(pids_controller(), "no control groups are mounted")
    def test_tasks(self):
        workload = self.busy()
        for most in (1, 2, 3):
            limit = TaskLimit(most)
            self.addCleanup(limit.remove)
            for command in COMMANDS:
                with self.subTest(most=most, command=command):
                    # To look for leaks takes a thread.
                    tool = self.started(Program([TOOL, *command, "-p", workload.pid], preexec_fn=limit.enter, env={"ASAN_OPTIONS": "detect_leaks=0"}))
                    self.assertIn(tool.wait(), (0, 3, 4), tool)
                    if command[0] != "stuck":  # which may find that no wait is open just now
                        self.assertIn("work.0", tool.out, tool)
                    self.assertEqual(tool.err, "", tool)
                    self.assertFalse(armed_word(workload.pid))

    @unittest.skipUnless(pids_controller(), "no control groups are mounted")
    def test_a_stack_that_cannot_be_taken_says_why(self):
        limit = TaskLimit(1)
        self.addCleanup(limit.remove)
        go_child, go = os.pipe()
        self.addCleanup(os.close, go)
        open_wait = self.started(Program([harness.built("waitprobe-main-thread-gone"), go_child], pass_fds=(go_child,), stdin=subprocess.PIPE,
                                         env={"WAITPROBE_TRACK": "1"}))
        os.close(go_child)
        self.addCleanup(open_wait.process.stdin.close)
        open_wait.process.stdin.write(b"m")
        open_wait.process.stdin.flush()
        os.write(go, b"g")
        words = (TOOL, "stuck", "--json", "--stack", "--older", "0", "-p", open_wait.pid)
        harness.wait_until(lambda: json.loads(run(*words).out)["open"], "the wait is open")
        stuck = self.started(Program(words, preexec_fn=limit.enter))
        stuck.wait()
        waits = json.loads(stuck.out)["open"]
        self.assertEqual([wait["key"] for wait in waits], ["gone.open"], stuck)
        self.assertIn("no thread can be started", waits[0]["no_stack"])

    def assert_ends_well(self, tool):
        self.assertIn(tool.wait(), (0, 1, 3, 4), f"it was aborted: {tool}")
        if tool.process.returncode == 1:
            self.assertRegex(tool.err, "waitprobe: cannot ", tool)

    @unittest.skipIf(harness.SANITIZED, "sanitizers take terabytes of addresses")
    def test_addresses(self):
        """At whatever point memory ends, there is a result or an error."""
        workload = self.busy()
        for mib in (12, 24, 40, 56, 72, 88, 128, 192):
            limit = (mib * MIB, mib * MIB)
            for command in COMMANDS[:3]:
                with self.subTest(mib=mib, command=command):
                    tool = self.started(Program([TOOL, *command, "-p", workload.pid],
                                                preexec_fn=lambda l=limit: resource.setrlimit(resource.RLIMIT_AS, l)))
                    if tool.wait() == 127 and "shared libraries" in tool.err:
                        continue  # it did not even begin
                    self.assert_ends_well(tool)
        self.assertFalse(armed_word(workload.pid))

    def test_files(self):
        workload = self.busy()
        # The sanitizers take files of their own to look at memory.
        for files in (8, 12, 20, 32, 48, 128) if harness.SANITIZED else (4, 8, 12, 20, 32, 48, 128):
            limit = (files, files)
            for command in COMMANDS:
                with self.subTest(files=files, command=command):
                    tool = self.started(Program([TOOL, *command, "-p", workload.pid],
                                                preexec_fn=lambda l=limit: resource.setrlimit(resource.RLIMIT_NOFILE, l)))
                    if tool.wait() == 127 and "shared libraries" in tool.err:
                        continue
                    self.assert_ends_well(tool)
        self.assertFalse(armed_word(workload.pid))


class ClosedFiles(TestCase):
    """Started with some of the standard files closed."""

    def run_closed(self, closings, *words):
        return run("sh", "-c", f'exec "$@" {closings}', "sh", *words)

    def test_output_that_cannot_be_written_is_an_error(self):
        for words in (("hist", "-a", "-d", "0.05"), ("hist", "-a", "-d", "0.05", "--json"), ("list",), ("stuck", "-a"), ("top", "-a", "-d", "0.05"),
                      ("record", "-o", "-", "-a", "-d", "0.05"), ("--help",), ("--version",), ("hist", "--help"), ("completion", "bash"), ("man",)):
            with self.subTest(words=words):
                ran = self.run_closed(">&-", TOOL, *words)
                self.assertEqual(ran.process.returncode, 1, ran)
                self.assertRegex(ran.err, "waitprobe: cannot write")

    def test_what_is_opened_later_is_not_written_to(self):
        for closings in ("<&-", "2>&-", "<&- 2>&-"):
            with self.subTest(closings=closings):
                ran = self.run_closed(closings, TOOL, "hist", "--json", "--", "sh", "-c", "exit 7")
                self.assertEqual(ran.process.returncode, 7, ran)
                self.assertEqual(json.loads(ran.out)["coverage"]["lost"], 0)
        ran = self.run_closed("<&- >&- 2>&-", TOOL, "hist", "-a", "-d", "0.05")
        self.assertEqual((ran.process.returncode, ran.out, ran.err), (1, "", ""))

    def test_a_command_has_them_as_they_were(self):
        for closings, missing in (("<&-", "0"), ("2>&-", "2"), (">&-", "1"), ("", "")):
            with self.subTest(closings=closings):
                folder = self.enterContext(tempfile.TemporaryDirectory())
                script = f'exec 9>{folder}/missing; for fd in 0 1 2; do [ -e /proc/$$/fd/$fd ] || printf $fd >&9; done'
                self.run_closed(closings, TOOL, "hist", "--", "bash", "-c", script)
                with open(f"{folder}/missing", encoding="ascii") as found:
                    self.assertEqual(found.read(), missing)


if __name__ == "__main__":
    harness.main()
