# SPDX-License-Identifier: MIT
"""Stacks of threads, of programs built in every way."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile

import harness
from harness import TOOL, TestCase, run, wait_until
from slow_test import Slow

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "stacks.cpp")


def line_of(function):
    with open(SOURCE, encoding="utf-8") as source:
        return next(number for number, line in enumerate(source, 1) if line.rstrip().endswith(f"// line of {function}"))


def with_line(function, name):
    return f"{name} (stacks.cpp:{line_of(function)})"


INLINED = with_line("inlined", "deep::(anonymous namespace)::inlined")
ONLY_HERE = with_line("only_here", "deep::(anonymous namespace)::only_here")
CALLED_BACK = with_line("called_back", "deep::called_back(int)")
THROUGH = with_line("through", "deep::through(void (*)(int), int)")
MAIN = with_line("main", "main")


class Stacks(TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def compile(self, name, *options):
        ran = run("g++", "-std=c++20", "-O2", "-fomit-frame-pointer", "-I", os.path.join(harness.SOURCE, "include"), SOURCE, "-o", self.path(name),
                  *options)
        self.assertEqual(ran.process.returncode, 0, ran)
        return self.path(name)

    def compile_program(self, name, *options):
        return self.compile(name, *options, harness.built("libwaitprobe.a"))

    def compile_parts(self, name, *options):
        library = self.compile(f"lib{name}.so", "-shared", "-fPIC", "-DPART=2", *options)
        return self.compile_program(name, "-DPART=1", *options, library, f"-Wl,-rpath,{self.folder.name}"), library

    def stack_of(self, program):
        ran = run(TOOL, "slow", "--min", "1ms", "--stack", "--json", "--", program)
        self.assertEqual(ran.process.returncode, 0, ran)
        (line,) = [json.loads(line) for line in ran.out.splitlines() if line.startswith('{"time_unix_ns"')]
        self.assertEqual(line["key"], "deep.wait")
        return line["stack"]

    def check_lines(self, stack):
        self.assertEqual(stack[:5], [INLINED, ONLY_HERE, CALLED_BACK, THROUGH, MAIN])
        self.assertTrue(any("_start" in frame for frame in stack[5:]), stack)

    def test_of_a_position_independent_program(self):
        self.check_lines(self.stack_of(self.compile_program("pie", "-g")))

    def test_without_the_index_of_addresses_that_clang_leaves_out(self):
        program = self.compile_program("unindexed", "-g")
        self.assertIn(".debug_aranges", run("readelf", "-SW", program).out)
        subprocess.run(["objcopy", "--remove-section", ".debug_aranges", program], check=True)
        self.check_lines(self.stack_of(program))

    def test_of_one_that_is_not(self):
        self.check_lines(self.stack_of(self.compile_program("fixed", "-g", "-no-pie", "-fno-pie")))

    def test_of_a_static_one(self):
        self.check_lines(self.stack_of(self.compile_program("static", "-g", "-static")))

    def test_of_debug_information_in_an_older_form(self):
        self.check_lines(self.stack_of(self.compile_program("dwarf4", "-gdwarf-4")))

    def test_through_a_shared_object(self):
        program, _ = self.compile_parts("parts", "-g")
        self.check_lines(self.stack_of(program))

    def test_without_debug_information_by_symbols(self):
        stack = self.stack_of(self.compile_program("symbols", "-g0"))
        self.assertEqual(stack[:4], ["deep::(anonymous namespace)::only_here(int) (symbols)", "deep::called_back(int) (symbols)",
                                     "deep::through(void (*)(int), int) (symbols)", "main (symbols)"])

    def test_through_a_stripped_shared_object_by_what_it_exports(self):
        program, library = self.compile_parts("half", "-g")
        subprocess.run(["strip", library], check=True)
        self.assertEqual(self.stack_of(program)[:5],
                         [INLINED, ONLY_HERE, CALLED_BACK, "deep::through(void (*)(int), int) (libhalf.so)", MAIN])

    def test_of_a_stripped_program_by_offsets_that_addr2line_takes(self):
        program = self.compile_program("stripped", "-g")
        shutil.copy(program, self.path("unstripped"))
        subprocess.run(["strip", program], check=True)
        offsets = [re.fullmatch(r"stripped\+(0x[0-9a-f]+)", frame).group(1) for frame in self.stack_of(program) if frame.startswith("stripped+")]
        told = subprocess.run(["addr2line", "-f", "-C", "-s", "-e", self.path("unstripped"), *offsets], capture_output=True, text=True, check=True)
        functions = told.stdout.splitlines()[::2]
        wanted = ["deep::through(void (*)(int), int)", "main", "_start"]
        self.assertEqual([name for name in functions if name in wanted], wanted, told)

    def test_with_debug_information_in_a_file_of_its_own(self):
        program = self.compile_program("apart", "-g")
        for words in (["objcopy", "--only-keep-debug", program, program + ".debug"], ["strip", program],
                      ["objcopy", f"--add-gnu-debuglink={program}.debug", program]):
            subprocess.run(words, check=True, cwd=self.folder.name)
        self.check_lines(self.stack_of(program))

    def test_of_a_process_that_has_ended_since(self):
        program = self.compile_program("ended", "-g")
        process = self.started(harness.Program([program, 400]))
        tool = self.started(Slow("--min", "1ms", "--stack", "-p", process.pid))
        wait_until(tool.lines, "it tells of the first")
        tool.signal(signal.SIGSTOP)
        before = len(tool.lines())
        self.assertEqual(process.wait(), 0)
        tool.signal(signal.SIGCONT)
        self.assertEqual(tool.wait(), 0, tool)
        self.assertGreater(len(tool.lines()), before)
        for line in tool.lines():
            self.check_lines(line["stack"])

    def test_of_a_program_that_was_deleted_or_replaced_since_it_started(self):
        for name, harm in (("deleted", os.unlink), ("replaced", self.replace)):
            with self.subTest(name=name):
                program = self.compile_program(name, "-g")
                process = self.started(harness.Program([program, 1_000_000]))
                wait_until(lambda: harness.run(TOOL, "list", "-p", process.pid).process.returncode == 0, "it runs")
                harm(program)
                tool = self.started(Slow("--min", "1ms", "--stack", "-n", 1, "-p", process.pid))
                self.assertEqual(tool.wait(), 0, tool)
                process.kill()
                self.check_lines(tool.lines()[0]["stack"])

    @staticmethod
    def replace(path):
        shutil.copy("/bin/true", path + ".new")
        os.rename(path + ".new", path)

    def test_of_a_program_with_broken_debug_information(self):
        program = self.compile_program("broken", "-g")
        for section in (".debug_info", ".debug_abbrev", ".debug_line", ".debug_str", ".symtab"):
            with self.subTest(section=section):
                found = re.search(rf"\s{re.escape(section)}\s+\S+\s+\S+\s+([0-9a-f]+)\s+([0-9a-f]+)",
                                  subprocess.run(["readelf", "-SW", program], capture_output=True, text=True, check=True).stdout)
                shutil.copy(program, self.path("garbage"))
                with open(self.path("garbage"), "r+b") as file:
                    file.seek(int(found.group(1), 16))
                    file.write(os.urandom(int(found.group(2), 16)))
                self.assertGreaterEqual(len(self.stack_of(self.path("garbage"))), 3)


if __name__ == "__main__":
    harness.main()
