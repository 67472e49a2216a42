# SPDX-License-Identifier: MIT
"""What was not read to be armed takes "none was lost" away, and makes the exit status 4."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile

import harness
from harness import Hist, Program, TestCase, TOOL, run, wait_until

NOT_VERIFIED = 4
ABI_MAGIC = b"wtproot1"


def last_snapshot(ran):
    return json.loads([line for line in ran.out.splitlines() if line.startswith('{"waitprobe"')][-1])


def why_of(snapshot):
    return [one["why"] for one in snapshot.get("unverified", [])]


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


class NotLookedInto(TestCase):
    """A process whose map the tool is not allowed to open: there is a device in its place, where none may be used."""

    def tool(self, workload, *words):
        script = ('mkdir "$0" && mount -t tmpfs -o nodev none "$0" && mknod "$0/null" c 1 3 &&'
                  f' mount --bind "$0/null" /proc/{workload.pid}/maps && exec "$@"')
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return ["unshare", "--mount", "sh", "-c", script, os.path.join(folder.name, "mounted"), TOOL, *words]

    def workload(self):
        workload = self.started(harness.Workload("--threads", 1, "--loop", 60, "--pattern", "sleep", "--hold-ns", 10_000))
        workload.go()
        return workload

    def test_each_may_carry_probes(self):
        workload = self.workload()
        for command in (["hist", "--json"], ["slow", "--json"], ["record", "-o", "-"]):
            with self.subTest(command=command):
                ran = run(*self.tool(workload, *command, "-a", "-d", "0.2"))
                self.assertEqual(ran.process.returncode, NOT_VERIFIED, ran)
                self.assertRegex(ran.out, f'"pid":{workload.pid},"comm":"waitprobe-workl","file":"","why":"not looked into"')
        text = run(*self.tool(workload, "hist", "-a", "-d", "0.2")).out
        self.assertIn(f"1 process not verified\nnot verified: waitprobe-workl ({workload.pid})\n  not looked into: ", text)

    def test_of_one_file_it_is_told_when_its_waits_are_heard_of(self):
        workload = self.workload()
        ran = run(*self.tool(workload, "hist", "-f", harness.built("waitprobe-workload"), "-d", "1", "--json"))
        self.assertEqual(ran.process.returncode, NOT_VERIFIED, ran)
        self.assertGreater(harness.counts_of(last_snapshot(ran), workload.pid)["work.0"], 10, "the kernel has armed it")
        self.assertEqual(why_of(last_snapshot(ran)), ["not looked into"])
        other = run(*self.tool(workload, "hist", "-f", harness.built("waitprobe-open-waits"), "-d", "0.2"))
        self.assertEqual((other.process.returncode, "not verified" in other.out), (0, False), other)

    def test_a_file_that_cannot_be_opened_may_carry_probes(self):
        # A library that was removed, and no way to it by the map.
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        library = shutil.copy(os.path.realpath(harness.built("libwaitprobe.so")), os.path.join(folder.name, "libwaitprobe.so.0"))
        program = harness.built("waitprobe-workload-shared")
        workload = self.started(harness.Workload("--loop", 60, program=program, env={"LD_LIBRARY_PATH": folder.name}))
        workload.go()
        os.remove(library)
        before = ["unshare", "--mount", "sh", "-c", f'mount -t tmpfs none /proc/{workload.pid}/map_files && exec "$@"', "sh", TOOL]
        ran = run(*before, "hist", "-a", "-d", "0.2", "--json")
        self.assertEqual(ran.process.returncode, NOT_VERIFIED, ran)
        (one,) = last_snapshot(ran)["unverified"]
        self.assertEqual((one["pid"], one["why"]), (workload.pid, "not looked into"))
        self.assertIn(library, one["file"])
        for words in (("hist", "-p"), ("stuck", "-p"), ("list", "-p")):
            ran = run(*before, *words, workload.pid)
            self.assertEqual(ran.process.returncode, 1, ran)
            self.assertIn(f"it runs code of {library} (deleted), which cannot be opened\n", ran.err)
        self.assertEqual(run(*before, "stuck", "-a").process.returncode, NOT_VERIFIED)
        listed = run(*before, "list")
        self.assertIn("1 more process could not be read", listed.out)
        self.assertIn("unknown", run(*before, "doctor", "-p", workload.pid).out)

    def test_processes_that_proc_hides_are_no_all_clear(self):
        self.workload()
        for hidepid in (1, 2):
            before = ["unshare", "--mount", "sh", "-c", f'mount -t proc -o hidepid={hidepid} proc /proc && exec "$@"', "sh",
                      "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", TOOL]
            stuck_ones = run(*before, "stuck", "-a")
            self.assertEqual(stuck_ones.process.returncode, 4, stuck_ones)
            listed = run(*before, "list")
            for ran in (stuck_ones, listed):
                self.assertRegex(ran.out, r"could not be read: (permission denied|/proc hides them \(hidepid\))\n  run it as root")
            self.assertIn("None of the processes that could be read carries the probes", listed.out)


class Daemons(Built):
    def test_what_the_command_leaves_behind(self):
        read_end, write_end = os.pipe()
        ran = run(TOOL, "hist", "--", self.program, "daemon", stdin=read_end)
        os.close(read_end)
        os.close(write_end)
        self.assertEqual(ran.process.returncode, NOT_VERIFIED, ran)
        self.assertRegex(ran.out, r"(?m)^not verified: verified \(\d+\), ")
        self.assertRegex(ran.out, r"(?m)^  still running: it had not ended when counting stopped$")


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
