# SPDX-License-Identifier: MIT
"""The doctor warns of probes that this kernel makes calls of when they are traced, and is right."""

import json
import os
import re
import subprocess
import tempfile
import unittest

import harness
from doctor_test import checks, doctor
from harness import Program, TOOL, TestCase, run

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

    def test_a_kernel_that_hides_its_symbols(self):
        hidden = ("unshare", "-m", "sh", "-c", 'mount --bind /dev/null /proc/kallsyms; "$@"', "sh")
        all_hidden = ("unshare", "-m", "sh", "-c", 'mount --bind /dev/null /proc/kallsyms; mount -t tmpfs none /sys/kernel/btf; "$@"', "sh")
        with tempfile.TemporaryDirectory() as folder:
            bad = self.built(folder, ("five", FIVE))
            self.assertEqual(self.red_zone("-f", bad, before=hidden), self.red_zone("-f", bad), "its type information tells")
            found = self.red_zone("-f", bad, before=all_hidden)
            self.assertEqual(found["status"], "unknown")
            self.assertIn("other:five", found["found"])

    def test_of_a_command_too(self):
        with tempfile.TemporaryDirectory() as folder:
            bad = self.built(folder, ("five", FIVE))
            found = checks(json.loads(doctor("--json", "--", bad).out))
            self.assertEqual((found["probes"]["status"], found["red zone"]), ("unknown", self.red_zone("-f", bad)))

    def test_a_file_full_of_them_takes_no_memory(self):
        count = 200_000
        with tempfile.TemporaryDirectory() as folder:
            one = self.built(folder, ("five", FIVE))
            with open(one, "rb") as file:
                note = re.search(rb".{12}stapsdt\0.{24}other\0five\0\0", file.read(), re.DOTALL).group()
            notes = os.path.join(folder, "notes")
            with open(notes, "wb") as file:
                file.write((note + b"\0" * (-len(note) % 4)) * count)
            # So long a path to so many sites: named one by one they would be 600 MB.
            deep = os.path.join(folder, *["d" * 250] * 12)
            os.makedirs(deep)
            full = os.path.join(deep, "full")
            subprocess.run(["objcopy", f"--update-section=.note.stapsdt={notes}", one, full], check=True)
            found = self.red_zone("-f", full, before=("prlimit", f"--as={400 << 20}"))
            self.assertIn(f" and {count - 5} more: " if self.kernel_makes_calls() else "does not turn five-byte nops into calls", found["found"])

    def test_long_names_are_cut(self):
        with tempfile.TemporaryDirectory() as folder:
            found = self.red_zone("-f", self.built(folder, ("x" * 1000, FIVE)))
            self.assertLess(found["found"].count("x"), 300)

    def test_many_are_counted_and_strange_names_are_harmless(self):
        with tempfile.TemporaryDirectory() as folder:
            bad = self.built(folder, *((f"p{i}", FIVE) for i in range(8)), ("\\033[31m", FIVE))
            found = self.red_zone("-f", bad)
            if not self.kernel_makes_calls():
                self.assertEqual((found["status"], found["found"]), ("ok", "this kernel does not turn five-byte nops into calls"))
                return
            self.assertRegex(found["found"], "other:p4 at .* and 4 more: ")
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

    def test_what_it_says_of_children_is_true(self):
        """A process forks while bpftrace counts the hits of a five-byte nop."""
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.join(folder, "forks")
            probe = PROGRAM[PROGRAM.index("asm("):PROGRAM.index("#include")]
            subprocess.run(["gcc", "-O1", "-mno-red-zone", "-x", "c", "-", "-o", program], check=True, text=True, input=probe + """
                #include <stdio.h>
                #include <sys/wait.h>
                #include <unistd.h>
                __attribute__((noinline)) void hit(void) { PROBE("hit", "CODE"); }
                int main(void) {
                  char go;
                  int dead = 0;
                  if (read(0, &go, 1) != 1) return 1;
                  for (int i = 0; i < 20; i++) {
                    int status = 0;
                    hit();
                    pid_t child = fork();
                    if (child == 0) { hit(); _exit(0); }
                    waitpid(child, &status, 0);
                    dead += status != 0;
                  }
                  return printf("%d", dead) < 0;
                }""".replace("CODE", FIVE))
            found = self.red_zone("-f", program)["found"]
            go_child, go = os.pipe()
            process = self.started(Program([program], stdin=go_child))
            os.close(go_child)
            tracer = self.started(Program(["bpftrace", "-B", "line", "-p", process.pid, "-e",
                                           f'BEGIN {{ printf("ready\\n"); }} usdt:{program}:other:hit {{ @hits = count(); }}']))
            harness.wait_until(lambda: "ready" in tracer.out, "bpftrace is attached")
            os.write(go, b"g")
            os.close(go)
            self.assertEqual(process.wait(), 0, process)
            tracer.wait()
            self.assertEqual(int(process.out) > 0, "children die" in found, (process.out, found))

    def kernel_makes_calls(self):
        with open("/proc/kallsyms", encoding="ascii") as symbols:
            return " arch_uprobe_optimize\n" in symbols.read()

    def red_zone(self, *target, before=()):
        return checks(json.loads(doctor(*target, "--json", status=1, before=before).out))["red zone"]  # 1: they carry no probes of waitprobe


if __name__ == "__main__":
    harness.main()
