# SPDX-License-Identifier: MIT
"""`waitprobe stuck`: every open wait, of the living and the dead."""

import ctypes
import json
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import harness
from harness import TOOL, Program, TestCase, Workload, built, run, wait_for_byte, wait_until
from pty_run import run_on_terminal

TRACKED = {"WAITPROBE_TRACK": "1"}
KINDS = {"idle.wait": 1, "many.wait": 40, "stack.wait": 1, "given.wait": 1}


class OpenWaits(Program):
    """Waits of each kind, or many threads in one each, all open."""

    def __init__(self, *words, env=None, before=()):
        child_in, self.stdin_fd = os.pipe()
        super().__init__([*before, built("waitprobe-open-waits"), *words], stdin=child_in, env=env)
        os.close(child_in)
        wait_until(lambda: self.out or self.process.poll() is not None, "the waits are open")

    def finish(self):
        os.close(self.stdin_fd)
        self.stdin_fd = None
        return self.wait()

    def kill(self):
        if self.stdin_fd is not None:
            self.finish()
        super().kill()


def stuck(*options):
    """What `stuck --json` says, and its status."""
    ran = run(TOOL, "stuck", "--json", *options)
    if ran.process.returncode not in (0, 3, 4):
        raise AssertionError(str(ran))
    return json.loads(ran.out), ran.process.returncode


def counts(found):
    by_key = {}
    for wait in found["open"]:
        by_key[wait["key"]] = by_key.get(wait["key"], 0) + 1
    return by_key


def of_key(found, key):
    return next(wait for wait in found["open"] if wait["key"] == key)


