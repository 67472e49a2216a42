# SPDX-License-Identifier: MIT
"""Every way to build a program reaches the armed word that the kernel raises: {gcc, clang} x {static, shared} x {PIE, not} x {LTO, not}.

An executable that named the word in a shared library directly would be given a copy of its own, and count nothing. And every linker
reaches it, for executables and plug-ins: at exec the kernel raises a semaphore in the first writable mapping of its page of the file.
"""

import itertools
import os
import subprocess
import tempfile

import harness
from harness import TestCase, TOOL, counts_of, run
from targets_test import outcome

COMPILERS = ("g++", "clang++")
# By the way that gcc is told of it. All of these but bfd, gold and lld without RELRO map one page of the file for two segments.
LINKERS = {
    "bfd": ["-fuse-ld=bfd"],
    "bfd, no separate code": ["-fuse-ld=bfd", "-Wl,-z,noseparate-code"],
    "gold": ["-fuse-ld=gold"],
    "mold": ["-B/usr/libexec/mold"],
    "mold, separate code": ["-B/usr/libexec/mold", "-Wl,-z,separate-code"],
    "lld": ["-fuse-ld=lld"],
    "lld, icf": ["-fuse-ld=lld", "-Wl,--icf=all,--gc-sections"],
    "lld, separate code": ["-fuse-ld=lld", "-Wl,-z,separate-code"],
    "lld, no rosegment": ["-fuse-ld=lld", "-Wl,--no-rosegment"],
    "lld, no relro": ["-fuse-ld=lld", "-Wl,-z,norelro"],
}
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
            self.compile(compiler, "-fPIC", "-fvisibility=hidden", *flags, *([] if shared else ["-DWAITPROBE_BUILDING_STATIC"]),
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
                        flags += [f"-Wl,-rpath,{folder}"] if shared else []
                        self.compile(compiler, *flags, source, *library, "-o", program)
                        ran = run(TOOL, "hist", "--json", "--", program)
                        self.assertEqual(ran.process.returncode, 0, ran)
                        snapshot = outcome(ran)[1]
                        self.assertEqual(counts_of(snapshot), {"first.wait": 23}, ran)
                        self.assertEqual(snapshot["coverage"]["lost"], 0)


class Linkers(TestCase):
    """Each linker makes an executable, position independent or not, and a plug-in of a program that carries no library itself."""

    def link(self, *words):
        subprocess.run(["g++", "-std=c++20", "-O2", "-I", os.path.join(harness.SOURCE, "include"), *words], check=True)

    def compile(self, folder, name, text, *flags):
        source = os.path.join(folder, f"{name}.cpp")
        with open(source, "w", encoding="utf-8") as file:
            file.write(text)
        self.link(*flags, "-c", source, "-o", f"{source}.o")
        return f"{source}.o"

    def build(self, folder):
        """{name of the program: its linker}"""
        wait = "#include <waitprobe/wait_counter.h>\nint wait_all() { for (int i = 0; i < 23; i++) { STATIC_SCOPED_WAIT_COUNTER(k); } return 0; }\n"
        call = "int wait_all(); int main() { return wait_all(); }\n"
        own = self.compile(folder, "own", wait + call, "-fPIE")
        fixed = self.compile(folder, "fixed", wait + call, "-fno-pie")
        plugin = self.compile(folder, "plugin", wait, "-fPIC")
        host = self.compile(folder, "host", call, "-fPIE")
        library, programs = harness.built("libwaitprobe.a"), {}
        for i, (name, linker) in enumerate(LINKERS.items()):
            path = lambda kind: os.path.join(folder, f"{kind}-{i}")
            self.link(own, library, *linker, "-o", path("own"))
            self.link("-no-pie", fixed, library, *linker, "-o", path("fixed"))
            self.link("-shared", plugin, library, *linker, "-o", path("plugin"))
            self.link(host, path("plugin"), f"-Wl,-rpath,{folder}", "-o", path("host"))
            programs.update({f"{kind}-{i}": name for kind in ("own", "fixed", "host")})
        return programs

    def test_each_file_is_armed_when_the_tool_comes_and_when_a_program_starts_later(self):
        with tempfile.TemporaryDirectory() as folder:
            programs = self.build(folder)
            # Three times: the first process of a file meets the tool, the others find it attached.
            script = "; ".join(f"{folder}/{program}" for program in programs for _ in range(3))
            snapshot = outcome(run(TOOL, "hist", "--json", "--", "sh", "-c", script))[1]
            for program, linker in programs.items():
                with self.subTest(linker=linker, program=program):
                    counts = [series["count"] for series in snapshot["series"] if series["comm"] == program]
                    self.assertEqual(counts, [23] * 3)


if __name__ == "__main__":
    harness.main()
