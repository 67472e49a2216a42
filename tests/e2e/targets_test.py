# SPDX-License-Identifier: MIT
"""Which processes are counted, and from when on."""

import json
import os
import shutil
import socket
import subprocess
import tempfile

import harness
from harness import Hist, TestCase, TOOL, Workload, counts_of, last_truth, run, wait_until

WORK = ["--threads", "3", "--waits", "1001", "--keys", "5", "--pattern", "none"]


def outcome(program):
    """The truth and the last snapshot, from the output of `waitprobe hist --json -- workload`."""
    lines = program.out.splitlines()
    snapshot = json.loads(next(line for line in reversed(lines) if line.startswith('{"waitprobe"')))
    truths = [line for line in lines if line.startswith('{"keys"')]
    return truths, snapshot


class Pids(TestCase):
    def test_several_in_each_way(self):
        both = [self.started(Workload("--threads", 1)) for _ in range(2)]
        first, second = (str(workload.pid) for workload in both)
        for words in (["-p", first, "-p", second], ["-p", first, second], ["-p", f"{first},{second}"], ["--pid", f"{second}\n{first}"]):
            with self.subTest(words=words):
                carriers = json.loads(run(TOOL, "list", *words, "--json").out)["carriers"]
                self.assertEqual(sorted(carrier["pid"] for carrier in carriers), sorted(workload.pid for workload in both))


class Names(TestCase):
    """--comm: the processes that have a name now, as -p with their numbers."""

    def setUp(self):
        super().setUp()
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.programs = []
        for name in ("named-one", "named-two", "other"):
            program = shutil.copy(harness.built("waitprobe-workload"), os.path.join(self.folder, name))
            self.programs.append(self.started(Workload("--threads", 1, "--waits", 10, "--keys", 1, program=program)))

    def test_those_of_the_name_are_counted_and_nobody_else(self):
        one, two, other = self.programs
        tool = self.started(Hist("--comm", "named-*"))
        for program in self.programs:
            program.go()
            program.wait()
        self.assertEqual(tool.wait(), 0)
        self.assertEqual(tool.counts(one.pid), one.truth())
        self.assertEqual(tool.counts(two.pid), two.truth())
        self.assertEqual(tool.counts(other.pid), {})

    def test_list_and_stuck_take_it_and_several_add_up(self):
        one, _, other = self.programs
        carriers = json.loads(run(TOOL, "list", "--json", "--comm", "named-one", "--comm", "othe?", "-p", one.pid).out)["carriers"]
        self.assertEqual(sorted(carrier["pid"] for carrier in carriers), sorted((one.pid, other.pid)))
        stuck = run(TOOL, "stuck", "--json", "--comm", "other")
        self.assertEqual(json.loads(stuck.out)["untracked"], [other.pid])

    def test_those_of_the_name_without_probes_are_left_out(self):
        sleeper = self.started(harness.Program([shutil.copy("/bin/sleep", os.path.join(self.folder, "named-too")), "600"]))
        carriers = json.loads(run(TOOL, "list", "--json", "--comm", "named-*").out)["carriers"]
        self.assertEqual([carrier["pid"] for carrier in carriers], sorted(program.pid for program in self.programs[:2]))
        alone = run(TOOL, "hist", "--comm", "named-too")
        self.assertEqual(alone.process.returncode, 1, alone)
        self.assertIn(f"cannot trace process {sleeper.pid} (named-too): ", alone.err)

    def test_a_name_that_nobody_has(self):
        itself = shutil.copy(TOOL, os.path.join(self.folder, "only-itself"))
        for words, text in (((TOOL, "hist", "--comm", "no-such-name"), "waitprobe: cannot find a process named no-such-name: "),
                            ((itself, "list", "--comm", "only-itself"), "cannot find a process named only-itself: "),
                            ((TOOL, "slow", "--comm", "named-one-and-many-more"), "\n  the kernel keeps 15 bytes of a name")):
            ran = run(*words)
            self.assertEqual((ran.process.returncode, ran.out), (1, ""), ran)
            self.assertIn(text, ran.err)


