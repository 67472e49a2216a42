# SPDX-License-Identifier: MIT
"""Attaching to a file arms every process that maps it. Whoever would die of that is found before, and nobody is harmed."""

import json
import os
import shutil
import signal
import subprocess
import tempfile

import harness
from harness import Hist, Program, TOOL, TestCase, built, counts_of, run, wait_for_byte

NOBODY = ["setpriv", "--reuid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]


class Unusual(Program):
    """tests/e2e/unusual.cpp in its mode."""

    def __init__(self, *words, program=None, before=(), env=None):
        child_in, self.bytes_fd = os.pipe()
        ready, child_out = os.pipe()
        super().__init__([*before, program or built("waitprobe-unusual"), *words], stdin=child_in, env=env, pass_fds=(child_out,),
                         preexec_fn=lambda: os.dup2(child_out, 1))
        os.close(child_in)
        os.close(child_out)
        wait_for_byte(ready, self)
        self.ready_fd = ready

    def let_wait(self, cnt):
        os.write(self.bytes_fd, b"x" * cnt)

    def end(self):
        """Its status, after its last wait."""
        os.close(self.bytes_fd)
        self.bytes_fd = None
        return self.wait()

    def kill(self):
        super().kill()
        for fd in (self.bytes_fd, self.ready_fd):
            if fd is not None:
                os.close(fd)
        self.bytes_fd = self.ready_fd = None


class Harm(TestCase):
    def refused(self, pattern, *words):
        program = run(TOOL, *words)
        self.assertEqual(program.process.returncode, 1, program)
        self.assertRegex(program.err, pattern)
        self.assertIn("--force", program.err)

    def check_of_doctor(self, *words):
        """What the doctor says of it."""
        said = json.loads(run(TOOL, "doctor", "--json", *words).out)
        return [check for check in said["findings"][-1]["checks"] if check["name"] == "safe to attach"][0]

    def assert_unharmed(self, program):
        program.let_wait(3)
        self.assertEqual(program.end(), 0, program)


class Sandboxes(Harm):
    def test_a_sibling_whose_filter_kills_is_not_harmed(self):
        for mode in ("kill", "kill-below", "trap", "thread"):
            with self.subTest(mode=mode):
                asked = self.started(Unusual("none", "old"))
                sibling = self.started(Unusual(mode, "old"))
                why = rf"would kill process {sibling.pid} \(.*\): its seccomp filter kills .*: mmap, munmap, madvise, getrandom, gettid"
                self.refused(why, "hist", "-p", asked.pid)
                if mode == "kill":
                    self.refused(why, "slow", "-p", asked.pid)
                    self.refused(why, "record", "-o", "-", "-f", built("waitprobe-unusual"))
                    for words in (["-p", asked.pid], ["-f", built("waitprobe-unusual")]):
                        check = self.check_of_doctor(*words)
                        self.assertEqual((check["status"], check["needed"]), ("missing", True), check)
                        self.assertRegex(check["found"], why)
                self.assert_unharmed(sibling)
                self.assert_unharmed(asked)

    def test_strict_mode(self):
        asked = self.started(Unusual("none", "old"))
        sibling = self.started(Unusual("strict", "old"))
        why = f"would kill process {sibling.pid} .*: seccomp's strict mode kills .*mmap"
        self.refused(why, "hist", "-p", asked.pid)
        self.refused(why, "hist", "-p", sibling.pid)
        self.assertRegex(self.check_of_doctor("-p", asked.pid)["found"], why)
        self.assert_unharmed(sibling)
        self.assert_unharmed(asked)

    def test_with_a_all_but_that_file_is_traced(self):
        sibling = self.started(Unusual("kill", "old"))
        other = self.started(harness.Workload("--threads", 1, "--waits", 23, "--keys", 1))
        tool = self.started(Hist("-a"))
        other.go()
        self.assertEqual(other.wait(), 0)
        self.assert_unharmed(sibling)
        self.assertEqual(tool.stop(), 4, "that file is not counted")
        self.assertEqual(tool.counts(other.pid), other.truth())
        self.assertRegex(tool.err, rf"cannot attach to .*unusual: it would kill process {sibling.pid}")

    def test_siblings_of_a_command_are_looked_at(self):
        sibling = self.started(Unusual("kill", "old"))
        tool = run(TOOL, "hist", "--", built("waitprobe-unusual"), "none")
        self.assertRegex(tool.err, rf"cannot attach to .*unusual: it would kill process {sibling.pid}")
        self.assert_unharmed(sibling)

    def test_stuck_watch_arms_nobody_who_would_die(self):
        sibling = self.started(Unusual("kill", "old"))
        read_end, write_end = os.pipe()
        tool = self.started(Program([TOOL, "stuck", "-a", "--watch", "--ready-fd", write_end], pass_fds=(write_end,)))
        os.close(write_end)
        wait_for_byte(read_end, tool)
        os.close(read_end)
        self.assert_unharmed(sibling)
        tool.signal(signal.SIGINT)
        tool.wait()
        self.assertRegex(tool.err, rf"would kill process {sibling.pid}")

    def test_a_filter_that_does_not_kill_is_no_reason(self):
        for mode in ("allow", "refuse"):
            with self.subTest(mode=mode):
                asked = self.started(Unusual("none"))
                sibling = self.started(Unusual(mode, "old"))
                self.assertEqual(self.check_of_doctor("-p", asked.pid)["status"], "ok")
                tool = self.started(Hist("-p", asked.pid))
                asked.let_wait(24)
                self.assertEqual(asked.end(), 0)
                self.assertEqual(tool.wait(), 0)
                # The first began before the tool attached, and the last has an end of file.
                self.assertEqual(tool.counts(asked.pid), {"box.wait": 24})
                self.assertEqual(tool.err, "")
                self.assert_unharmed(sibling)

    def test_force_attaches_all_the_same(self):
        asked = self.started(Unusual("none", "old"))
        sibling = self.started(Unusual("kill", "old"))
        tool = self.started(Hist("-p", asked.pid, "--force"))
        asked.let_wait(24)
        self.assertEqual(asked.end(), 0)
        self.assertEqual(tool.wait(), 0)
        self.assertEqual(tool.counts(asked.pid), {"box.wait": 24})
        self.assertRegex(tool.err, f"warning: cannot attach without harm to .*: it would kill process {sibling.pid}")

    def test_what_may_not_be_looked_at_is_told(self):
        sibling = self.started(Unusual("kill", "old"))
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            tool = shutil.copy(TOOL, folder)
            program = shutil.copy(built("waitprobe-unusual"), folder)
            said = json.loads(run(*NOBODY, tool, "doctor", "--json", "-f", program).out)
        check = [check for check in said["findings"][-1]["checks"] if check["name"] == "safe to attach"][0]
        self.assertEqual(check["status"], "unknown", check)
        self.assertRegex(check["found"], "sandboxed processes that may map the same files cannot be read")
        self.assert_unharmed(sibling)


class Translators(Harm):
    def test_a_sibling_under_valgrind_is_not_harmed(self):
        asked = self.started(Unusual("none"))
        sibling = self.started(Unusual("none", before=("valgrind", "-q")))
        why = f"would kill process {sibling.pid} .*: valgrind translates its code"
        self.refused(why, "hist", "-p", asked.pid)
        self.refused(why, "hist", "-p", sibling.pid)
        self.assertRegex(self.check_of_doctor("-f", built("waitprobe-unusual"))["found"], why)
        self.assert_unharmed(sibling)
        self.assert_unharmed(asked)

    def test_code_that_was_moved_is_told(self):
        moved = self.started(Unusual("move"))
        why = rf"process {moved.pid} \(.*\): it copied its code"
        for words in (["hist", "-p", moved.pid, "-d", "0.1"], ["slow", "-p", moved.pid, "-d", "0.1"]):
            program = run(TOOL, *words)
            self.assertEqual(program.process.returncode, 1, program)
            self.assertRegex(program.err, "cannot trace .* in " + why)
        said = json.loads(run(TOOL, "doctor", "--json", "-p", moved.pid).out)
        self.assertRegex([check for check in said["findings"][-1]["checks"] if check["name"] == "code"][0]["found"], why)
        tool = self.started(Hist("-f", built("waitprobe-unusual")))
        self.assert_unharmed(moved)
        self.assertEqual(tool.stop(), 4, "it is not counted")
        self.assertRegex(tool.err, "warning: cannot trace .* in " + why)

    def test_a_command_that_moves_its_code_under_the_tool_is_told_why_it_died(self):
        ran = run(TOOL, "hist", "--", built("waitprobe-unusual"), "move")
        self.assertEqual(ran.process.returncode, 128 + signal.SIGTRAP, ran)
        self.assertRegex(ran.err, "warning: cannot trace the command: it died of SIGTRAP; programs that move")

    def test_who_only_looks_at_the_file_is_no_reason(self):
        asked = self.started(Unusual("none"))
        reader = subprocess.Popen(
            ["python3", "-c", "import mmap, sys\nf = open(sys.argv[1], 'rb')\n"
             "m = mmap.mmap(f.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)\nprint(len(m), flush=True)\ninput()",
             built("waitprobe-unusual")], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(lambda: reader.communicate(b"\n"))
        reader.stdout.readline()
        self.assertEqual(self.check_of_doctor("-p", asked.pid)["status"], "ok")
        self.assertNotEqual(run(TOOL, "hist", "-p", reader.pid).process.returncode, 0)
        self.assert_unharmed(asked)


class Notes(Harm):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = os.path.join(folder.name, "program")
        self.notes = os.path.join(folder.name, "notes")

    def strip(self):
        # As llvm-strip does.
        subprocess.run(["objcopy", "--remove-section=.note.stapsdt", built("waitprobe-unusual"), self.file], check=True)

    def double(self):
        subprocess.run(["objcopy", f"--dump-section=.note.stapsdt={self.notes}", built("waitprobe-unusual"), self.file], check=True)
        with open(self.notes, "rb") as notes:
            twice = notes.read() * 2
        with open(self.notes, "wb") as notes:
            notes.write(twice)
        subprocess.run(["objcopy", f"--update-section=.note.stapsdt={self.notes}", built("waitprobe-unusual"), self.file], check=True)

    def assert_told(self, why):
        program = self.started(Unusual("none", program=self.file, env={"WAITPROBE_TRACK": "1"}))
        for words in (["hist", "-p", program.pid], ["slow", "-p", program.pid], ["hist", "-f", self.file], ["tracefs", "-f", self.file],
                      ["tracefs", "-p", program.pid]):
            ran = run(TOOL, *words)
            self.assertEqual(ran.process.returncode, 1, ran)
            self.assertRegex(ran.err, why)
        for words in (["-p", program.pid], ["-f", self.file], ["--", self.file]):
            ran = run(TOOL, "doctor", "--json", *words)
            self.assertEqual(ran.process.returncode, 1, ran)
            checks = json.loads(ran.out)["findings"][-1]["checks"]
            self.assertRegex([check for check in checks if check["name"] == "probes"][0]["found"], why)
        self.assertRegex(run(TOOL, "list", "-p", program.pid).out, why)
        carrier = json.loads(run(TOOL, "list", "--json", "-p", program.pid).out)["carriers"][0]
        self.assertRegex(carrier["untraceable"], why)
        self.assertEqual((carrier["armed"], carrier["keys"]), (True, ["box.wait"]))
        # What is in its memory can be read without them.
        for words in (["-p", program.pid], ["-f", self.file]):
            stuck = json.loads(run(TOOL, "stuck", "--older", "0", "--json", *words).out)
            self.assertEqual([(wait["pid"], wait["key"]) for wait in stuck["open"]], [(program.pid, "box.wait")])
        self.assert_unharmed(program)
        ran = run(TOOL, "hist", "--", self.file, "none")
        self.assertRegex(ran.err, "warning: cannot trace .*: .*" + why)

    def test_stripped(self):
        self.strip()
        self.assert_told(r"\(section .note.stapsdt\) were stripped")

    def test_two_copies_in_one_file(self):
        self.double()
        self.assert_told("carries each probe of waitprobe twice")

    def test_beside_a_stripped_file_others_are_traced(self):
        self.strip()
        stripped = self.started(Unusual("none", program=self.file))
        tool = self.started(Hist("-a"))
        ran = self.started(harness.Workload("--threads", 1, "--waits", 23, "--keys", 1))
        harness.wait_until(lambda: harness.armed_word(ran.pid), "its file is attached to")
        ran.go()
        self.assertEqual(ran.wait(), 0)
        self.assert_unharmed(stripped)
        self.assertEqual(tool.stop(), 4, "the other one is not counted")
        self.assertEqual(counts_of(tool.last(), ran.pid), ran.truth())
        self.assertRegex(tool.err, "warning: cannot trace .*were stripped")


if __name__ == "__main__":
    harness.main()
