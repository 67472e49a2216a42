# SPDX-License-Identifier: MIT
"""Every way to build a program reaches the armed word that the kernel raises: {gcc, clang} x {static, shared} x {PIE, not} x {LTO, not}.

An executable that named the word in a shared library directly would be given a copy of its own, and count nothing.
"""

import itertools
import os
import subprocess
import tempfile

import harness
from harness import TestCase, TOOL, counts_of, run
from targets_test import outcome

COMPILERS = ("g++", "clang++")
RUNTIME = os.path.join(harness.SOURCE, "src/runtime")


class Matrix(TestCase):
    def compile(self, compiler, *words):
        subprocess.run([compiler, "-std=c++20", "-O2", "-I", harness.SOURCE, "-I", os.path.join(harness.SOURCE, "include"), *words], check=True)

    def build_library(self, folder, compiler, lto, shared):
        """The library itself with the same compiler, and with link-time optimisation for all but the probes."""
        objects = []
        for name in sorted(os.listdir(RUNTIME)):
            if not name.endswith(".cpp"):
                continue
            flags = ["-fno-lto", "-mno-red-zone"] if name == "probes.cpp" else (["-flto"] if lto else [])
            if os.uname().machine != "x86_64":
                flags = [flag for flag in flags if flag != "-mno-red-zone"]
            objects.append(os.path.join(folder, f"{name}.o"))
            self.compile(compiler, "-fPIC", "-fvisibility=hidden", *flags, *(["-DWAITPROBE_SHARED"] if shared else []),
                         "-c", os.path.join(RUNTIME, name), "-o", objects[-1])
        if not shared:
            return objects
        library = os.path.join(folder, "libwaitprobe.so")
        linker = ["-fuse-ld=lld"] if compiler == "clang++" and lto else []
        self.compile(compiler, "-shared", *(["-flto"] if lto else []), *linker, "-Wl,-z,nodelete", *objects, "-o", library)
        return [library]

    def test_each_binary_is_armed_and_counted(self):
        source = os.path.join(harness.SOURCE, "tests/e2e/first_waits.cpp")
        for compiler, lto, shared in itertools.product(COMPILERS, (False, True), (False, True)):
            with tempfile.TemporaryDirectory() as folder:
                library = self.build_library(folder, compiler, lto, shared)
                for pie in ("-pie", "-no-pie"):
                    name = f"{compiler} {'shared' if shared else 'static'} {pie} {'lto' if lto else 'no lto'}"
                    with self.subTest(name):
                        program = os.path.join(folder, "program")
                        flags = [pie, "-fPIE" if pie == "-pie" else "-fno-pie"] + (["-flto"] if lto else [])
                        flags += ["-fuse-ld=lld"] if compiler == "clang++" and lto else []
                        flags += ["-DWAITPROBE_SHARED", f"-Wl,-rpath,{folder}"] if shared else []
                        self.compile(compiler, *flags, source, *library, "-o", program)
                        ran = run(TOOL, "hist", "--json", "--", program)
                        self.assertEqual(ran.process.returncode, 0, ran)
                        snapshot = outcome(ran)[1]
                        self.assertEqual(counts_of(snapshot), {"first.wait": 23}, ran)
                        self.assertEqual(snapshot["coverage"]["lost"], 0)


if __name__ == "__main__":
    harness.main()
