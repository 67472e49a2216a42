# SPDX-License-Identifier: MIT
"""The doctor says what is missing and how to mend it, and is right: what it says will work does."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import harness
from harness import Hist, Program, TOOL, TestCase, Workload, run

NOBODY = ["setpriv", "--reuid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]

# Probes of somebody else, at instructions of our choice.
PROGRAM = r"""
asm(".pushsection .stapsdt.base, \"aG\", \"progbits\", .stapsdt.base, comdat\n_.stapsdt.base: .space 1\n.popsection");
#define PROBE(name, code) asm volatile("990: " code "\n.pushsection .note.stapsdt, \"\", \"note\"\n.balign 4\n" \
  ".4byte 992f-991f, 994f-993f, 3\n991: .asciz \"stapsdt\"\n992: .balign 4\n993: .8byte 990b\n.8byte _.stapsdt.base\n.8byte 0\n" \
  ".asciz \"other\"\n.asciz \"" name "\"\n.asciz \"\"\n994: .balign 4\n.popsection")
#include <unistd.h>
int main(void) {
  SITES
  write(1, "\n", 1);
  pause();
}
"""
ONE, FIVE = "nop", ".byte 0x0f, 0x1f, 0x44, 0x00, 0x00"


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
        self.assertNotIn("missing ", text.out)
        self.assertRegex(text.out, r"\n  ok +attaching +a program was attached to this tool and saw\s+what it should\n")
        diagnosis = json.loads(doctor("--json").out)
        self.assertTrue(diagnosis["will_work"])
        found = checks(diagnosis)
        for name in ("capabilities", "type information", "tracefs", "pid namespace", "uprobes", "attaching", "hist's programs", "slow's programs"):
            self.assertEqual(found[name]["status"], "ok", found[name])
        for name in ("lockdown", "perf paranoia", "unprivileged BPF", "ptrace scope", "seccomp", "news of ends", "rights to read"):
            self.assertIn(name, found)

    def test_it_really_attaches(self):
        traced = run("strace", "-f", "-e", "trace=bpf,perf_event_open", TOOL, "doctor")
        self.assertEqual(traced.process.returncode, 0, traced)
        self.assertRegex(traced.err, r"BPF_PROG_LOAD.*prog_name=\"on_self_test\"")
        self.assertRegex(traced.err, r"perf_event_open\(\{")

    def test_without_capabilities(self):
        text = doctor(status=1, before=NOBODY)
        self.assertRegex(text.out, r"\n  missing +capabilities +this user lacks CAP_BPF, CAP_PERFMON\n +-> run it as root")
        self.assertIn("sudo setcap cap_bpf,cap_perfmon", text.out)
        self.assertTrue(text.out.endswith("\ntracing will not work\n"), text)
        found = checks(json.loads(doctor("--json", status=1, before=NOBODY).out))
        self.assertEqual(found["attaching"]["status"], "missing")
        self.assertEqual(found["tracefs"]["status"], "ok", "that only root may look into it is another matter")
        self.assertEqual(found["perf paranoia"]["status"], "warning")

    def test_in_a_pid_namespace_of_its_own(self):
        found = checks(json.loads(doctor("--json", status=1, before=("unshare", "--pid", "--fork", "--mount-proc")).out))
        self.assertEqual(found["pid namespace"]["status"], "missing")
        self.assertIn("--pid=host", found["pid namespace"]["fix"])

    def test_without_tracefs(self):
        found = checks(json.loads(doctor("--json", status=1, before=("unshare", "-m", "sh", "-c", 'umount /sys/kernel/tracing; "$@"', "sh")).out))
        self.assertEqual(found["tracefs"]["fix"], "mount -t tracefs tracefs /sys/kernel/tracing")

    def test_behind_a_filter_of_system_calls(self):
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.join(folder, "filtered")
            subprocess.run(["gcc", "-x", "c", "-", "-o", program, "-lseccomp"], check=True, text=True, input="""
                #include <errno.h>
                #include <seccomp.h>
                #include <unistd.h>
                int main(int argc, char** argv) {
                  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
                  seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(bpf), 0);
                  return seccomp_load(filter) != 0 || execvp(argv[1], argv + 1);
                }""")
            found = checks(json.loads(doctor("--json", status=1, before=(program,)).out))
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
                (2, "there is no command after --", ["--"])):
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
        self.assertEqual(found["armed"]["found"], "nobody listens")
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
        self.assertIn(f"ABI {int(version) + 1}, and this tool knows {int(version)}", found["library version"]["found"])

    def test_whoever_locks_us_out_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.join(folder, "server")
            shutil.copy(harness.built("waitprobe-workload"), program)
            workload = self.started(Workload("--threads", 1, program=program))
            notes = subprocess.run(["readelf", "-n", program], capture_output=True, text=True, check=True).stdout
            address = int(re.search(r"Name: wait_stop\n\s+Location: (0x[0-9a-f]+)", notes).group(1), 16)
            self.write_event(f"p:waitprobe_doctor_test/foreign {program}:0x{self.offset_of(program, address):x}")
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
        workload = self.started(Workload("--threads", 1))
        file = os.path.realpath(harness.built("waitprobe-workload"))
        notes = subprocess.run(["readelf", "-n", file], capture_output=True, text=True, check=True).stdout
        address = int(re.search(r"Name: wait_stop\n\s+Location: (0x[0-9a-f]+)", notes).group(1), 16)
        tracer = self.started(Program(["bpftrace", "--unsafe", "-e", f"BEGIN {{ printf(\"ready\\n\"); }} uprobe:{file}:0x{address:x} {{ @ = count(); }}"]))
        harness.wait_until(lambda: "ready" in tracer.out, "bpftrace is attached")
        found = checks(json.loads(doctor("-p", workload.pid, "--json", status=1).out))["foreign uprobes"]
        self.assertIn(f"process {tracer.pid} (bpftrace) on wait_stop", found["found"])

    def write_event(self, line):
        events = os.open("/sys/kernel/tracing/uprobe_events", os.O_WRONLY | os.O_APPEND)  # others may have events of their own
        try:
            os.write(events, line.encode())
        finally:
            os.close(events)

    def offset_of(self, program, address):
        segments = subprocess.run(["readelf", "-lW", program], capture_output=True, text=True, check=True).stdout
        for offset, start, size in re.findall(r"LOAD +(0x\w+) (0x\w+) 0x\w+ (0x\w+)", segments):
            if int(start, 16) <= address < int(start, 16) + int(size, 16):
                return address - int(start, 16) + int(offset, 16)
        raise AssertionError(f"0x{address:x} is in no segment of {program}")

    def test_in_other_namespaces(self):
        workload = self.started(Workload("--threads", 1, before=("unshare", "--mount", "--time")))
        found = checks(json.loads(doctor("-p", workload.pid, "--json").out))["namespaces"]["found"]
        self.assertIn("mnt of its own", found)


@unittest.skipUnless(os.uname().machine == "x86_64", "only there are calls made of nops")
class RedZone(TestCase):
    def built(self, folder, *sites):
        program = os.path.join(folder, "other")
        text = PROGRAM.replace("SITES", " ".join(f'PROBE("{name}", "{code}");' for name, code in sites))
        subprocess.run(["gcc", "-x", "c", "-", "-o", program], check=True, text=True, input=text)
        return program

    def test_probes_that_may_become_calls_are_named(self):
        status = "warning" if self.kernel_makes_calls() else "ok"
        with tempfile.TemporaryDirectory() as folder:
            plain = self.built(folder, ("plain", ONE))
            self.assertEqual(self.red_zone("-f", plain)["status"], "ok")
            bad = self.built(folder, ("five", FIVE), ("pair", f"{ONE}\\n{FIVE}"), ("plain", f"{ONE}\\n{ONE}\\n{FIVE}"))
            process = self.started(Program([bad]))
            harness.wait_until(lambda: process.out == "\n", "the program runs")
            for target in (("-f", bad), ("-p", process.pid)):
                found = self.red_zone(*target)
                self.assertEqual(found["status"], status, found)
                if status == "warning":
                    self.assertRegex(found["found"], r"other:five at 0x[0-9a-f]+ of .*/other, other:pair at 0x[0-9a-f]+ of .*/other: traced, this kernel turns")
                    self.assertNotIn("plain", found["found"])
                    self.assertIn("-mno-red-zone", found["fix"])

    def test_many_are_counted_and_strange_names_are_harmless(self):
        with tempfile.TemporaryDirectory() as folder:
            bad = self.built(folder, *((f"p{i}", FIVE) for i in range(8)), ("\\033[31m", FIVE))
            self.assertRegex(self.red_zone("-f", bad)["found"], "other:p4 at .* and 4 more: ")
            strange = self.built(folder, ("\\033[31m", FIVE))
            text = run(TOOL, "doctor", "-f", strange).out
            self.assertIn("other:\\x1b[31m at", text)
            self.assertNotIn("\x1b", text)

    def test_the_warning_is_true(self):
        """A leaf function keeps a variable in the red zone across the probe, while bpftrace counts its hits."""
        with tempfile.TemporaryDirectory() as folder:
            for code, is_warned_of in ((ONE, False), (FIVE, self.kernel_makes_calls())):
                with self.subTest(code=code):
                    program = os.path.join(folder, "leaf")
                    probe = PROGRAM[PROGRAM.index("asm("):PROGRAM.index("#include")]
                    subprocess.run(["gcc", "-O1", "-x", "c", "-", "-o", program], check=True, text=True, input=probe + """
                        #include <stdio.h>
                        #include <unistd.h>
                        __attribute__((noinline, naked)) long leaf(long value) {
                          asm("mov %rdi, -8(%rsp)"); PROBE("leaf", "CODE"); asm("mov -8(%rsp), %rax\\n ret");
                        }
                        int main(void) {
                          char go;
                          long wrong = 0;
                          if (read(0, &go, 1) != 1) return 1;
                          for (long i = 0; i < 100; i++) { wrong += leaf(i) != i; usleep(2000); }
                          return printf("%ld\\n", wrong) < 0;
                        }""".replace("CODE", code))
                    go_child, go = os.pipe()
                    process = self.started(Program([program], stdin=go_child))
                    os.close(go_child)
                    tracer = self.started(Program(["bpftrace", "-B", "line", "-p", process.pid, "-e",
                                                   f'BEGIN {{ printf("ready\\n"); }} usdt:{program}:other:leaf {{ @hits = count(); }}']))
                    harness.wait_until(lambda t=tracer: "ready" in t.out, "bpftrace is attached")
                    os.write(go, b"g")
                    os.close(go)
                    self.assertEqual(process.wait(), 0, process)
                    tracer.wait()
                    self.assertIn("@hits: 100", tracer.out, "it was traced")
                    self.assertEqual(int(process.out) > 0, is_warned_of, process)

    def kernel_makes_calls(self):
        with open("/proc/kallsyms", encoding="ascii") as symbols:
            return " arch_uprobe_optimize\n" in symbols.read()

    def red_zone(self, *target):
        return checks(json.loads(doctor(*target, "--json", status=1).out))["red zone"]  # 1: they carry no probes of waitprobe


if __name__ == "__main__":
    harness.main()
