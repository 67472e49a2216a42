# SPDX-License-Identifier: MIT
"""What was not read to be armed takes "none was lost" away, and makes the exit status 4."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

import harness
from harness import Hist, Program, TestCase, TOOL, counts_of, run, wait_until

NOT_VERIFIED = 4
ABI_MAGIC = b"wtproot1"


def last_snapshot(ran):
    return json.loads([line for line in ran.out.splitlines() if line.startswith('{"waitprobe"')][-1])


def why_of(snapshot):
    return [one["why"] for one in snapshot.get("unverified", [])]


CLOSED = """
#include <waitprobe/c.h>
static waitprobe_handle handle = WAITPROBE_HANDLE("plugin.0");
void plugin_wait(unsigned key) {
  (void)key;
  waitprobe_stop(waitprobe_start(&handle));
}
"""


class Built(TestCase):
    """The program of these tests, linked statically: it ends within a millisecond."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.program = os.path.join(cls.folder.name, "verified")
        cls.build(cls.program, "-static")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @staticmethod
    def build(path, *flags):
        source = os.path.join(harness.SOURCE, "tests/e2e/verified.cpp")
        subprocess.run(["g++", "-std=c++20", "-O2", "-w", "-I", os.path.join(harness.SOURCE, "include"), source, "-o", path,
                        *flags, harness.built("libwaitprobe.a"), "-ldl"], check=True)

    def copy(self, name):
        return shutil.copy(self.program, os.path.join(self.folder.name, name))


class EndedUnseen(Built):
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
            self.assertRegex(ran.out, r"(?m)^no waits in \S+; 1 process (not verified|attached late)$")
            self.assertIn(fresh, ran.out)

    def test_a_file_that_is_known_needs_no_look(self):
        tool = self.started(Hist("-f", self.program))
        for _ in range(20):
            run(self.program)
        self.assertEqual(tool.stop(), 0, tool)
        self.assertEqual(counts_of(tool.last()), {"verified.wait": 20 * 23})
        self.assertNotIn("unverified", tool.last())


    def assert_told(self, tool, status, file, key, truth):
        """Counted, or said not to be."""
        snapshot = tool.last()
        doubts = [one for part in ("unverified", "attached_late") for one in snapshot.get(part, []) if one["file"] == file]
        counted = counts_of(snapshot).get(key, 0)
        self.assertLessEqual(counted, truth, snapshot)
        if counted < truth:
            self.assertTrue(doubts, f"{counted} of {truth}: {snapshot}")
            self.assertEqual(status, NOT_VERIFIED, tool)

    def test_a_plug_in_that_a_process_opens_before_it_ends(self):
        program = os.path.join(self.folder.name, "opener")
        self.build(program)
        for turn in range(6):
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
                    self.assert_told(tool, status, plugin, "plugin.0", 23)
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
        for turn in range(6):
            # In C: what is inline in C++ may keep a plug-in in the process.
            plugin = os.path.join(self.folder.name, f"closed{turn}.so")
            subprocess.run(["gcc", "-shared", "-fPIC", "-I", os.path.join(harness.SOURCE, "include"), "-x", "c", "-", "-x", "none",
                            harness.built("libwaitprobe.a"), "-o", plugin], check=True, encoding="ascii", input=CLOSED)
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
        for turn in range(6):
            plugin = shutil.copy(harness.built("workload-plugin.so"), os.path.join(self.folder.name, f"loaded{turn}.so"))
            tool = self.started(Hist("-a"))
            run("/bin/true", env={"LD_PRELOAD": plugin})
            tool.stop()
            doubts = [one for part in ("unverified", "attached_late") for one in tool.last().get(part, [])]
            self.assertIn(plugin, [one["file"] for one in doubts], tool.last())

    def test_the_second_process_of_a_file_that_is_attached_to_late(self):
        for turn in range(6):
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


class NotArmed(Built):
    def test_the_second_copy_of_a_file_in_one_process(self):
        program = os.path.join(self.folder.name, "dynamic")
        self.build(program)
        read_end, write_end = os.pipe()
        tool = self.started(Program([TOOL, "hist", "-i", "0.1", "--json", "--", program, "twice", harness.built("workload-plugin.so")],
                                    stdin=read_end))
        os.close(read_end)
        wait_until(lambda: "unverified" in tool.out, "the tool has looked at both copies")
        os.close(write_end)
        self.assertEqual(tool.wait(), NOT_VERIFIED, tool)
        snapshot = last_snapshot(tool)
        (second,) = snapshot["unverified"]
        self.assertEqual((second["why"], os.path.basename(second["file"])), ("word is zero", "workload-plugin.so"))
        self.assertGreater(second["pid"], 0)
        self.assertTrue(second["comm"].startswith("dynamic"))

    def test_a_process_that_is_disarmed_while_it_is_counted(self):
        read_end, write_end = os.pipe()
        tool = self.started(Program([TOOL, "hist", "-i", "0.1", "--", self.program, "disarm"], stdin=read_end))
        os.close(read_end)
        wait_until(lambda: "not verified" in tool.out, "the tool has seen it")
        os.close(write_end)
        self.assertEqual(tool.wait(), NOT_VERIFIED, tool)
        self.assertRegex(tool.out, r"(?m)^  word is zero: the kernel has not armed its guards$")

    def test_a_library_of_another_version(self):
        other = self.copy("other")
        with open(other, "r+b") as file:
            content = bytearray(file.read())
            for found in re.finditer(ABI_MAGIC, content):
                if content[found.end() + 4:found.end() + 8] == (192).to_bytes(4, "little"):
                    content[found.end()] ^= 0x40
            file.seek(0)
            file.write(content)
        ran = run(TOOL, "hist", "--json", "--", other)
        self.assertEqual(ran.process.returncode, NOT_VERIFIED, ran)
        self.assertIn("another ABI", why_of(last_snapshot(ran)), ran)


