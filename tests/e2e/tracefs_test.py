# SPDX-License-Identifier: MIT
"""`waitprobe tracefs`: definitions that the kernel takes, and whose events tell what happened."""

import os
import re
import shutil
import subprocess
import tempfile

import harness
from harness import TOOL, TestCase, Workload, run
from tracers import FILE, append_events, uprobe_events

TRACEFS = "/sys/kernel/tracing"
SHARED = harness.built("waitprobe-workload-shared")
PROBES = ["wait_start", "wait_stop", *(f"wait_slow_{name}" for name in ("1us", "10us", "100us", "1ms", "10ms", "100ms", "1s"))]


def tracefs(*words):
    return run(TOOL, "tracefs", *words)


class Tracefs(TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def defined(self, *words):
        """Defines events until the test ends."""
        printed = tracefs(*words)
        self.assertEqual((printed.process.returncode, printed.err), (0, ""), printed)
        group = words[words.index("--group") :] if "--group" in words else ()
        removal = tracefs(*group, "--remove")
        self.assertEqual(removal.out.count("\n"), len(PROBES), removal)
        before = uprobe_events()
        append_events(printed.out)
        self.addCleanup(lambda: self.assertEqual(uprobe_events(), before))
        self.addCleanup(lambda: append_events(removal.out))
        return printed.out

    def traced(self, work, group="waitprobe", event="wait_stop"):
        """What an instance of tracefs shows of an event while `work` runs."""
        instance = tempfile.mkdtemp(dir=f"{TRACEFS}/instances", prefix="waitprobe-test-")
        try:
            enable = f"{instance}/events/{group}/{event}/enable"
            with open(enable, "w", encoding="ascii") as switch:
                switch.write("1")
            work()
            with open(enable, "w", encoding="ascii") as switch:
                switch.write("0")
            with open(f"{instance}/trace", encoding="utf-8") as trace:
                return trace.read()
        finally:
            os.rmdir(instance)

    def counts(self, trace):
        told = re.findall(r'key="([^"]*)" timestamp_ns=\d+ (?:duration_ns=\d+ )?wait_id=\d+$', trace, re.M)
        return {key: told.count(key) for key in set(told)}

    def assert_counted(self, program, event="wait_stop", group="waitprobe"):
        def work():
            program.go()
            program.wait()
        trace = self.traced(work, group, event)
        self.assertEqual(self.counts(trace), program.truth(), trace[-3000:])
        return trace

    def workload(self, program=FILE, **options):
        return self.started(Workload("--threads", 2, "--waits", 50, "--keys", 3, program=program, **options))

    def test_of_a_file(self):
        lines = self.defined("-f", FILE).splitlines()
        self.assertEqual([re.match(r"p:waitprobe/(\S+) /\S+:0x[0-9a-f]+\(0x[0-9a-f]+\) key=", line).group(1) for line in lines], PROBES)
        trace = self.assert_counted(self.workload())
        times = re.findall(r" (\d+)\.(\d+): wait_stop: .* timestamp_ns=(\d+) duration_ns=(\d+) ", trace)
        self.assertTrue(all(int(duration) < 10**9 for *_, duration in times), trace[:3000])
        self.assert_counted(self.workload(), "wait_start")

    def test_of_processes_with_two_files(self):
        programs = [self.workload(), self.workload(SHARED)]
        text = self.defined(*(word for program in programs for word in ("-p", program.pid)))
        self.assertEqual(text.count("p:waitprobe/wait_stop "), 2)
        self.assertIn("/libwaitprobe.so", text)
        for program in programs:
            self.assert_counted(program)

    def test_of_the_machine_in_a_group_of_its_own(self):
        program = self.workload()
        other = self.workload()
        text = self.defined("-a", "--group", "my_group")
        self.assertEqual(text.count(f"my_group/wait_stop {os.path.abspath(FILE)}:"), 1, "two processes of one file")
        self.assert_counted(program, group="my_group")
        other.kill()

    def test_of_a_file_that_has_gone(self):
        server = os.path.join(self.folder.name, "server")
        shutil.copy(FILE, server)
        program = self.workload(server)
        os.unlink(server)
        self.assertIn(f"/proc/{program.pid}/", self.defined("-p", program.pid))
        self.assert_counted(program)

    def test_of_a_path_that_tracefs_would_not_take(self):
        server = os.path.join(self.folder.name, "my server")
        shutil.copy(FILE, server)
        refused = tracefs("-f", server)
        self.assertEqual((refused.process.returncode, refused.out), (1, ""))
        self.assertRegex(refused.err, r"tracefs takes no path with a blank or # in it\n.*ln")
        program = self.workload(server)
        self.assertNotIn("my server", self.defined("-p", program.pid))
        self.assert_counted(program)

    def test_a_file_that_cannot_be_named_costs_the_others_nothing(self):
        """As where a process ends meanwhile: an ordinary user cannot name a library with a blank in its path through the process."""
        folder = os.path.join(self.folder.name, "my libraries")
        os.mkdir(folder)
        os.chmod(self.folder.name, 0o755)
        shutil.copy(harness.built("libwaitprobe.so"), os.path.join(folder, "libwaitprobe.so.0"))
        user = ("setpriv", "--reuid=65534", "--clear-groups")
        self.workload(SHARED, before=user, env={"LD_LIBRARY_PATH": folder})
        self.workload(before=user)
        listed = run(*user, TOOL, "tracefs", "-a")
        self.assertEqual(listed.process.returncode, 0, listed)
        self.assertEqual(listed.out.count(f" {os.path.abspath(FILE)}:"), len(PROBES), listed)
        self.assertIn("warning: cannot find a path to", listed.err)
        self.assertNotIn("my libraries", listed.out)

    def test_by_a_link(self):
        link = os.path.join(self.folder.name, "link")
        os.symlink(os.path.abspath(FILE), link)
        self.assertEqual(tracefs("-f", link).out, tracefs("-f", FILE).out)

    def test_errors(self):
        for words, status, text in ((("-f", "/bin/true"), 1, "it carries no probes of waitprobe"), (("-f", "/nowhere"), 1, "No such file"),
                                    (("-p", "4194305"), 1, "process 4194305"), ((), 2, ""), (("-f", FILE, "--group", "a-b"), 2, "--group takes"),
                                    (("-f", FILE, "--group", ""), 2, "--group has an empty value"), (("-f", FILE, "--group", "1"), 2, "--group takes"), (("-f", FILE, "--", "true"), 2, "starts no program"), (("-f", FILE, "--remove"), 2, "--remove takes no target"),
                                    (("-a",), 1, "no process carries the probes")):
            ran = tracefs(*words)
            self.assertEqual((ran.process.returncode, ran.out), (status, ""), ran)
            self.assertIn(text, ran.err)

    def test_into_a_pipe_that_closes(self):
        ran = subprocess.run(f"set -o pipefail; {TOOL} tracefs -f {FILE} | head -1", shell=True, executable="/bin/bash", capture_output=True,
                             text=True, check=False)
        self.assertEqual((ran.returncode, ran.stderr, ran.stdout.count("\n")), (0, "", 1))


if __name__ == "__main__":
    harness.main()
