# SPDX-License-Identifier: MIT
"""Files as other tools leave them: stripped, compressed, instrumented, in memory, deleted, of names that nobody expects, with another C
library. Each is traced exactly, or refused with a sentence."""

import os
import shutil
import subprocess
import tempfile

import harness
from harness import TOOL, Hist, TestCase, Workload, counts_of, last_truth, run
from targets_test import outcome

SOURCE = os.path.join(harness.SOURCE, "tests/e2e/first_waits.cpp")
ALL = {"first.wait": 23}

# By what is done to FILE, whose copy OTHER is.
TREATMENTS = {
    "objcopy --strip-all": "objcopy --strip-all FILE",
    "strip --strip-unneeded": "strip --strip-unneeded FILE",
    "eu-strip -f": "eu-strip -f FILE.debug FILE",
    "debug information in another file": "objcopy --only-keep-debug FILE FILE.debug && strip FILE && objcopy --add-gnu-debuglink=FILE.debug FILE",
    "dwz": "dwz FILE",
    "dwz -m": "dwz -m FILE.common FILE OTHER",
    "compressed debug information": "objcopy --compress-debug-sections=zlib FILE",
    "compressed debug information, zstd": "objcopy --compress-debug-sections=zstd FILE",
    "no section headers": "objcopy --strip-all FILE && python3 -c 'import sys; f = open(sys.argv[1], \"r+b\"); f.seek(40); f.write(bytes(8)); f.seek(60); f.write(bytes(4))' FILE",
    "patchelf, with a new segment": "patchelf --set-rpath $(printf /%04000d 0) FILE",
    "moved, as by prelink": "python3 moved.py FILE 0x10000000",
    "no notes": "objcopy --remove-section=.note.stapsdt FILE",
}
# prelink moves a library, and leaves the notes as they were: they say where .stapsdt.base was when they were written.
MOVED = r"""
import struct, sys
file, by = open(sys.argv[1], "r+b"), int(sys.argv[2], 0)
image, cnt, at = file.read(), 0, -1
while (at := image.find(struct.pack("<I", 3) + b"stapsdt\0", at + 1)) >= 0:
    file.seek(at + 12)
    file.write(struct.pack("<3Q", *(address and address + by for address in struct.unpack_from("<3Q", image, at + 12))))
    cnt += 1
assert cnt
"""
REFUSED = {"no section headers", "no notes"}


class Built(TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="waitprobe-test-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name

    @classmethod
    def compile(cls, name, *words, compiler="g++", source=SOURCE):
        program = os.path.join(cls.folder, name)
        subprocess.run([compiler, "-g", "-O2", "-I", os.path.join(harness.SOURCE, "include"), source, *words, "-o", program], check=True)
        return program

    def check(self, *words, counts=None):
        ran = run(TOOL, "hist", "--json", "--", *words, cwd=self.folder)  # a program for gprof leaves a file where it ends
        self.assertEqual(ran.process.returncode, 0, ran)
        snapshot = outcome(ran)[1]
        self.assertEqual(counts_of(snapshot), counts or ALL, ran)
        self.assertEqual(snapshot["coverage"]["lost"], 0, ran)
        return snapshot


class Treated(Built):
    def test_each_treatment(self):
        plain = self.compile("plain", "-std=c++17", harness.built("libwaitprobe.a"))
        with open(f"{self.folder}/moved.py", "w", encoding="ascii") as script:
            script.write(MOVED)
        for number, (name, command) in enumerate(TREATMENTS.items()):
            with self.subTest(name):
                file, other = (shutil.copy(plain, f"{self.folder}/{kind}{number}") for kind in ("treated", "other"))
                subprocess.run(command.replace("FILE", file).replace("OTHER", other), shell=True, check=True, capture_output=True, cwd=self.folder)
                if name not in REFUSED:
                    self.check(file)
                    continue
                ran = run(TOOL, "hist", "--json", "--", file)
                self.assertNotEqual(ran.process.returncode, 0, ran)
                self.assertRegex(ran.err, "(?m)^waitprobe: ", ran)
                self.assertNotIn("none was lost", ran.out)

    def test_instrumented(self):
        for compiler in ("g++", "clang++"):
            for sanitizer in ("address", "undefined", "thread", *(["memory"] if compiler == "clang++" else [])):
                with self.subTest(compiler=compiler, sanitizer=sanitizer):
                    self.check(self.compile(f"{compiler}.{sanitizer}", "-std=c++17", f"-fsanitize={sanitizer}", harness.built("libwaitprobe.a"), compiler=compiler))
        for words in (["--coverage"], ["-pg"], ["-finstrument-functions"], ["-fcf-protection=full"], ["-fstack-protector-all", "-fstack-clash-protection"]):
            with self.subTest(words):
                self.check(self.compile("instrumented", "-std=c++17", *words, harness.built("libwaitprobe.a")))

    def test_with_musl(self):
        """A C program and another C library: of the library for C, nothing needs glibc."""
        source = f"{self.folder}/musl.c"
        with open(source, "w", encoding="ascii") as file:
            file.write('#include <waitprobe/c.h>\nint main(void) { for (int i = 0; i < 1000; i++) { WAITPROBE_SCOPED("musl.wait"); } return 0; }\n')
        for words in ([], ["-static"]):
            with self.subTest(words):
                self.check(self.compile("musl", *words, harness.built("libwaitprobe.a"), compiler="musl-gcc", source=source), counts={"musl.wait": 1000})


class Files(Built):
    def test_names_that_nobody_expects(self):
        for name in (b"with blank", b"with\nnewline", b"\xff\xfe broken", "ümläut".encode(), b"quote'\"$(false);&|\\", b"a:b", b"-d", b"x" * 255):
            with self.subTest(name=name):
                file = os.fsdecode(os.path.join(self.folder.encode(), name))
                shutil.copy(harness.built("waitprobe-workload"), file)
                ran = run(TOOL, "hist", "--json", "--", file, "--waits", "100")
                self.assertEqual(ran.process.returncode, 0, ran)
                truths, snapshot = outcome(ran)
                self.assertEqual(counts_of(snapshot), last_truth(truths[-1]), ran)
                self.assertEqual(snapshot["coverage"]["lost"], 0)
                workload = self.started(Workload("--waits", 100, program=file))
                hist = self.started(Hist("-f", file))
                workload.go()
                self.assertEqual(workload.wait(), 0, workload)
                hist.stop()
                self.assertEqual(hist.counts(), workload.truth(), hist)
                os.unlink(file)

    def test_in_memory(self):
        script = ("import os, sys; fd = os.memfd_create('program', 0); os.write(fd, open(sys.argv[1], 'rb').read()); "
                  "os.execve(fd, ['program', '--waits', '100'], os.environ)")
        ran = run(TOOL, "hist", "--json", "--", "python3", "-c", script, harness.built("waitprobe-workload"))
        truths, snapshot = outcome(ran)
        self.assertEqual(counts_of(snapshot), last_truth(truths[-1]), ran)
        self.assertEqual((ran.process.returncode, snapshot["coverage"]["lost"]), (0, 0), ran)

    def test_deleted_while_it_runs(self):
        file = shutil.copy(harness.built("waitprobe-workload"), f"{self.folder}/deleted")
        workload = self.started(Workload("--threads", 2, "--waits", 1000, program=file))
        os.unlink(file)
        hist = self.started(Hist("-p", workload.pid))
        workload.go()
        self.assertEqual(workload.wait(), 0, workload)
        self.assertEqual(hist.wait(), 0, hist)
        self.assertEqual(hist.counts(), workload.truth(), hist)


if __name__ == "__main__":
    harness.main()
