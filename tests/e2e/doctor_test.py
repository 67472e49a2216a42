# SPDX-License-Identifier: MIT
"""The doctor says what is missing and how to mend it, and is right: what it says will work does."""

import json
import os
import re
import shutil
import subprocess
import tempfile

import harness
from harness import Hist, Program, TOOL, TestCase, Workload, nobody_with, run

NOBODY = ["setpriv", "--reuid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]


def doctor(*words, status=0, before=()):
    program = run(*before, TOOL, "doctor", *words)
    if program.process.returncode != status:
        raise AssertionError(f"the status is not {status}: {program}")
    return program


def checks(diagnosis, which=-1):
    """Status, text and remedy of each, of the last subject."""
    return {check["name"]: check for check in diagnosis["findings"][which]["checks"]}


class Machine(TestCase):
    def test_tracing_works_here(self):
        text = doctor()
        self.assertTrue(text.out.endswith("\ntracing will work\n"), text)
        self.assertRegex(text.out, r"\n  ok +attaching +a\s+BPF\s+program\s+attached\s+to\s+waitprobe\s+itself\s+ran\s+correctly\n")
        diagnosis = json.loads(doctor("--json").out)
        self.assertTrue(diagnosis["will_work"])
        found = checks(diagnosis)
        self.assertEqual([check for check in found.values() if check["needed"] and check["status"] == "missing"], [])
        for name in ("user namespace", "capabilities", "type information", "tracefs", "pid namespace", "uprobes", "attaching", "hist's programs", "serve's programs", "slow's programs"):
            self.assertEqual(found[name]["status"], "ok", found[name])
        for name in ("lockdown", "perf paranoia", "unprivileged BPF", "ptrace scope", "seccomp", "exit/exec tracepoints", "rights to read"):
            self.assertIn(name, found)

    def test_it_really_attaches(self):
        traced = run("strace", "-f", "-e", "trace=bpf,perf_event_open", TOOL, "doctor")
        self.assertEqual(traced.process.returncode, 0, traced)
        self.assertRegex(traced.err, r"BPF_PROG_LOAD.*prog_name=\"on_self_test\"")
        self.assertRegex(traced.err, r"perf_event_open\(\{")

    def test_without_capabilities(self):
        text = doctor(status=1, before=NOBODY)
        self.assertRegex(text.out, r"\n  missing +capabilities +this user lacks CAP_BPF, CAP_PERFMON\n +-> run it as root")
        self.assertIn("sudo setcap cap_", text.out)
        self.assertTrue(text.out.endswith("\ntracing will not work\n"), text)
        found = checks(json.loads(doctor("--json", status=1, before=NOBODY).out))
        self.assertEqual(found["attaching"]["status"], "missing")
        self.assertEqual(found["tracefs"]["status"], "ok", "that only root may look into it is another matter")
        self.assertEqual(found["perf paranoia"]["status"], "warning")

    def counted(self, before):
        hist = run(*before, TOOL, "hist", "--json", "--", harness.built("waitprobe-workload"), "--threads", 1, "--waits", 1009, "--keys", 1)
        return sum(series["count"] for series in json.loads(hist.out.splitlines()[-1])["series"])

    def test_in_a_user_namespace_of_its_own(self):
        found = checks(json.loads(doctor("--json", status=1, before=("unshare", "--user", "--map-root-user")).out))
        self.assertEqual(found["user namespace"]["status"], "missing")
        self.assertIn("sudo waitprobe", found["user namespace"]["fix"])
        self.assertEqual(found["capabilities"]["status"], "missing", "those that it has there do not count")
        self.assertEqual(found["perf paranoia"]["status"], "warning")
        for name in ("attaching", "hist's programs", "serve's programs", "slow's programs"):
            self.assertEqual(found[name]["status"], "missing", found[name])
            self.assertNotIn("waitprobe doctor", found[name].get("fix", ""), "that is who says it")

    def test_in_a_pid_namespace_of_its_own(self):
        found = checks(json.loads(doctor("--json", status=1, before=("unshare", "--pid", "--fork", "--mount-proc")).out))
        self.assertEqual(found["pid namespace"]["status"], "missing")
        self.assertIn("--pid=host", found["pid namespace"]["fix"])

    def test_tracefs_within_debugfs_will_do(self):
        old_place = ("unshare", "-m", "sh", "-c", 'umount -l /sys/kernel/tracing; mountpoint -q /sys/kernel/debug || '
                     'mount -t debugfs debugfs /sys/kernel/debug; "$@"', "sh")
        file = os.path.realpath(harness.built("waitprobe-workload"))
        diagnosis = json.loads(doctor("-f", file, "--json", before=old_place).out)
        self.assertEqual(checks(diagnosis, 0)["tracefs"]["status"], "ok")
        self.assertEqual(checks(diagnosis)["foreign uprobes"]["status"], "ok", "it is read there")
        self.assertEqual(self.counted(old_place), 1009)

    def test_lockdown_is_read_where_securityfs_is_mounted(self):
        mounted = ("unshare", "-m", "sh", "-c", 'mount -t securityfs securityfs /sys/kernel/security 2>/dev/null; "$@"', "sh")
        self.assertEqual(checks(json.loads(doctor("--json", before=mounted).out))["lockdown"]["status"], "ok")

    def test_behind_a_filter_of_system_calls(self):
        with tempfile.TemporaryDirectory() as folder:
            found = checks(json.loads(doctor("--json", status=1, before=harness.refusing("bpf", folder)).out))
        self.assertEqual(found["seccomp"]["status"], "unknown")
        self.assertIn("seccomp=unconfined", found["seccomp"]["fix"])
        self.assertEqual(found["attaching"]["status"], "missing")
        self.assertEqual(found["attaching"]["found"], "Operation not permitted")

    def test_what_cannot_be_understood(self):
        for status, pattern, words in (
                (1, "process 4194305: there is no such process", ["-p", "4194305"]),
                (1, "cannot open /nowhere: No such file", ["-f", "/nowhere"]),
                (1, "cannot start nowhere.at.all: there is no such command in PATH", ["--", "nowhere.at.all"]),
                (1, "it is not an executable or shared library", ["-f", __file__]),
                (2, "more than one kind of target", ["-a", "-p", "1"]),
                (2, "no command after '--'", ["--"])):
            with self.subTest(words=words):
                program = doctor(*words, status=status)
                self.assertRegex(program.err, pattern)
                self.assertEqual(program.out, "")


class Targets(TestCase):
    def test_a_healthy_process(self):
        workload = self.started(Workload("--threads", 1))
        found = checks(json.loads(doctor("-p", workload.pid, "--json").out))
        self.assertEqual({check["status"] for check in found.values()}, {"ok"}, found)
        self.assertRegex(found["probes"]["found"], "waitprobe-workload: all 11")
        self.assertEqual(found["armed"]["found"], "no tracer is attached")
        tool = self.started(Hist("-p", workload.pid))
        self.assertEqual(checks(json.loads(doctor("-p", workload.pid, "--json").out))["armed"]["found"], "by a tracer of batches")
        self.assertEqual(tool.stop(), 0, tool)
        everyone = json.loads(doctor("-a", "--json").out)
        self.assertIn(f"process {workload.pid} (waitprobe-workl)", [findings["subject"] for findings in everyone["findings"]])

    def test_who_does_not_carry_probes(self):
        bystander = self.started(Program(["sleep", "60"]))
        found = checks(json.loads(doctor("-p", bystander.pid, "--json", status=1).out))
        self.assertEqual(found["probes"]["status"], "missing")
        self.assertIn("link the program with libwaitprobe", found["probes"]["fix"])
        self.assertEqual(checks(json.loads(doctor("--json", "--", "sleep", "60").out))["probes"]["status"], "unknown", "it may load some")
        self.assertEqual(checks(json.loads(doctor("--json", "--", harness.built("waitprobe-workload")).out))["probes"]["status"], "ok")

    def test_a_process_that_may_not_be_looked_into(self):
        workload = self.started(Workload("--threads", 1))
        diagnosis = json.loads(doctor("-p", workload.pid, "--json", status=1, before=NOBODY).out)
        self.assertEqual(checks(diagnosis, 0)["capabilities"]["status"], "missing", "the machine is told of as well")
        found = checks(diagnosis)["memory map"]
        self.assertEqual((found["status"], found["found"]), ("missing", "it cannot be read: Permission denied"))
        self.assertIn("sudo waitprobe", found["fix"])
        others = checks(json.loads(doctor("-a", "--json", status=1, before=NOBODY).out))["memory map"]
        self.assertRegex(others["found"], r"^[0-9]+ could not be read and may contain probes")

    def test_it_looks_for_tracers_once_for_all_probes(self):
        workload = self.started(Workload("--threads", 1))
        traced = run("strace", "-f", "-e", "trace=openat", TOOL, "doctor", "-p", workload.pid)
        self.assertEqual(traced.process.returncode, 0, traced)
        self.assertEqual(traced.err.count(f'"/proc/{workload.pid}/fd"'), 1, traced)

    def test_what_may_not_be_seen_is_not_said_to_be_absent(self):
        file = os.path.realpath(harness.built("waitprobe-workload"))
        for before, status in ((NOBODY, "unknown"), (nobody_with("bpf,perfmon,sys_ptrace,dac_read_search"), "unknown"), ((), "ok")):
            with self.subTest(before=before):
                found = checks(json.loads(run(*before, TOOL, "doctor", "-f", file, "--json").out))["foreign uprobes"]
                self.assertEqual(found["status"], status, found)

    def test_a_command_is_examined_as_a_file(self):
        with tempfile.TemporaryDirectory() as folder:
            # One that carries other probes than this version does: it is not one that carries none.
            other = os.path.join(folder, "bin", "server")
            os.makedirs(os.path.join(folder, "first", "server"))  # a folder is no program, wherever it stands in PATH
            os.mkdir(os.path.dirname(other))
            with open(harness.built("waitprobe-workload"), "rb") as file:
                data = file.read()
            with open(other, "wb") as file:
                file.write(data.replace(b"waitprobe\0wait_slow_1s\0", b"waitprobe\0wait_slow_9s\0"))
            os.chmod(other, 0o755)
            before = ("env", f"PATH={folder}/first:{folder}/bin:{os.environ['PATH']}")
            diagnosis = json.loads(doctor("--json", "--", "server", status=1, before=before).out)
            self.assertEqual(diagnosis["findings"][-1]["subject"], other)
            found = checks(diagnosis)["probes"]
            self.assertEqual((found["status"], found["found"]), ("missing", f"{other} lacks wait_slow_1s"))
            script = os.path.join(folder, "bin", "script")
            with open(script, "w", encoding="ascii") as file:
                file.write("#!/bin/sh\n")
            os.chmod(script, 0o755)
            self.assertEqual(checks(json.loads(doctor("--json", "--", script).out))["probes"]["status"], "unknown")

    def test_a_library_of_another_version(self):
        with tempfile.TemporaryDirectory() as folder:
            other = os.path.join(folder, "other.so")
            with open(os.path.realpath(harness.built("libwaitprobe.so")), "rb") as file:
                data = file.read()
            with open(os.path.join(harness.SOURCE, "bpf/abi.h"), encoding="ascii") as file:
                abi = file.read()
            version = re.search(r"WP_ABI_VERSION (\d+)", abi).group(1)
            root = data.index(int(re.search(r"WP_ROOT_MAGIC (0x[0-9a-f]+)", abi).group(1), 16).to_bytes(8, "little"))
            with open(other, "wb") as file:
                file.write(data[:root + 8] + (int(version) + 1).to_bytes(4, "little") + data[root + 12:])
            found = checks(json.loads(doctor("-f", other, "--json", status=1).out))
        self.assertEqual(found["library version"]["status"], "missing")
        self.assertIn(f"ABI {int(version) + 1}; this tool supports {int(version)}", found["library version"]["found"])

    def test_whoever_locks_us_out_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.join(folder, "server")
            shutil.copy(harness.built("waitprobe-workload"), program)
            workload = self.started(Workload("--threads", 1, program=program))
            self.write_event(f"p:waitprobe_doctor_test/foreign {program}:0x{harness.attach_place(program, 'wait_stop')[1]:x}")
            try:
                for target in (["-p", workload.pid], ["-f", program]):
                    found = checks(json.loads(doctor(*target, "--json", status=1).out))["foreign uprobes"]
                    self.assertEqual(found["status"], "missing")
                    self.assertIn("the uprobe waitprobe_doctor_test/foreign of tracefs on wait_stop", found["found"])
                    self.assertIn("echo '-:GROUP/NAME' >> /sys/kernel/tracing/uprobe_events", found["fix"])
            finally:
                self.write_event("-:waitprobe_doctor_test/foreign")
            doctor("-p", workload.pid)

    def test_a_bpftrace_that_brings_no_semaphore_is_named(self):
        # Stripped: this bpftrace attaches to no place within a function that it knows.
        folder = self.enterContext(tempfile.TemporaryDirectory())
        file = os.path.join(folder, "server")
        subprocess.run(["strip", "-o", file, harness.built("waitprobe-workload")], check=True)
        workload = self.started(Workload("--threads", 1, program=file))
        address, _ = harness.attach_place(file, "wait_stop")
        tracer = self.started(Program(["bpftrace", "--unsafe", "-e", f"BEGIN {{ printf(\"ready\\n\"); }} uprobe:{file}:0x{address:x} {{ @ = count(); }}"]))
        harness.wait_until(lambda: "ready" in tracer.out, "bpftrace is attached")
        found = checks(json.loads(doctor("-p", workload.pid, "--json", status=1).out))["foreign uprobes"]
        self.assertIn(f"process {tracer.pid} (bpftrace) on wait_stop", found["found"])
        found = checks(json.loads(doctor("-f", file, "--json").out))["foreign uprobes"]
        self.assertEqual(found["status"], "unknown", "a file alone has no semaphore that could be looked at")
        self.assertIn(f"process {tracer.pid} (bpftrace) on wait_stop", found["found"])

    def write_event(self, line):
        events = os.open("/sys/kernel/tracing/uprobe_events", os.O_WRONLY | os.O_APPEND)  # others may have events of their own
        try:
            os.write(events, line.encode())
        finally:
            os.close(events)

    def test_in_other_namespaces(self):
        # Forked: who has left a time namespace may not start threads on older kernels, only its children may.
        apart = (*harness.SEEING_ALL_OF_PROC, "unshare", "--user", "--map-root-user", "--mount", "--pid", "--time", "--fork", "--kill-child")
        outer = self.started(Workload("--threads", 1, before=apart))
        with open(f"/proc/{outer.pid}/task/{outer.pid}/children", encoding="ascii") as children:
            pid = int(children.read())
        found = checks(json.loads(doctor("-p", pid, "--json").out))
        self.assertEqual(found["namespaces"]["found"],
                         "pid of its own (shown with its pid here), mnt of its own (files are opened in its mount namespace), "
                         "user of its own (its root is not root here), time of its own (ages of open waits may be wrong)")
        for name in ("probes", "library version", "armed", "foreign uprobes"):
            self.assertEqual(found[name]["status"], "ok", found[name])


if __name__ == "__main__":
    harness.main()