class Tracked(TestCase):
    def setUp(self):
        super().setUp()
        self.began = time.monotonic()
        self.target = self.started(OpenWaits(env=TRACKED))

    def test_every_open_wait_is_told_of(self):
        found, status = stuck("-p", self.target.pid, "--older", "0")
        age_at_most = (time.monotonic() - self.began) * 1e9
        self.assertEqual(status, 3)
        self.assertEqual(counts(found), KINDS)
        self.assertEqual((found["untracked"], found["younger"]), ([], 0))
        self.assertEqual({wait["pid"] for wait in found["open"]}, {self.target.pid})
        ages = [wait["age_ns"] for wait in found["open"]]
        self.assertEqual(ages, sorted(ages, reverse=True), "oldest first")
        self.assertTrue(all(0 < age < age_at_most for age in ages), ages)
        self.assertGreater(of_key(found, "idle.wait")["age_ns"] - of_key(found, "many.wait")["age_ns"], 140_000_000)

    def test_what_the_kernel_says_of_their_threads(self):
        found, _ = stuck("-p", self.target.pid, "--older", "0")
        names = {}
        for tid in os.listdir(f"/proc/{self.target.pid}/task"):
            with open(f"/proc/{self.target.pid}/task/{tid}/comm", encoding="ascii") as comm:
                names[int(tid)] = comm.read().strip()
        for key, name in (("idle.wait", "idle"), ("many.wait", "many"), ("stack.wait", "stack")):
            wait = of_key(found, key)
            self.assertEqual((wait["thread"], names[wait["tid"]]), (name, name))
            pause = "pause" if os.uname().machine == "x86_64" else "ppoll"  # as which newer machines have it
        self.assertEqual((wait["state"], wait["syscall"]), ("S", pause))
        given = of_key(found, "given.wait")
        self.assertEqual((given["tid"], given["thread"], given["state"]), (None, None, None), "its thread has ended")

    def test_younger_ones_are_only_counted(self):
        found, status = stuck("-p", self.target.pid, "--older", "1h")
        self.assertEqual((found["open"], found["younger"], status), ([], sum(KINDS.values()), 0))
        found, _ = stuck("-p", self.target.pid, "--older", "1h", "-k", "many.*")
        self.assertEqual(found["younger"], KINDS["many.wait"], "those of other keys are not")

    def test_those_that_are_meant_to_last_are_apart_and_no_reason_for_status_3(self):
        found, _ = stuck("-p", self.target.pid, "--older", "0")
        self.assertEqual({wait["key"]: wait.get("meant_to_last") for wait in found["open"]},
                         {"idle.wait": None, "many.wait": None, "stack.wait": None, "given.wait": None}, "however old its thread is")
        found, status = stuck("-p", self.target.pid, "--older", "0", "--idle", "many.*", "--ignore", "[gsi]*.wait")
        self.assertEqual(status, 0)
        self.assertEqual(of_key(found, "many.wait")["meant_to_last"], "ignored")
        ran = run(TOOL, "stuck", "-p", self.target.pid, "--older", "0", "--ignore", "*.wait")
        self.assertRegex(ran.out, r"(?s)^idle, by --idle:\n   age key.*\n\nNo other wait is open\n$")

    def test_groups_and_which_of_them_waits_for_nothing(self):
        idle = self.started(Workload(env={**TRACKED, "RANK": "1"}))
        waiting = self.started(OpenWaits(env={**TRACKED, "RANK": "0"}))
        found, _ = stuck("-a", "--older", "0", "--by-env", "RANK")
        self.assertEqual({(wait["pid"], wait.get("group")) for wait in found["open"]}, {(waiting.pid, "0"), (self.target.pid, None)})
        self.assertEqual((found["group_by"], found["groups_without"]), ("RANK", ["1"]))
        ran = run(TOOL, "stuck", "-a", "--older", "0", "--by-env", "RANK")
        self.assertRegex(ran.out, rf"(?m)^ *\d\S+ given.wait +0 \S+ +{waiting.pid} ")
        self.assertRegex(ran.out, rf"\nno stuck wait found: RANK 1: waitprobe-\S+ \({idle.pid}\)\n")
        self.assertIn((idle.pid, "1"), [(one["pid"], one["group"]) for one in found["processes_without"]])
        ignored, _ = stuck("-a", "--older", "0", "--by-env", "RANK", "--ignore", "*.wait")
        self.assertEqual(ignored["groups_without"], ["0", "1"], "what is meant to last is no reason")
        self.assertEqual(run(TOOL, "stuck", "--core", "core", "--by-env", "RANK").process.returncode, 2)

    def test_only_keys_that_match(self):
        found, _ = stuck("-p", self.target.pid, "--older", "0", "-k", "given*")
        self.assertEqual(counts(found), {"given.wait": 1})

    def test_stacks(self):
        found, _ = stuck("-p", self.target.pid, "--older", "0", "--stack")
        stack = of_key(found, "stack.wait")["stack"]
        self.assertTrue(any("wait_with_a_known_stack (open_waits.cpp:" in frame for frame in stack), stack)
        self.assertEqual(of_key(found, "given.wait")["no_stack"], "its thread has ended")
        self.assertEqual(found["stopped"]["threads"], 3, "each once")
        self.assertEqual(sum(wait.get("no_stack") == "same thread as above" for wait in found["open"]), 39)
        self.assertLess(found["stopped"]["longest_ns"], 1_000_000_000)
        with open(f"/proc/{self.target.pid}/status", encoding="ascii") as status:
            self.assertRegex(status.read(), r"State:\s+S")
        self.assertEqual(self.target.finish(), 0)

    def test_a_thread_that_a_debugger_has(self):
        found, _ = stuck("-p", self.target.pid, "--older", "0")
        tid = of_key(found, "stack.wait")["tid"]
        ptrace = ctypes.CDLL(None, use_errno=True).ptrace
        seize, detach, interrupt = 0x4206, 17, 0x4207
        self.assertEqual(ptrace(seize, tid, 0, 0), 0)
        try:
            found, _ = stuck("-p", self.target.pid, "--older", "0", "--stack", "-k", "stack.wait")
            self.assertIn("a debugger is attached", of_key(found, "stack.wait")["no_stack"])
        finally:
            ptrace(interrupt, tid, 0, 0)
            os.waitpid(tid, 0x40000000)
            ptrace(detach, tid, 0, 0)

    def test_a_thread_that_cannot_be_stopped_is_not_stopped_later_either(self):
        target = self.started(OpenWaits("vfork", env=TRACKED))
        tool = self.started(Program([TOOL, "stuck", "--json", "--watch", "-i", "0.05", "--older", "0", "--stack", "-p", target.pid]))
        wait_until(lambda: tool.out.count("it did not stop: it is blocked in the kernel") >= 2, "it says so, twice")
        os.close(target.stdin_fd)
        target.stdin_fd = None
        wait_until(lambda: re.search(r"stay(\(\))? \(open_waits\.cpp:", tool.out), "it has a stack, now that it can be stopped")
        tool.signal(signal.SIGINT)
        tool.wait()
        with open(f"/proc/{target.pid}/status", encoding="ascii") as status:
            self.assertRegex(status.read(), r"State:\s+S[^$]*TracerPid:\s+0")
        target.signal(signal.SIGKILL)

    def test_all_processes_and_those_of_a_file(self):
        for options in (("-a",), ("-f", built("waitprobe-open-waits"))):
            found, _ = stuck(*options, "--older", "0")
            self.assertEqual(counts({"open": [wait for wait in found["open"] if wait["pid"] == self.target.pid]}), KINDS)
        found, status = stuck("-f", built("waitprobe-workload"), "--older", "0")
        # The machine may have a process that not even root may look into.
        self.assertEqual((found["open"], status), ([], 4 if found["unreadable"] else 0))

    def test_nobody_who_reads_is_no_error(self):
        ran = subprocess.run(["bash", "-c", f"{TOOL} stuck -p {self.target.pid} --older 0 --watch -i 0.01 | head -1; echo ${{PIPESTATUS[0]}}"],
                             capture_output=True, text=True, timeout=harness.DEADLINE_S, check=False)
        self.assertEqual((ran.stdout.splitlines()[-1], ran.stderr), ("3", ""))


