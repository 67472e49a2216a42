# SPDX-License-Identifier: MIT
"""Processes that open a file and have ended, or closed it, before the tool could look: counted, or said not to be."""

import os
import shutil
import signal
import subprocess
import time

import harness
from harness import Hist, Program, TOOL, counts_of, run, wait_until
from verified_test import NOT_VERIFIED, Built

# What is caught in the middle of something is caught elsewhere each time; 6 rounds by hand.
ROUNDS = int(os.environ.get("WAITPROBE_ROUNDS", "2"))

CLOSED = """
#include <waitprobe/c.h>
static waitprobe_handle handle = WAITPROBE_HANDLE("plugin.0");
void plugin_wait(unsigned key) {
  (void)key;
  waitprobe_stop(waitprobe_start(&handle));
}
"""


class EndedUnseen(Built):
    def build_closable(self, name):
        """A plug-in in C: what is inline in C++ may keep one in the process."""
        path = os.path.join(self.folder.name, name)
        subprocess.run(["gcc", "-shared", "-fPIC", "-I", os.path.join(harness.SOURCE, "include"), "-x", "c", "-", "-x", "none",
                        harness.built("libwaitprobe.a"), "-o", path], check=True, encoding="ascii", input=CLOSED)
        return path

    def test_programs_that_end_before_they_are_looked_at(self):
        fresh = self.copy("fresh")
        tool = self.started(Hist("-a"))
        for _ in range(20):
            run(fresh)
        status = tool.stop()
        snapshot = tool.last()
        seen = counts_of(snapshot).get("verified.wait", 0) // 23
        unseen = {one["pid"] for one in snapshot.get("unverified", []) if one["file"] == fresh}
        late = {one["pid"] for one in snapshot.get("attached_late", []) if one["file"] == fresh}
        self.assertGreaterEqual(seen + len(unseen | late), 20, snapshot)
        if seen < 20:
            self.assertEqual(status, NOT_VERIFIED, tool)
            self.assertTrue(unseen | late, snapshot)

    def test_those_whose_files_carry_nothing_are_not_listed(self):
        script = os.path.join(self.folder.name, "script")
        with open(script, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\nexec /bin/true\n")
        os.chmod(script, 0o755)
        tool = self.started(Hist("-a"))
        for _ in range(50):
            run("/bin/true")
            run("/bin/ls", "/")
            run(script)
            run("./script", cwd=self.folder.name)
        tool.stop()
        files = [one["file"] for one in tool.last().get("unverified", [])]
        self.assertFalse([file for file in files if file.endswith(("/true", "/ls", "script", "sh"))], tool.last())

    def test_a_command_that_hides_from_the_tool(self):
        fresh = self.copy("hidden")
        ran = run(TOOL, "hist", "--", "env", "-i", fresh)
        if "23 waits in" not in ran.out:
            self.assertEqual(ran.process.returncode, NOT_VERIFIED, ran)
            self.assertRegex(ran.out, r"(?m)^No waits were seen in \S+; 1 process (not verified|attached late)$")
            self.assertIn(fresh, ran.out)

    def test_a_file_that_is_known_needs_no_look(self):
        tool = self.started(Hist("-f", self.program))
        for _ in range(20):
            run(self.program)
        self.assertEqual(tool.stop(), 0, tool)
        self.assertEqual(counts_of(tool.last()), {"verified.wait": 20 * 23})
        self.assertNotIn("unverified", tool.last())

    def assert_told(self, tool, status, file, key, truth, pid=None):
        """Counted, or said not to be."""
        snapshot = tool.last()
        doubts = [one for part in ("unverified", "attached_late") for one in snapshot.get(part, []) if one["file"] == file]
        counted = counts_of(snapshot, pid).get(key, 0)
        self.assertLessEqual(counted, truth, snapshot)
        if counted < truth:
            self.assertTrue(doubts, f"{counted} of {truth}: {snapshot}")
            self.assertEqual(status, NOT_VERIFIED, tool)

    def test_a_plug_in_that_a_process_opens_before_it_ends(self):
        program = os.path.join(self.folder.name, "opener")
        self.build(program)
        for turn in range(ROUNDS):
            for target in ("-p", "-a"):
                with self.subTest(turn=turn, target=target):
                    plugin = shutil.copy(harness.built("workload-plugin.so"), os.path.join(self.folder.name, f"plugin{turn}{target}.so"))
                    read_end, write_end = os.pipe()
                    opener = self.started(Program([program, "plugin", plugin], stdin=read_end))
                    os.close(read_end)
                    tool = self.started(Hist("-a") if target == "-a" else Hist("-p", opener.pid))
                    os.write(write_end, b"g")
                    os.close(write_end)
                    self.assertEqual(opener.wait(), 0, opener)
                    status = tool.stop() if target == "-a" else tool.wait()
                    self.assert_told(tool, status, plugin, "plugin.0", 23, opener.pid)
                    self.assertNotIn("", [one["comm"] for one in tool.last().get("unverified", []) if one["file"] == plugin])

    # The tool stands still meanwhile: by the time it hears of the plug-in, nobody is there whom it could ask for a name, or
    # whether it was to be counted.
    def test_a_plug_in_that_a_fork_opens_before_it_ends(self):
        program = os.path.join(self.folder.name, "forker")
        self.build(program)
        for target in ("--", "-a"):
            with self.subTest(target=target):
                plugin = shutil.copy(harness.built("workload-plugin.so"), os.path.join(self.folder.name, f"plugin-of-child{target}.so"))
                gate = os.path.join(self.folder.name, f"gate{target}")
                os.mkfifo(gate)
                command = ["sh", "-c", f"exec {program} child {plugin} <{gate}"]
                forker = None if target == "--" else self.started(Program(command))
                tool = self.started(Hist(target, *(command if target == "--" else [])))
                with open(gate, "w", encoding="ascii") as go:
                    wait_until(lambda: subprocess.run(["pgrep", "-x", "forker"], capture_output=True).returncode == 0, "it is there")
                    pid = int(subprocess.run(["pgrep", "-x", "forker"], capture_output=True, check=True).stdout)
                    os.kill(tool.pid, signal.SIGSTOP)
                    go.write("g")
                wait_until(lambda: not os.path.exists(f"/proc/{pid}/exe"), "it has ended")
                os.kill(tool.pid, signal.SIGCONT)
                status = tool.stop() if target == "-a" else tool.wait()
                doubts = [(one["comm"], one["why"]) for one in tool.last().get("unverified", []) if one["file"] == plugin]
                self.assertEqual(doubts, [("forker", "ended unseen")], tool.last())
                self.assertEqual(status, NOT_VERIFIED, tool)
                if forker is not None:
                    self.assertEqual(forker.wait(), 0, forker)

    def test_a_fork_that_ends_before_the_file_it_has_from_its_parent_is_attached_to(self):
        program = os.path.join(self.folder.name, "parent")
        self.build(program)
        plugin = shutil.copy(harness.built("workload-plugin.so"), os.path.join(self.folder.name, "inherited.so"))
        read_end, write_end = os.pipe()
        parent = self.started(Program([program, "heir", plugin], stdin=read_end))
        os.close(read_end)
        tool = self.started(Hist("-a"))
        os.kill(tool.pid, signal.SIGSTOP)
        os.write(write_end, b"g")
        wait_until(lambda: "ended" in parent.out, parent)
        os.kill(tool.pid, signal.SIGCONT)
        self.assertEqual(tool.stop(), NOT_VERIFIED, tool)
        os.close(write_end)
        self.assertEqual(parent.wait(), 0, parent)
        late = [one["pid"] == parent.pid for one in tool.last().get("attached_late", []) if (one["comm"], one["file"]) == ("parent", plugin)]
        self.assertEqual(sorted(late), [False, True], tool.last())

    def test_a_plug_in_that_is_closed_at_once_in_a_process_that_lives_on(self):
        program = os.path.join(self.folder.name, "closer")
        self.build(program)
        for turn in range(ROUNDS):
            plugin = self.build_closable(f"closed{turn}.so")
            read_end, write_end = os.pipe()
            closer = self.started(Program([program, "closed", plugin], stdin=read_end))
            os.close(read_end)
            tool = self.started(Hist("-p", closer.pid))
            os.write(write_end, b"g")
            time.sleep(2.5)  # until the tool gives up to look for it
            status = tool.stop()
            os.close(write_end)
            self.assertEqual(closer.wait(), 0, closer)
            self.assert_told(tool, status, plugin, "plugin.0", 23)

    def test_a_plug_in_that_is_opened_again_before_it_is_attached_to(self):
        program = os.path.join(self.folder.name, "reopener")
        self.build(program)
        for turn in range(ROUNDS):
            plugin = self.build_closable(f"reopened{turn}.so")
            tool = self.started(Hist("--", program, "reopened", plugin))
            self.assert_told(tool, tool.wait(), plugin, "plugin.0", 2 * 23)

    def test_more_copies_in_a_thread_than_are_remembered(self):
        program = os.path.join(self.folder.name, "many")
        self.build(program)
        for copies in (40, 70):
            prefix = os.path.join(self.folder.name, f"copy-{copies}-")
            for n in range(copies):
                shutil.copy(harness.built("workload-plugin.so"), f"{prefix}{n}.so")
            # Without it, the C library has room for 34.
            tool = self.started(Hist("--", program, "copies", prefix, env={"GLIBC_TUNABLES": "glibc.rtld.optional_static_tls=65536"}))
            self.assertIn(tool.wait(), (0, NOT_VERIFIED), tool)
            counted, lost = counts_of(tool.last())["plugin.0"], tool.last()["coverage"]["lost"]
            self.assertEqual(lost > 0, counted < 23 * copies, tool.last())
            self.assertEqual(counted == 23 * copies, copies == 40, tool.last())

    def test_a_library_that_is_loaded_before_a_program_that_names_none(self):
        for turn in range(ROUNDS):
            plugin = shutil.copy(harness.built("workload-plugin.so"), os.path.join(self.folder.name, f"loaded{turn}.so"))
            tool = self.started(Hist("-a"))
            run("/bin/true", env={"LD_PRELOAD": plugin})
            tool.stop()
            doubts = [one for part in ("unverified", "attached_late") for one in tool.last().get(part, [])]
            self.assertIn(plugin, [one["file"] for one in doubts], tool.last())

    def test_the_second_process_of_a_file_that_is_attached_to_late(self):
        for turn in range(ROUNDS):
            fresh = self.copy(f"pair{turn}")
            tool = self.started(Hist("-a"))
            both = [self.started(Program([fresh])) for _ in range(2)]
            for one in both:
                one.wait()
            status = tool.stop()
            self.assert_told(tool, status, fresh, "verified.wait", 2 * 23)
            counted = {series["pid"] for series in tool.last()["series"] if series["count"] == 23}
            doubted = {one["pid"] for part in ("unverified", "attached_late") for one in tool.last().get(part, [])}
            self.assertLessEqual({one.pid for one in both}, counted | doubted, tool.last())

    def test_a_process_that_runs_one_program_after_another(self):
        read_end, write_end = os.pipe()
        program = self.started(Program([self.program, "again", 300], stdin=read_end))
        os.close(read_end)
        tool = self.started(Hist("-p", program.pid, "-i", "0.002"))
        os.write(write_end, b"g")
        os.close(write_end)
        self.assertEqual(program.wait(), 0, program)
        # On a busy machine a look may come while exec maps the file, for milliseconds before the kernel arms it: that is told.
        status = tool.wait()
        self.assertEqual(status, NOT_VERIFIED if "attached_late" in tool.out else 0, "status")
        self.assertEqual(sum(counts_of(snapshot).get("verified.wait", 0) for snapshot in tool.snapshots()), 300 * 23)
        self.assertFalse([snapshot for snapshot in tool.snapshots() if "unverified" in snapshot])


if __name__ == "__main__":
    harness.main()
