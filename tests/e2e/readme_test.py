# SPDX-License-Identifier: MIT
"""The commands and the build lines of the README work as they are written there."""

import os
import re
import shutil
import subprocess
import tempfile

import harness
from harness import TestCase

WAITS = 1000  # of waitprobe-workload without options, all on work.0


def commands(beginning_with):
    """The lines of the README's shell code that begin with this text, without their comments."""
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


class Links(TestCase):
    """Each file and each heading that the documents name exists."""

    @staticmethod
    def documents():
        names = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
        names += [f"docs/{name}" for name in sorted(os.listdir(os.path.join(harness.SOURCE, "docs"))) if name.endswith(".md")]
        return [os.path.join(harness.SOURCE, name) for name in names]

    @staticmethod
    def text_of(document):
        """Without blocks of code, in which a # begins no heading."""
        with open(document, encoding="utf-8") as file:
            return re.sub(r"^```.*?^```", "", file.read(), flags=re.M | re.S)

    @classmethod
    def anchors_of(cls, document):
        """As GitHub makes them of headings."""
        headings = re.findall(r"^#+ (.*)$", cls.text_of(document), re.M)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

    def test_links_lead_somewhere(self):
        for document in self.documents():
            for link in re.findall(r"\]\(([^)\s]+)\)", self.text_of(document)):
                path, _, anchor = link.partition("#")
                target = os.path.normpath(os.path.join(os.path.dirname(document), path)) if path else document
                self.assertTrue(os.path.exists(target), f"{document}: {link}")
                if anchor:
                    self.assertIn(anchor, self.anchors_of(target), f"{document}: {link}")

    def test_the_index_has_every_document(self):
        index = self.text_of(os.path.join(harness.SOURCE, "docs/README.md"))
        for document in self.documents():
            if os.path.basename(document) != "README.md":
                self.assertIn(f"({os.path.relpath(document, os.path.join(harness.SOURCE, 'docs'))})", index)


class Embedding(TestCase):
    """The library as a part of another project, in each way that the README shows."""

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

    C_PROGRAM = """
        #include <waitprobe/c.h>
        int main(void) {
          static waitprobe_handle pool = WAITPROBE_HANDLE("consumer.main");
          waitprobe_stop(waitprobe_start(&pool));
          WAITPROBE_SCOPED("consumer.scope");
          return 0;
        }
    """

    def test_plain_compilers(self):
        """The lines of the README that call g++ and gcc, with the build's own folder in the place of waitprobe/build."""
        lines = commands("g++ ") + commands("gcc ")
        self.assertEqual(len(lines), 3)
        for line in lines:
            with self.subTest(line=line), tempfile.TemporaryDirectory() as folder:
                os.mkdir(os.path.join(folder, "waitprobe"))
                os.symlink(os.path.join(harness.SOURCE, "include"), os.path.join(folder, "waitprobe/include"))
                os.symlink(os.path.abspath(harness.BUILD), os.path.join(folder, "waitprobe/build"))
                for name, program in (("server.cpp", self.PROGRAM), ("server.c", self.C_PROGRAM)):
                    with open(os.path.join(folder, name), "w", encoding="ascii") as file:
                        file.write(program)
                ran = subprocess.run(line, shell=True, cwd=folder, capture_output=True, text=True, check=False)
                self.assertEqual(ran.returncode, 0, ran.stderr)
                ran = harness.run(harness.TOOL, "hist", "--json", "--", "env", f"LD_LIBRARY_PATH={os.path.abspath(harness.BUILD)}",
                                  os.path.join(folder, "server"))
                self.assertEqual(ran.process.returncode, 0, ran)
                self.assertEqual(harness.counts_of(harness.json.loads(ran.out))["consumer.main"], 1)

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