class Untracked(TestCase):
    def test_what_began_while_nobody_listened_is_not_known_and_that_is_told(self):
        target = self.started(OpenWaits())
        found, status = stuck("-p", target.pid, "--older", "0")
        self.assertEqual((found["open"], found["untracked"], status), ([], [target.pid], 4), "what began before is not known")
        ran = run(TOOL, "stuck", "-p", target.pid)
        self.assertIn(f"unknown: waits that began while no tracer was attached, in\n  waitprobe-open- ({target.pid})\n", ran.out)
        self.assertIn("WAITPROBE_TRACK=1", ran.out)

    def test_what_began_while_hist_listened_is_known(self):
        workload = self.started(Workload("--threads", 2, "--waits", 1, "--pattern", "sleep", "--hold-ns", 3_600_000_000_000))
        hist = self.started(harness.Hist("-p", workload.pid))
        workload.go()
        wait_until(lambda: counts(stuck("-p", workload.pid, "--older", "0")[0]) == {"work.0": 2}, "both wait")
        hist.stop()
        self.assertEqual(counts(stuck("-p", workload.pid, "--older", "0")[0]), {"work.0": 2})

    def test_only_1_tracks(self):
        for value in ("0", "", "yes"):
            target = self.started(OpenWaits(env={"WAITPROBE_TRACK": value}))
            self.assertEqual(stuck("-p", target.pid, "--older", "0")[0]["untracked"], [target.pid])


class Watch(TestCase):
    def watch(self, *options):
        read_end, write_end = os.pipe()
        tool = self.started(Program([TOOL, "stuck", "--watch", "--ready-fd", write_end, *options], pass_fds=(write_end,)))
        os.close(write_end)
        wait_for_byte(read_end, tool)
        os.close(read_end)
        return tool

    def test_arms_its_target_and_sees_what_begins_from_then_on(self):
        workload = self.started(Workload("--threads", 3, "--waits", 1, "--pattern", "sleep", "--hold-ns", 3_600_000_000_000))
        self.assertFalse(harness.armed_word(workload.pid))
        tool = self.watch("-p", workload.pid, "-i", "0.05", "--older", "100ms", "--json")
        self.assertTrue(harness.armed_word(workload.pid))
        time.sleep(0.1)  # so that its waits are younger than its threads
        workload.go()
        wait_until(lambda: tool.out.count('"key":"work.0"') >= 6, "it sees all three, twice")
        tool.signal(signal.SIGINT)
        self.assertEqual(tool.wait(), 3, tool)
        self.assertEqual(tool.err, "")
        wait_until(lambda: not harness.armed_word(workload.pid), "nobody listens any more")

    def test_ends_with_its_target(self):
        workload = self.started(Workload("--hold-open", env=TRACKED))
        tool = self.watch("-p", workload.pid, "-i", "0.05", "--older", "0")
        workload.go()
        self.assertIn(tool.wait(), (0, 3), tool)
        self.assertEqual(tool.err, "")

    def test_begins_again_at_the_top_of_a_terminal(self):
        target = self.started(OpenWaits(env=TRACKED))
        shown = run_on_terminal([TOOL, "stuck", "-p", str(target.pid), "--older", "0", "--watch", "-i", "0.05"],
                                until=lambda output: output.count(b"\033[H\033[2J") >= 3)
        self.assertIn("\033[31m", shown)
        shown = run_on_terminal([TOOL, "stuck", "-p", str(target.pid), "--older", "0"], env={"NO_COLOR": "1"})
        self.assertNotIn("\033", shown)


