# SPDX-License-Identifier: MIT
"""Bad input gives one clear error: what, on what, why, what to do."""

import json
import os
import re
import signal
import subprocess

import harness
from harness import Hist, Program, TOOL, TestCase, Workload, run, wait_until
from pty_run import run_on_terminal

NOBODY = 65534


class Usage(TestCase):
    def fails(self, status, pattern, *words, **options):
        program = run(TOOL, *words, **options)
        self.assertEqual(program.process.returncode, status, program)
        self.assertEqual(program.out, "", program)
        self.assertRegex(program.err, pattern)
        self.assertEqual(program.err.count("waitprobe: cannot"), 1, program)
        return program

    def misused(self, command, problem, *words):
        program = run(TOOL, *words)
        self.assertEqual((program.process.returncode, program.out), (2, ""), program)
        name = f"waitprobe {command}" if command else "waitprobe"
        where = f"'{name} --help' for the options" if command else "'waitprobe help' for the commands"
        self.assertRegex(program.err, rf"^{name}: {problem}\nRun {where}\.\n$")

    def test_wrong_usage_is_status_2(self):
        for pattern, words in {
            "no target; use .*": ["hist"],
            "more than one kind of target; .*": ["hist", "-a", "-p", "1"],
            "unknown option '--bogus'": ["hist", "-a", "--bogus"],
            "unknown option '--pidd'; did you mean '--pid'\\?": ["hist", "--pidd", "1"],
            "unknown option '--dur'; did you mean '--duration'\\?": ["hist", "-a", "--dur=1"],
            "unknown option '--ouptut'; did you mean '--output'\\?": ["record", "-a", "--ouptut", "x"],
            "--duration takes a time greater than 0.*'-1'": ["hist", "-a", "-d", "-1"],
            "--interval takes a time greater than 0.*'0ms'": ["hist", "-a", "-i", "0ms"],
            "--duration takes a time .*'nan'": ["hist", "-a", "-d", "nan"],
            "--duration takes a time .*'5x'": ["hist", "-a", "--duration", "5x"],
            "option '--duration' needs a value": ["hist", "-a", "-d"],
            "option '--duration' may be given only once": ["hist", "-a", "-d", "1", "--duration", "2"],
            "--output is missing": ["record", "-a"],
            "'0' is not a process ID": ["hist", "-p", "0"],
            "'1x' is not a process ID": ["list", "-p", "1x"],
            "'x' is not a process ID": ["list", "-p", "1,x"],
            "--pid has an empty value": ["hist", "-p", ""],
            "unexpected argument '1234'; to select a process, use 'hist -p 1234'": ["hist", "1234"],
            "unexpected argument 'ls'; to start a command, use 'hist -- ls'": ["hist", "ls"],
            "unexpected argument 'ls'; to start a command, use 'hist -- ls -la /'": ["hist", "ls", "-la", "/"],
            "unexpected argument 'ls'; to check a command, use 'doctor -- ls'": ["doctor", "ls"],
            "unexpected argument ''; to start a command, .*": ["hist", ""],
            "unexpected argument 'x'": ["list", "x"],
            "FILE is missing": ["report", "--"],
            "--sort: unknown column 'totl'.*": ["report", "--sort", "totl", "--", "/nowhere"],
            "--top cannot be combined with --by-env": ["hist", "--comm", "no-such-name", "--top", "3", "--by-env", "RANK"],
            "option '--pid' needs a value": ["hist", "-p", "-d", "5"],
            "(--pid) has an empty value": ["hist", "--pid=", "-d", "5"],
            "--key has an empty value": ["hist", "--key=", "-a"],
            "--file has an empty value": ["hist", "-f", ""],
            "--comm has an empty value": ["list", "--comm", ""],
            "this command starts no program; leave out '--' and what follows it": ["stuck", "--", "ls"],
            r"no target; use .*--core FILE": ["stuck"],
            "unknown option '(--bogus)'": ["hist", "--comm", "no-such-name", "--bogus"],
            "unknown command 'Hist'; did you mean 'hist'\\?": ["help", "Hist"],
            "'77' is not an open file descriptor": ["hist", "-a", "--ready-fd", "77"],
            "no command after '--'": ["hist", "--"],
            "--sort: unknown column 'totl'; did you mean 'total'\\?": ["hist", "-a", "--sort", "totl"],
            "--sort: unknown column 'colour', not one of .*": ["hist", "-a", "--sort", "colour"],
        }.items():
            with self.subTest(words=words):
                self.misused(words[0], pattern, *words)

    def test_unknown_commands(self):
        self.misused("", r"unknown command 'hits'; did you mean 'hist'\?", "hits")
        self.misused("", r"unknown option '--versoin'; did you mean '--version'\?", "--versoin")
        self.misused("", "unknown command 'perf'", "perf")

    def test_no_such_process(self):
        self.fails(1, "process 4194305: there is no such process", "hist", "-p", 4194305)
        self.fails(1, "process 4194305: there is no such process", "list", "-p", 4194305)

    def test_a_thread_is_not_a_process(self):
        workload = self.started(Workload("--threads", 2))
        threads = [int(tid) for tid in os.listdir(f"/proc/{workload.pid}/task")]
        for command in ("hist", "list"):
            self.fails(1, rf"it is a thread of process {workload.pid} \(.*\)\n  give the process: -p {workload.pid}", command, "-p", max(threads))

    def test_a_full_disk_is_told(self):
        for words in (["hist", "-a", "-d", "0.05"], ["list"], ["list", "--json"]):
            with open("/dev/full", "w", encoding="ascii") as full:
                ran = subprocess.run([TOOL, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
            self.assertEqual(ran.returncode, 1, ran)
            self.assertRegex(ran.stderr, "cannot write to the standard output: No space left")

    def test_a_full_disk_ends_the_command_too(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            ran = subprocess.run([TOOL, "hist", "-i", "0.05", "--", "sleep", "60"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=30,
                                 check=False)
        self.assertEqual(ran.returncode, 1, ran)

    def test_a_signal_that_is_ignored_stays_ignored(self):
        tool = self.started(Hist("-a", "-d", "0.5", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)))
        tool.signal(signal.SIGHUP)
        self.assertEqual(tool.wait(), 0)
        self.assertGreater(tool.last()["elapsed_ns"], 400_000_000)

    def test_sigint_is_heard_in_the_background_of_a_script(self):
        # A shell without job control, as that of a script, has it ignored there.
        tool = self.started(Hist("-a", preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)))
        self.assertEqual(tool.stop(), 0)
        self.assertGreater(tool.last()["elapsed_ns"], 0)

    def test_a_process_without_probes(self):
        bystander = self.started(Program(["sleep", "60"]))
        program = self.fails(1, r"process \d+ \(sleep\): none of its mapped files contains waitprobe's probes", "hist", "-p", bystander.pid)
        self.assertIn("link the program with libwaitprobe", program.err)
        self.assertIn("use -f LIBRARY or -a", program.err)

    def test_a_file_that_is_not_an_executable(self):
        self.fails(1, "not an executable or shared library", "hist", "-f", "/etc/passwd")
        self.fails(1, "not an executable or shared library", "hist", "-f", "/dev/null")
        self.fails(1, "No such file", "hist", "-f", "/no/such/file")
        self.fails(1, "carries no probes", "hist", "-f", "/bin/ls")

    def test_a_command_that_does_not_exist(self):
        self.fails(1, "cannot start no-such-command: No such file", "hist", "--", "no-such-command")
        self.fails(1, "cannot start /etc: ", "hist", "--", "/etc")


class Rights(TestCase):
    def as_nobody(self, *words):
        return run(TOOL, *words, user=NOBODY, group=NOBODY, extra_groups=[])

    def setUp(self):
        super().setUp()
        probe = subprocess.run([TOOL, "--version"], user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, check=False)
        self.assertEqual(probe.returncode, 0, "an ordinary user can run the tool at all")

    def test_an_ordinary_user_is_told_which_capability_is_missing(self):
        program = self.as_nobody("hist", "-a")
        self.assertEqual(program.process.returncode, 1, program)
        self.assertRegex(program.err, "this user lacks CAP_BPF, CAP_PERFMON")
        self.assertIn("sudo", program.err)
        self.assertIn("setcap", program.err)

    def test_every_command_says_the_same(self):
        workload = self.started(Workload("--threads", 1, "--waits", 1, "--keys", 1))
        hint = ("  run it as root (sudo waitprobe ...), or give the program the capabilities:\n"
                "  sudo setcap cap_bpf,cap_perfmon,cap_sys_ptrace,cap_dac_read_search+ep $(command -v waitprobe)\n")
        to_trace = hint if harness.needs_few_rights() else hint.replace("bpf,cap_perfmon", "sys_admin")
        for name, *options in (["hist"], ["top"], ["slow"], ["record", "-o", "-"], ["stuck"], ["list"], ["tracefs"]):
            with self.subTest(name):
                ran = self.as_nobody(name, *options, "-p", workload.pid)
                self.assertEqual((ran.process.returncode, ran.out), (1, ""), ran)
                self.assertRegex(ran.err, r"^waitprobe: cannot .*: (this user lacks CAP_|Permission denied)")
                self.assertTrue(ran.err.endswith(hint if name in ("stuck", "list", "tracefs") else to_trace), ran.err)
        self.assertIn(hint, self.as_nobody("stuck", "-a").out)
        events = self.as_nobody("tracefs", "-a")
        self.assertIn("could not be read", events.err)
        self.assertIn(hint, events.err)

    def test_an_ordinary_user_may_list(self):
        workload = self.started(Workload("--threads", 1, "--waits", 1, "--keys", 1))
        program = self.as_nobody("list", "--json")
        self.assertEqual(program.process.returncode, 0, program)
        self.assertGreater(json.loads(program.out)["unreadable"], 0, "processes of root cannot be looked into")
        self.assertNotIn("No process carries", self.as_nobody("list").out)
        stuck = self.as_nobody("stuck", "-p", workload.pid)
        self.assertEqual(stuck.process.returncode, 1, stuck)
        self.assertRegex(stuck.err, r"cannot read the memory map of .*Permission denied\n  run it as root")

    def test_a_kernel_without_btf_is_told(self):
        hidden = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /sys/kernel/btf && exec "$@"', "sh", TOOL, "hist", "-a"]
        program = run(*hidden)
        self.assertEqual(program.process.returncode, 1, program)
        self.assertRegex(program.err, r"no type information \(BTF\)")

    def test_a_pid_namespace_of_its_own_is_told(self):
        program = run("unshare", "--pid", "--fork", "--mount-proc", TOOL, "hist", "-a")
        self.assertEqual(program.process.returncode, 1, program)
        self.assertIn("pid namespace", program.err)


class ForeignUprobe(TestCase):
    """Another tracer on the same instruction, without the semaphore: the kernel does not allow both."""

    def write_events(self, line):
        events = os.open("/sys/kernel/tracing/uprobe_events", os.O_WRONLY | os.O_APPEND)  # others may have events of their own
        try:
            os.write(events, f"{line}\n".encode())
        finally:
            os.close(events)

    def try_to_write(self, file, text):
        try:
            with open(file, "w", encoding="ascii") as opened:
                opened.write(text)
            return True
        except OSError:
            return False

    def test_it_is_named(self):
        for transport, probe in (("batches", "wait_batch"), ("events", "wait_stop")):
            with self.subTest(transport=transport):
                self.meet_a_foreign_uprobe(probe, ["--per-event"] if transport == "events" else [])

    def meet_a_foreign_uprobe(self, probe, options):
        workload = self.started(Workload("--threads", 1, "--waits", 23, "--keys", 1))
        file = harness.built("waitprobe-workload")
        name = f"waitprobe_test_{os.getpid()}"
        self.write_events(f"p:{name}/foreign {os.path.abspath(file)}:{harness.attach_place(file, probe)[1]:#x}")
        switch = f"/sys/kernel/tracing/events/{name}/foreign/enable"
        try:
            # A tool that was just killed may still be on its way out, and then it is us who are refused.
            wait_until(lambda: self.try_to_write(switch, "1"), "the foreign uprobe is enabled")
            tool = self.started(Hist("-p", workload.pid, *options, ready=False))
            self.assertEqual(tool.wait(), 1, tool)
            self.assertIn(f"{name}/foreign", tool.err)
            self.assertIn("on the same instruction without a semaphore", tool.err)
        finally:
            self.try_to_write(switch, "0")
            self.write_events(f"-:{name}/foreign")
        tool = self.started(Hist("-p", workload.pid, *options))
        workload.go()
        workload.wait()
        tool.wait()
        self.assertEqual(tool.counts(), workload.truth(), "once it is gone, everything is as before")


class Status(TestCase):
    def test_the_status_of_the_command_is_passed_on(self):
        self.assertEqual(run(TOOL, "hist", "--", "sh", "-c", "exit 7").process.returncode, 7)
        self.assertEqual(run(TOOL, "hist", "--", "sh", "-c", "kill -9 $$").process.returncode, 137)

    def test_a_reader_that_leaves_ends_hist(self):
        status = subprocess.run(["bash", "-c", f"{TOOL} hist -a -i 0.01 --json | head -2 | wc -l; echo ${{PIPESTATUS[0]}}"], capture_output=True,
                                text=True, timeout=30, check=False)
        self.assertEqual(status.stdout.split(), ["2", "0"], status)

    def test_a_closed_pipe_is_no_error(self):
        status = subprocess.run(["bash", "-c", f"{TOOL} --help | head -0; echo ${{PIPESTATUS[0]}}"], capture_output=True, text=True, check=False)
        self.assertEqual(status.stdout.strip(), "0", status)

    def test_a_hist_that_takes_long_says_so_on_a_terminal_and_leaves_nothing_behind(self):
        workload = self.started(Workload("--linger"))
        shown = run_on_terminal([TOOL, "hist", "-d", "2.5", "-p", str(workload.pid)])
        self.assertRegex(shown, r"^\r\033\[Kcounting for 2\.\d+s; Ctrl-C stops and prints the result\r\033\[KNo waits were seen in 2\.5\ds\r\nTimes: .*\r\n$")

    def test_help_beside_what_is_wrong(self):
        for words in (["--bogus", "--help"], ["-d", "abc", "-h"], ["--comm", "no-such-name", "--help"], ["1234", "--help"], ["-ah"]):
            program = run(TOOL, "hist", *words)
            self.assertEqual((program.process.returncode, program.err), (0, ""), program)
            self.assertIn("Usage: waitprobe hist", program.out)

    def test_help_and_version(self):
        commands = re.findall(r"(?m)^  ([a-z]+)  ", run(TOOL, "help").out)
        self.assertGreater(len(commands), 10)
        for words in (["--help"], ["help"], ["list", "-h"], ["--version"], ["-V"], ["version"], *([command, "--help"] for command in commands)):
            program = run(TOOL, *words)
            self.assertEqual(program.process.returncode, 0, program)
            self.assertIn("waitprobe", program.out)
            self.assertTrue(all(len(line) <= 80 for line in program.out.splitlines()), program)


if __name__ == "__main__":
    harness.main()
