# SPDX-License-Identifier: MIT
"""What the README shows is run as it stands there."""

import os
import re
import shutil
import subprocess
import tempfile

import harness
from harness import TestCase

WAITS = 1000  # of waitprobe-workload without options, all on work.0


def commands(beginning_with):
    """The lines of the README's code that begin so, without their comments."""
    with open(os.path.join(harness.SOURCE, "README.md"), encoding="utf-8") as readme:
        code = "\n".join(re.findall(r"^```sh\n(.*?)^```", readme.read(), re.M | re.S))
    return [re.sub(r"\s{2,}# .*", "", line) for line in code.splitlines() if line.startswith(beginning_with)]


class Readme(TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        shutil.copy(harness.built("waitprobe-workload"), os.path.join(self.folder.name, "server"))

    def shell(self, line):
        environment = {**os.environ, "HOME": self.folder.name, "PATH": f"{os.path.abspath(harness.BUILD)}:{os.environ['PATH']}"}
        ran = subprocess.run(line, shell=True, cwd=self.folder.name, env=environment, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(ran.returncode, 0, ran)
        return ran.stdout

    def test_the_bpftrace_one_liner_counts_every_wait(self):
        (line,) = commands("bpftrace -e")
        self.assertIn(f"@count[work.0]: {WAITS}\n", self.shell(line))

    def test_the_perf_session_records_every_wait(self):
        record, show = commands("perf ")
        define, remove = commands("waitprobe tracefs")
        self.shell(define)
        try:
            self.shell(record)
        finally:
            self.shell(remove)
        self.assertEqual(len(re.findall(r'waitprobe:wait_stop: .* key="work.0" .* duration_ns=\d+', self.shell(show))), WAITS)

    def test_hist_starts_a_program_and_misses_nothing(self):
        (line,) = commands("waitprobe hist -- ./server")
        self.assertRegex(self.shell(line.split(" --port")[0]), rf"work\.0 +{WAITS} ")


class Embedding(TestCase):
    """The library as a part of somebody else's project, both ways that the README shows."""

    PROGRAM = """
        #include <waitprobe/wait_counter.h>
        int main() {
          STATIC_SCOPED_WAIT_COUNTER(consumer.main);
          waitprobe::WaitCounterHandle shard("shard.7");
          auto guard = shard.start();
          guard.stop();
          return WITH_WAIT_COUNTER(consumer.value, 23) - 23;
        }
    """

    def build_with(self, lines):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "main.cpp"), "w", encoding="ascii") as file:
                file.write(self.PROGRAM)
            with open(os.path.join(folder, "CMakeLists.txt"), "w", encoding="ascii") as file:
                file.write("cmake_minimum_required(VERSION 3.25)\nproject(consumer CXX)\nset(CMAKE_CXX_STANDARD 17)\n"
                           f"{lines}\nadd_executable(server main.cpp)\ntarget_link_libraries(server PRIVATE waitprobe::waitprobe)\n")
            for command in (["cmake", "-S", ".", "-B", "b", "-G", "Ninja"], ["cmake", "--build", "b"]):
                ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
                self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
            ran = harness.run(harness.TOOL, "hist", "--json", "--", os.path.join(folder, "b/server"))
            self.assertEqual(ran.process.returncode, 0, ran)
            counts = harness.counts_of(harness.json.loads(ran.out))
            self.assertEqual(counts, {"consumer.main": 1, "shard.7": 1, "consumer.value": 1})

    def test_add_subdirectory(self):
        self.build_with(f"add_subdirectory({harness.SOURCE} waitprobe EXCLUDE_FROM_ALL)")

    def test_fetch_content(self):
        self.build_with(f"include(FetchContent)\nFetchContent_Declare(waitprobe SOURCE_DIR {harness.SOURCE})\n"
                        "FetchContent_MakeAvailable(waitprobe)")


if __name__ == "__main__":
    harness.main()