class Namespaces(TestCase):
    def test_numbers_are_those_of_the_host(self):
        target = self.started(OpenWaits(before=(*harness.SEEING_ALL_OF_PROC, "unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"),
                                        env=TRACKED))
        with open(f"/proc/{target.pid}/task/{target.pid}/children", encoding="ascii") as children:
            pid = int(children.read())
        found, _ = stuck("-p", pid, "--older", "0", "--stack")
        self.assertEqual(counts(found), KINDS)
        wait = of_key(found, "stack.wait")
        self.assertIn(str(wait["tid"]), os.listdir(f"/proc/{pid}/task"))
        self.assertEqual(wait["thread"], "stack")
        self.assertTrue(any("wait_with_a_known_stack" in frame for frame in wait["stack"]), wait)


@unittest.skipIf(harness.SANITIZED, "a dump of a sanitized process is terabytes long")
class Core(TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        program = os.path.join(cls.folder.name, "program")
        shutil.copy(built("waitprobe-open-waits"), program)
        child_in, stdin = os.pipe()
        with subprocess.Popen([program], stdin=child_in, stdout=subprocess.PIPE, env={**os.environ, **TRACKED}) as target:
            try:
                assert target.stdout.readline() == b"ready\n"
                dumped = run("gcore", "-o", os.path.join(cls.folder.name, "core"), target.pid)
                assert dumped.process.returncode == 0, dumped
                cls.living, _ = stuck("-p", target.pid, "--older", "0", "--stack")
            finally:
                os.close(stdin)
                os.close(child_in)
                target.kill()
        cls.program, cls.pid = program, target.pid
        cls.core = os.path.join(cls.folder.name, f"core.{target.pid}")

    def test_tells_what_the_living_process_told(self):
        found, status = stuck("--core", self.core, "--older", "0", "--stack")
        self.assertEqual(status, 3)
        self.assertEqual(counts(found), KINDS)
        def which(waits):
            return {tuple(wait[name] for name in ("key", "pid", "tid", "wait_id")) for wait in waits["open"]}
        self.assertEqual(which(found), which(self.living))
        for key in ("stack.wait", "many.wait", "idle.wait", "given.wait"):
            dead, living = of_key(found, key), of_key(self.living, key)
            self.assertLess(abs(dead["age_ns"] - living["age_ns"]), 30e9)
            self.assertEqual(dead["stack"], living["stack"])
        self.assertEqual((of_key(found, "stack.wait")["thread"], of_key(found, "stack.wait")["state"]), (None, None))

    def test_of_an_abort(self):
        with open("/proc/sys/kernel/core_pattern", encoding="ascii") as pattern:
            if pattern.read().strip() != "core":
                self.skipTest("this kernel puts core dumps elsewhere")
        ran = subprocess.run(["bash", "-c", f"ulimit -c unlimited; exec {self.program} < <(sleep 0.5; kill -ABRT $$; sleep 9)"],
                             cwd=self.folder.name, env={**os.environ, **TRACKED}, check=False, timeout=harness.DEADLINE_S)
        self.assertEqual(ran.returncode, -signal.SIGABRT)
        core = next(os.path.join(self.folder.name, name) for name in os.listdir(self.folder.name)
                    if name == "core" or (name.startswith("core.") and name != os.path.basename(self.core)))
        self.addCleanup(os.unlink, core)
        found, _ = stuck("--core", core, "--older", "0", "--stack")
        self.assertEqual(counts(found), KINDS)
        self.assertTrue(any("wait_with_a_known_stack" in frame for frame in of_key(found, "stack.wait")["stack"]))

    def test_ages_of_a_dump_that_is_older_than_this_boot_are_not_known(self):
        old = os.path.join(self.folder.name, "old")
        shutil.copy(self.core, old)
        os.utime(old, (1, 1))
        found, status = stuck("--core", old, "--older", "1h")
        self.assertEqual((counts(found), status), (KINDS, 3))
        self.assertEqual({wait["age_ns"] for wait in found["open"]}, {None})

    def test_a_program_that_is_not_there_any_more_or_another(self):
        hidden = self.program + ".hidden"
        os.rename(self.program, hidden)
        try:
            self.check_only_offsets()
            shutil.copy("/bin/true", self.program)
            self.check_only_offsets()
        finally:
            os.rename(hidden, self.program)

    def check_only_offsets(self):
        found, _ = stuck("--core", self.core, "--older", "0", "--stack")
        self.assertEqual(counts(found), KINDS)
        self.assertFalse(any("wait_with_a_known_stack" in frame for frame in of_key(found, "stack.wait")["stack"]))

    def test_one_that_is_cut_off_anywhere_or_is_none(self):
        with open(self.core, "rb") as file:
            whole = file.read()
        cut = os.path.join(self.folder.name, "cut")
        for bytes_left in (0, 1, 15, 63, 64, 100, 4096, len(whole) // 2, len(whole) - 4096):
            with self.subTest(bytes_left=bytes_left):
                with open(cut, "wb") as file:
                    file.write(whole[:bytes_left])
                self.check_error(cut, r"it is (no core dump|cut off)")
        self.check_error(self.program, "it is no core dump")
        self.check_error(self.folder.name, "it is no core dump")
        self.check_error(os.path.join(self.folder.name, "none"), "No such file or directory")

    def check_error(self, path, why):
        ran = run(TOOL, "stuck", "--core", path)
        self.assertEqual((ran.process.returncode, ran.out), (1, ""), ran)
        self.assertRegex(ran.err, why)

    def test_one_with_garbage_in_it(self):
        with open(self.core, "rb") as file:
            whole = bytearray(file.read())
        harmed = os.path.join(self.folder.name, "harmed")
        generator = random.Random(7)
        for _ in range(25):
            copy = bytearray(whole[:1 << 20]) + whole[1 << 20:]
            for _ in range(generator.choice((1, 20, 400))):
                copy[generator.randrange(0, 1 << 16 if generator.random() < 0.7 else len(copy))] = generator.randrange(256)
            with open(harmed, "wb") as file:
                file.write(copy)
            ran = run(TOOL, "stuck", "--core", harmed, "--older", "0", "--stack")
            self.assertIn(ran.process.returncode, (0, 1, 3), ran)


class Rights(TestCase):
    def test_what_may_not_be_read_is_no_all_clear(self):
        target = self.started(OpenWaits(env=TRACKED))
        ran = run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", TOOL, "stuck", "-a")
        self.assertEqual(ran.process.returncode, 4, ran)
        self.assertRegex(ran.out, r"(?m)^No wait was found open for 1.00s or more$")
        self.assertRegex(ran.out, r"(?m)^\d+ more process(es)? could not be read: permission denied")
        self.assertIsNone(target.process.poll())


class Options(TestCase):
    def test_that_cannot_be_understood(self):
        for words, text in (([], "no target; use -p PID"), (["--", "true"], "this command starts no program"), (["--core", "x", "-a"], "more than one kind"),
                            (["-a", "--older", "old"], "--older takes a time"), (["-a", "-i", "1"], "--interval needs --watch"),
                            (["--core", "x", "--watch"], "--watch cannot be combined with --core")):
            with self.subTest(words=words):
                ran = run(TOOL, "stuck", *words)
                self.assertEqual((ran.process.returncode, ran.out), (2, ""), ran)
                self.assertIn(text, ran.err)

    def test_a_file_without_probes_or_none(self):
        for path, text in (("/bin/true", "it carries no probes of waitprobe"), ("/nonexistent", "No such file or directory")):
            ran = run(TOOL, "stuck", "-f", path)
            self.assertEqual((ran.process.returncode, ran.out), (1, ""), ran)
            self.assertIn(text, ran.err)

    def test_a_process_without_probes(self):
        ran = run(TOOL, "stuck", "-p", os.getpid())
        self.assertEqual((ran.process.returncode, ran.out), (1, ""), ran)
        self.assertIn("contains waitprobe's probes", ran.err)


if __name__ == "__main__":
    harness.main()