class LaterProcesses(TestCase):
    def test_dash_a_and_dash_f_count_processes_that_start_later(self):
        for target in (["-a"], ["-f", harness.built("waitprobe-workload")]):
            with self.subTest(target=target):
                keeper = self.started(Workload(*WORK))  # so that -a knows the file
                tool = self.started(Hist(*target))
                later = self.started(Workload(*WORK))
                later.go()
                later.wait()
                tool.stop()
                self.assertEqual(tool.counts(later.pid), later.truth())
                self.assert_all_seen(tool.last())
                keeper.kill()

    def test_dash_a_says_from_when_on_it_counts_a_file_that_it_did_not_know(self):
        with tempfile.TemporaryDirectory() as folder:
            copy = shutil.copy(harness.built("waitprobe-workload"), os.path.join(folder, "fresh"))
            tool = self.started(Hist("-a"))
            fresh = self.started(Workload(*WORK, program=copy))
            wait_until(lambda: harness.armed_word(fresh.pid), "the tool has found the new file")
            fresh.go()
            fresh.wait()
            tool.stop()
            self.assertEqual(tool.counts(fresh.pid), fresh.truth())
            (late,) = tool.last()["attached_late"]
            self.assertEqual((late["pid"], late["file"]), (fresh.pid, copy))
            self.assertGreater(late["elapsed_ns"], 0)