class Cpus(TestCase):
    """Which files are mapped is asked of each CPU that is there."""

    CPU = "/sys/devices/system/cpu/cpu1/online"

    @classmethod
    def put(cls, state):
        with open(cls.CPU, "w", encoding="ascii") as file:
            file.write(state)

    def setUp(self):
        super().setUp()
        try:
            self.put("0")
        except OSError as error:
            self.skipTest(f"no CPU can be taken away here: {error}")
        self.addCleanup(self.put, "1")

    def assert_not_told(self, tool):
        self.assertEqual(tool.stop(), NOT_VERIFIED, tool)
        self.assertEqual([(one["pid"], one["why"]) for one in tool.last()["unverified"] if one["pid"] == 0], [(0, "not told of")])

    def test_one_that_comes_later_is_not_heard(self):
        tool = self.started(Hist("-a"))
        self.put("1")
        self.assert_not_told(tool)

    def test_one_that_was_away_is_not_heard(self):
        self.put("1")
        tool = self.started(Hist("-a"))
        self.put("0")
        self.put("1")
        self.assert_not_told(tool)


class Daemons(Built):
    def test_what_the_command_leaves_behind(self):
        read_end, write_end = os.pipe()
        ran = run(TOOL, "hist", "--", self.program, "daemon", stdin=read_end)
        os.close(read_end)
        os.close(write_end)
        self.assertEqual(ran.process.returncode, NOT_VERIFIED, ran)
        self.assertRegex(ran.out, r"(?m)^not verified: verified \(\d+\), ")
        self.assertRegex(ran.out, r"(?m)^  still running: it was counted until the command ended$")


class Commands(Built):
    """Each command that counts says so, and a recording keeps it."""

    def test_record_report_and_slow(self):
        recording = os.path.join(self.folder.name, "r.jsonl")
        read_end, write_end = os.pipe()
        ran = run(TOOL, "record", "-o", recording, "--", self.program, "daemon", stdin=read_end)
        self.assertEqual(ran.process.returncode, NOT_VERIFIED, ran)
        report = run(TOOL, "report", recording)
        self.assertEqual(report.process.returncode, 0, report)
        self.assertIn("still running", report.out)
        self.assertNotIn("none was lost", report.out)
        slow = run(TOOL, "slow", "--min", "1h", "--", self.program, "daemon", stdin=read_end)
        self.assertEqual(slow.process.returncode, NOT_VERIFIED, slow)
        self.assertIn("1 process not verified", slow.err)
        os.close(read_end)
        os.close(write_end)

    def test_the_commands_own_status_comes_first(self):
        ran = run(TOOL, "hist", "--", "sh", "-c", f"env -i {self.copy('other-status')}; exit 7")
        self.assertEqual(ran.process.returncode, 7, ran)

    # A look attaches while the loader is still at work, and snapshots are taken before the copy greets.
    def test_a_program_whose_loader_takes_long_is_not_late_for_a_moment(self):
        slow = os.path.join(self.folder.name, "slow.so")
        subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", slow], check=True, encoding="ascii",
                       input="#include <unistd.h>\n__attribute__((constructor)) static void rest(void) { usleep(300000); }\n")
        program = os.path.join(self.folder.name, "not-static")
        self.build(program)
        ran = run(TOOL, "hist", "--json", "-i", "0.02", "--", program, env={"LD_PRELOAD": slow})
        snapshots = [json.loads(line) for line in ran.out.splitlines() if line.startswith('{"waitprobe"')]
        self.assertGreater(len(snapshots), 5, ran)
        self.assertEqual([one for one in snapshots if "attached_late" in one or "unverified" in one], [])
        self.assertEqual(ran.process.returncode, 0, ran)

    # The tool stands still for longer than a copy waits for it.
    def test_a_program_that_has_given_up_waiting_for_the_tool_is_late(self):
        gate = os.path.join(self.folder.name, "gate")
        os.mkfifo(gate)
        tool = self.started(Hist("--", "sh", "-c", f"read go <{gate}; exec {harness.built('waitprobe-workload')} --loop 4 --keys 1"))
        command = int(subprocess.run(["pgrep", "-P", str(tool.pid)], capture_output=True, check=True).stdout)
        os.kill(tool.pid, signal.SIGSTOP)
        with open(gate, "w", encoding="ascii") as go:
            go.write("go\n")
        wait_until(lambda: harness.cpu_ticks(command) > 50, "it has given up, and works")
        os.kill(tool.pid, signal.SIGCONT)
        self.assertEqual(tool.wait(), NOT_VERIFIED, tool)
        self.assertEqual([one["comm"][:9] for one in tool.last()["attached_late"]], ["waitprobe"], tool.last())

    def test_everything_verified_is_status_0(self):
        ran = run(TOOL, "hist", "--", self.program)
        self.assertEqual(ran.process.returncode, 0, ran)
        self.assertRegex(ran.out, r"(?m)^23 waits in \S+, coverage 100 %: none was lost$")
        stopped = self.started(Hist("-f", self.program))
        stopped.signal(signal.SIGINT)
        self.assertEqual(stopped.wait(), 0, stopped)


if __name__ == "__main__":
    harness.main()
