# SPDX-License-Identifier: MIT
"""What cmake --install puts in place, as other people's projects use it: each program that is built is traced, and counted exactly."""

import glob
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))

import harness  # noqa: E402
from harness import BUILD, SOURCE, TOOL, run  # noqa: E402
from targets_test import outcome  # noqa: E402

CONSUMER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "consumer")
COMPILERS = {"gcc": ("gcc", "g++"), "clang": ("clang", "clang++")}
WAITS = {"consumer.scope": 1000, "consumer.handle": 10}


def shell(*words, **environment):
    ran = subprocess.run(words, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise AssertionError(f"{' '.join(words)} failed with {ran.returncode}\n{ran.stdout}{ran.stderr}")
    return ran.stdout


class InstallCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="waitprobe-test-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def check(self, *program, **environment):
        """Runs a consumer, alone and traced."""
        shell(*program, **environment)
        traced = run(TOOL, "hist", "--json", "--", *program, env=environment)
        self.assertEqual(traced.process.returncode, 0, traced)
        snapshot = outcome(traced)[1]
        self.assertEqual(harness.counts_of(snapshot), WAITS, traced)
        self.assertEqual(snapshot["coverage"], {"observed": sum(WAITS.values()), "lost": 0}, traced)


    def build_consumer(self, compiler, how, source, target, *settings):
        c, cxx = COMPILERS[compiler]
        build = os.path.join(self.folder, "build")
        shell("cmake", "-S", CONSUMER, "-B", build, "-G", "Ninja", f"-DHOW={how}", f"-DSOURCE={source}", f"-DTARGET={target}", *settings,
              CC=c, CXX=cxx)
        shell("cmake", "--build", build, "--target", "consumer")
        self.check(os.path.join(build, "consumer"))


class Installed(InstallCase):
    """From a prefix that has been moved since: neither CMake's package nor pkg-config's files name the place."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="waitprobe-test-")
        cls.addClassCleanup(folder.cleanup)
        shell("cmake", "--install", BUILD, "--prefix", os.path.join(folder.name, "first"))
        cls.prefix = os.path.join(folder.name, "a prefix")
        os.rename(os.path.join(folder.name, "first"), cls.prefix)
        cls.libraries = os.path.dirname(glob.glob(f"{cls.prefix}/lib/**/libwaitprobe.so", recursive=True)[0])

    def cmake(self, compiler, source, target):
        self.build_consumer(compiler, "package", source, target, f"-DCMAKE_PREFIX_PATH={self.prefix}")

    def pkg_config(self, compiler, source, package, **environment):
        """Words and blanks: pkg-config escapes them as a shell wants them."""
        flags = shell("pkg-config", "--cflags", "--libs", package, PKG_CONFIG_PATH=f"{self.libraries}/pkgconfig").strip()
        command = COMPILERS[compiler][source.endswith("pp")] + (" -std=c++17" if source.endswith("pp") else " -std=c99")
        shell("sh", "-c", f"{command} -Wall -Wextra -Werror '{CONSUMER}/{source}' -o '{self.folder}/consumer' {flags}")
        self.check(os.path.join(self.folder, "consumer"), **environment)

    def test_says_its_version(self):
        with open(f"{SOURCE}/CMakeLists.txt", encoding="utf-8") as project:
            version = re.search(r"project\(waitprobe VERSION (\S+)", project.read()).group(1)
        for package in ("waitprobe", "waitprobe-static"):
            self.assertEqual(shell("pkg-config", "--modversion", package, PKG_CONFIG_PATH=f"{self.libraries}/pkgconfig").strip(), version)
        self.assertTrue(os.path.exists(f"{self.libraries}/libwaitprobe.so.{version}"))
        self.assertIn(f"waitprobe {version}", shell(f"{self.prefix}/bin/waitprobe", "--version"))

    def test_another_version_is_refused(self):
        with open(f"{self.folder}/CMakeLists.txt", "w", encoding="utf-8") as project:
            project.write("cmake_minimum_required(VERSION 3.25)\nproject(consumer)\nfind_package(waitprobe 0.1 CONFIG REQUIRED)\n")
        with self.assertRaisesRegex(AssertionError, "0.1"):
            shell("cmake", "-S", self.folder, "-B", f"{self.folder}/build", "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={self.prefix}")

    def test_other_languages(self):
        library = f"{self.libraries}/libwaitprobe.so.0"
        self.assertEqual(shell("python3", f"{CONSUMER}/main.py", library).strip(), "0")
        self.check("python3", f"{CONSUMER}/main.py", library)


def add_installed(compiler, source, kind):
    language = source.rpartition(".")[2] if source != "c10.cpp" else "c10"
    if kind != "c10":
        shared = kind == "shared"
        setattr(Installed, f"test_pkg_config_{language}_{kind}_{compiler}", lambda self: self.pkg_config(
            compiler, source, "waitprobe" if shared else "waitprobe-static", **({"LD_LIBRARY_PATH": self.libraries} if shared else {})))
    target = {"static": "waitprobe::waitprobe"}.get(kind, f"waitprobe::{kind}")
    setattr(Installed, f"test_find_package_{language}_{kind}_{compiler}", lambda self: self.cmake(compiler, source, target))


for a_compiler in COMPILERS:
    for a_source in ("main.c", "main.cpp"):
        for a_kind in ("static", "shared"):
            add_installed(a_compiler, a_source, a_kind)
    add_installed(a_compiler, "c10.cpp", "c10")


class FromSource(InstallCase):
    """The project as a part of another one: from a folder, and from a git repository."""

    def setUp(self):
        super().setUp()
        self.source = os.path.join(self.folder, "source")
        os.mkdir(self.source)
        for part in ("CMakeLists.txt", "bpf", "cmake", "include", "src"):
            copy = shutil.copytree if os.path.isdir(f"{SOURCE}/{part}") else shutil.copy
            copy(f"{SOURCE}/{part}", f"{self.source}/{part}")

    def build(self, compiler, how, source, target):
        self.build_consumer(compiler, how, source, target, f"-DWAITPROBE={self.source}")

    def test_subdirectory_static(self):
        self.build("gcc", "subdirectory", "main.cpp", "waitprobe::waitprobe")

    def test_subdirectory_c_shared(self):
        self.build("clang", "subdirectory", "main.c", "waitprobe::shared")

    def test_in_a_project_without_exceptions(self):
        self.build_consumer("gcc", "subdirectory", "main.cpp", "waitprobe::waitprobe", f"-DWAITPROBE={self.source}", "-DCMAKE_CXX_FLAGS=-fno-exceptions")

    def test_alone_and_not_optimised(self):
        """Whatever is inlined: a program of C needs nothing of libstdc++, and neither does the library that is preloaded."""
        build = f"{self.folder}/debug"
        shell("cmake", "-S", self.source, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug", "-DWAITPROBE_BUILD_TOOLS=OFF")
        self.assertIn("WAITPROBE_BUILD_TESTS:BOOL=OFF", shell("cmake", "-N", "-L", build))
        shell("cmake", "--build", build)
        shell("gcc", f"-I{self.source}/include", f"{CONSUMER}/main.c", f"{build}/libwaitprobe.a", "-o", f"{build}/consumer")
        self.check(f"{build}/consumer")

    def test_fetched(self):
        for words in (["init", "--quiet", "--initial-branch=main"], ["add", "."],
                      ["-c", "user.name=test", "-c", "user.email=test@example.org", "commit", "--quiet", "-m", "all"]):
            shell("git", "-C", self.source, *words)
        self.build("clang", "fetch", "main.cpp", "waitprobe::waitprobe")

    def test_alone_without_a_probe_header(self):
        """The notes of our own header are those of sys/sdt.h; and what was not built is not installed, which is said."""
        notes = {}
        for own in ("OFF", "ON"):
            build = f"{self.folder}/own-{own}"
            shell("cmake", "-S", self.source, "-B", build, "-G", "Ninja", f"-DWAITPROBE_OWN_NOTES={own}", "-DWAITPROBE_BUILD_TOOLS=OFF",
                  "-DWAITPROBE_BUILD_TESTS=OFF")
            shell("cmake", "--build", build, "--target", "waitprobe_shared")
            notes[own] = shell("readelf", "-nW", f"{build}/libwaitprobe.so").partition(".note.stapsdt")[2]
            self.assertIn("Name: wait_stop\n", notes[own])
        self.assertEqual(notes["ON"], notes["OFF"])

        prefix = f"{self.folder}/prefix"
        said = shell("cmake", "--install", f"{self.folder}/own-ON", "--prefix", prefix)
        for name in ("libwaitprobe.a", "libwaitprobe_torch.so"):
            self.assertIn(f"Not built, so not installed: {name}\n", said)
        self.build_consumer("gcc", "package", "main.cpp", "waitprobe::shared", f"-DCMAKE_PREFIX_PATH={prefix}")


class Components(InstallCase):
    def test_each_has_its_own_files(self):
        files = {}
        for component in ("runtime", "dev", "tools", "torch"):
            prefix = f"{self.folder}/{component}"
            shell("cmake", "--install", BUILD, "--prefix", prefix, "--component", component)
            files[component] = {os.path.relpath(os.path.join(at, name), prefix) for at, _, names in os.walk(prefix) for name in names}
        shell("cmake", "--install", BUILD, "--prefix", f"{self.folder}/all")
        everything = {os.path.relpath(os.path.join(at, name), f"{self.folder}/all") for at, _, names in os.walk(f"{self.folder}/all")
                      for name in names}
        self.assertEqual(sum(len(names) for names in files.values()), len(everything))
        self.assertEqual(set().union(*files.values()), everything)
        self.assertEqual({re.sub(r"\.so\.[\d.]+$", ".so.N", os.path.basename(name)) for name in files["runtime"]}, {"libwaitprobe.so.N"})
        self.assertEqual({os.path.basename(name) for name in files["torch"]}, {"libwaitprobe_torch.so"})
        self.assertTrue({"bin/waitprobe", "share/man/man1/waitprobe.1"} <= files["tools"])
        self.assertTrue({"include/waitprobe/c.h", "include/waitprobe/compat/c10/util/WaitCounter.h"} <= files["dev"])


class Exports(unittest.TestCase):
    def test_each_symbol_is_in_the_list_and_each_of_the_list_is_there(self):
        for library, versions in (("libwaitprobe.so", f"{SOURCE}/src/runtime/exports.map"), ("libwaitprobe_torch.so", f"{SOURCE}/src/torch/exports.map")):
            with open(versions, encoding="utf-8") as file:
                text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
            listed = set(re.findall(r"\w+(?=;)", text.partition("local:")[0]))
            exported = {line.split()[2].partition("@")[0] for line in shell("nm", "-D", "--defined-only", f"{BUILD}/{library}").splitlines()}
            self.assertEqual({name for name in exported if not name.startswith("WAITPROBE_")}, listed, library)

    @unittest.skipUnless(platform.machine() == "x86_64", "the description is of x86-64")
    def test_the_abi_is_that_of_the_last_release(self):
        """But for what was added. abi/write.sh writes the description."""
        with open(f"{os.path.dirname(CONSUMER)}/abi/libwaitprobe.so.0.x86_64.abi", encoding="utf-8") as file:
            released = file.read()
        self.assertEqual(self.compared(released), (0, ""))
        another = re.sub(r"(name='waitprobe_handle' size-in-bits=)'256'", r"\1'192'", released)
        status, said = self.compared(another)
        self.assertNotEqual(status, 0, "a class of another size is told")
        self.assertIn("type size changed from 192 to 256", said)

    def compared(self, description):
        with tempfile.NamedTemporaryFile("w", suffix=".abi") as file:
            file.write(description)
            file.flush()
            ran = subprocess.run(["abidiff", "--no-added-syms", "--exported-interfaces-only", file.name, f"{BUILD}/libwaitprobe.so"],
                                 capture_output=True, text=True, check=False)
        return ran.returncode, ran.stdout + ran.stderr


if __name__ == "__main__":
    unittest.main(verbosity=2)