class FromTheFirstWaitOn(TestCase):
    """`-- CMD`: nothing is missed, however the library gets into the process."""

    def build(self, folder, name, *flags, library="libwaitprobe.a"):
        source = os.path.join(harness.SOURCE, "tests/e2e/first_waits.cpp")
        program = os.path.join(folder, name)
        subprocess.run(["g++", "-std=c++20", "-O2", "-I", os.path.join(harness.SOURCE, "include"), source, "-o", program,
                        *flags, harness.built(library)], check=True)
        return program

    def assert_complete(self, *command, times=1, key="first.wait"):
        program = run(TOOL, "hist", "--json", "--", *command)
        self.assertEqual(program.process.returncode, 0, program)
        _, snapshot = outcome(program)
        self.assertEqual(counts_of(snapshot), {key: 23 * times}, program)
        self.assertEqual(snapshot.get("attached_late", []), [], program)
        self.assert_all_seen(snapshot)

    def test_static_static_pie_pie_and_not(self):
        with tempfile.TemporaryDirectory() as folder:
            for name, flags in {"static": ["-static"], "static-pie": ["-static-pie"], "pie": ["-pie"], "no-pie": ["-no-pie"]}.items():
                with self.subTest(name):
                    self.assert_complete(self.build(folder, name, *flags))

    def test_the_shared_library(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assert_complete(self.build(folder, "shared", f"-Wl,-rpath,{os.path.abspath(harness.BUILD)}",
                                            library="libwaitprobe.so"))

    def test_a_shell_script_that_execs_and_forks(self):
        with tempfile.TemporaryDirectory() as folder:
            program = self.build(folder, "program")
            script = os.path.join(folder, "script.sh")
            with open(script, "w", encoding="ascii") as file:
                file.write(f"#!/bin/sh\n{program}\n({program})\nexec {program}\n")
            os.chmod(script, 0o755)
            self.assert_complete(script, times=3)

    def test_a_plug_in_that_is_copied_and_opened_while_we_watch(self):
        with tempfile.TemporaryDirectory() as folder:
            copy = os.path.join(folder, "plugin.so")
            script = f"cp {harness.built('workload-plugin.so')} {copy} && exec {harness.built('waitprobe-workload')} " \
                     f"{' '.join(WORK)} --plugin {copy}"
            program = run(TOOL, "hist", "--json", "--", "sh", "-c", script)
            self.assertEqual(program.process.returncode, 0, program)
            (truth,), snapshot = outcome(program)
            self.assertEqual(counts_of(snapshot), last_truth(truth), program)
            self.assertTrue(any(key.startswith("plugin.") for key in counts_of(snapshot)), program)
            self.assertEqual(snapshot.get("attached_late", []), [], program)

    def test_children_that_are_forked_are_counted_each_for_itself(self):
        program = run(TOOL, "hist", "--json", "--", harness.built("waitprobe-workload"), *WORK, "--fork", "2")
        self.assertEqual(program.process.returncode, 0, program)
        truths, snapshot = outcome(program)
        self.assertEqual(counts_of(snapshot), last_truth(truths[-1]), program)
        self.assertEqual(len({series["pid"] for series in snapshot["series"]}), 3, "the parent and two children")

    def test_a_file_that_takes_the_place_of_another(self):
        with tempfile.TemporaryDirectory() as folder:
            name = os.path.join(folder, "x")
            workload = harness.built("waitprobe-workload")
            script = f"cp /bin/sleep {name} && {name} 0.2 && rm {name} && cp {workload} {name} && {name} --waits 1001"
            program = run(TOOL, "hist", "--json", "--", "sh", "-c", script)
            self.assertEqual(counts_of(outcome(program)[1]), {"work.0": 1001}, program)

    def test_strangers_do_not_keep_the_tool_from_meeting_the_command(self):
        tool = self.started(Hist("--", "sh", "-c", f"read line </dev/fd/0; exec {harness.built('waitprobe-workload')} --waits 1001",
                                 stdin=subprocess.PIPE))
        with open("/proc/net/unix", encoding="ascii") as sockets:
            (name,) = [line.split("@")[1].strip() for line in sockets if "@waitprobe-" in line and line.split()[3] == "00010000"]
        strangers = []
        for _ in range(100):
            strangers.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
            strangers[-1].connect("\0" + name)
        for stranger in strangers:
            stranger.settimeout(harness.DEADLINE_S)
            self.assertEqual(stranger.recv(1), b"", "a stranger is sent away")
            stranger.close()
        tool.process.stdin.write(b"go\n")
        tool.process.stdin.close()
        self.assertEqual(tool.wait(), 0)
        self.assertEqual(tool.counts(), {"work.0": 1001})

    def test_a_command_without_probes_is_counted_as_nothing(self):
        program = run(TOOL, "hist", "--json", "--", "true")
        self.assertEqual(program.process.returncode, 0, program)
        self.assertEqual(outcome(program)[1]["series"], [])

    def test_a_tool_that_has_gone_does_not_hold_the_program_up(self):
        program = run(harness.built("waitprobe-workload"), *WORK, env={"WAITPROBE_ATTACH": "waitprobe-nobody-here"})
        self.assertEqual(program.process.returncode, 0, program)

    def test_a_duration_ends_the_command(self):
        program = run(TOOL, "hist", "--json", "-d", "0.3", "--", harness.built("waitprobe-workload"), "--threads", "1", "--loop", "60",
                      "--keys", "1", "--pattern", "sleep", "--hold-ns", "1000000")
        self.assertEqual(program.process.returncode, 0, program)
        self.assertGreater(counts_of(outcome(program)[1])["work.0"], 23)


class Files(TestCase):
    def test_a_name_without_a_slash_is_that_of_the_file_here(self):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(harness.built("waitprobe-workload"), os.path.join(folder, "ls"))  # as one in PATH
            workload = self.started(Workload(*WORK, program=os.path.join(folder, "ls")))
            tool = self.started(Hist("-f", "ls", cwd=folder))
            workload.go()
            workload.wait()
            tool.stop()
            self.assertEqual(tool.counts(), workload.truth())


class LateLibraries(TestCase):
    def test_dash_p_finds_a_plug_in_that_is_opened_later(self):
        with tempfile.TemporaryDirectory() as folder:
            copy = shutil.copy(harness.built("workload-plugin.so"), os.path.join(folder, "plugin.so"))
            workload = self.started(Workload("--threads", "2", "--loop", "30", "--keys", "1", "--pattern", "sleep", "--hold-ns", "1000000",
                                             "--plugin", copy))
            tool = self.started(Hist("-p", workload.pid, "-i", "0.2"))
            workload.go()
            found = lambda: any(key.startswith("plugin.") for s in tool.snapshots() for key in counts_of(s))
            wait_until(found, "the plug-in's waits are counted")
            late = [late["file"] for s in tool.snapshots() for late in s.get("attached_late", [])]
            self.assertEqual(late, [copy], "it is told once that the plug-in is counted from a later moment on")
            tool.stop()


class List(TestCase):
    def test_list_shows_who_carries_probes_who_is_armed_and_with_which_keys(self):
        workload = self.started(Workload("--threads", 1, "--waits", 7, "--keys", 2, "--linger"))
        (carrier,) = json.loads(run(TOOL, "list", "--json", "-p", workload.pid).out)["carriers"]
        self.assertEqual((carrier["pid"], carrier["armed"]), (workload.pid, False))
        self.assertEqual(carrier["file"], os.path.realpath(harness.built("waitprobe-workload")))
        tool = self.started(Hist("-p", workload.pid))
        workload.go()
        wait_until(lambda: workload.out.strip(), "the work is done")
        (carrier,) = json.loads(run(TOOL, "list", "--json", "-p", workload.pid).out)["carriers"]
        self.assertTrue(carrier["armed"])
        self.assertLessEqual({"work.0", "work.1"}, set(carrier["keys"]))
        tool.stop()
        everything = json.loads(run(TOOL, "list", "--json").out)["carriers"]
        self.assertIn(workload.pid, [c["pid"] for c in everything])


if __name__ == "__main__":
    harness.main()
