# SPDX-License-Identifier: MIT
"""Which tracer sees which program: the table in docs/one-liners.md, cell by cell."""

import os
import re
import shutil
import subprocess
import tempfile

import harness
import tracers
from containers_test import copy_libraries
from harness import TOOL, Hist, Program, TestCase, run, wait_until
from tracers import Tracer, append_events

WAITS = {"ways.one": 300, "ways.two": 300}
DOCUMENT = os.path.join(harness.SOURCE, "docs/one-liners.md")
PATH = {"PATH": f"{os.environ['PATH']}:/usr/sbin"}


def documented():
    """{tracer: {program: cell}}"""
    with open(DOCUMENT, encoding="utf-8") as document:
        lines = re.search(r"^\| tracer \|.*\n((?:\|.*\n)+)", document.read(), re.M).group(0).splitlines()
    rows = [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: dict(zip(rows[0][1:], row[1:])) for row in rows[2:]}


class Target:
    """A program of one kind: how it is started, and the file that carries the probes."""

    def __init__(self, words, file):
        self.words, self.file = words, file


def counted(told):
    return {key: told.count(key) for key in set(told)}


class Tracers(TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.environment = {**PATH, "HOME": cls.folder.name}
        os.mkdir(cls.path("headers"))
        cls.environment.update(tracers.bcc_environment(cls.path("headers")))
        cls.addClassCleanup(lambda: subprocess.run(["umount", cls.path("headers")], check=True))
        cls.compile("static", "-static", "-no-pie", harness.built("libwaitprobe.a"))
        pie = cls.compile("pie", "-pie", "-fPIE", harness.built("libwaitprobe.a"))
        shutil.copy(harness.built("libwaitprobe.so"), cls.path("libwaitprobe.so.0"))
        shared = cls.compile("shared", cls.path("libwaitprobe.so.0"), f"-Wl,-rpath,{cls.folder.name}")
        plugin = cls.compile("plugin.so", "-DPART=2", "-shared", "-fPIC", harness.built("libwaitprobe.a"))
        opener = cls.compile("opener", "-DPART=1")
        stripped = cls.path("stripped")
        subprocess.run(["strip", "--strip-all", "-o", stripped, pie], check=True)
        cls.targets = {"static": Target([cls.path("static")], cls.path("static")), "PIE": Target([pie], pie),
                       "shared library": Target([shared], cls.path("libwaitprobe.so.0")), "dlopened": Target([opener, plugin], plugin),
                       "stripped": Target([stripped], stripped), "started before": Target([pie], pie), "started after": Target([pie], pie),
                       "in a container": Target([pie], pie)}

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder.name, name)

    @classmethod
    def compile(cls, name, *options):
        subprocess.run(["g++", "-std=c++20", "-O2", "-I", os.path.join(harness.SOURCE, "include"),
                        os.path.join(harness.SOURCE, "tests/e2e/many_ways.cpp"), "-o", cls.path(name), *options], check=True)
        return cls.path(name)

    # Programs

    def start(self, words):
        program = self.started(Program(words, stdin=subprocess.PIPE, bufsize=0))
        wait_until(lambda: "ready" in program.out or program.process.poll() is not None, f"it stands ready: {program}")
        return program

    def start_in_container(self, target):
        """In a root of its own, on a tmpfs that nobody outside has mounted. Returns the program, its pid outside and the file by a path outside."""
        root = tempfile.mkdtemp(dir=self.folder.name)
        copy_libraries(root, target.words[0])
        os.mkdir(f"{root}/app")
        script = f"mount -t tmpfs tmpfs {root}/app && cp {target.words[0]} {root}/app/server && exec chroot {root} /app/server"
        program = self.start(["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script])
        with open(f"/proc/{program.pid}/task/{program.pid}/children", encoding="ascii") as children:
            pid = int(children.read())
        return program, pid, f"/proc/{pid}/root/app/server"

    def finish(self, program):
        program.process.stdin.write(b"go")
        wait_until(lambda: "done" in program.out or program.process.poll() is not None, f"it has waited: {program}")

    # Tracers: attach(pid, file) returns what tells the counts by key, once all waits are over.

    def attach_bpftrace(self, *words, carrier):
        tracer = self.started(Tracer(["bpftrace", *words], carrier))

        def count():
            tracer.stop()
            return tracer.map("count")
        return count

    STOPS = "usdt:{}:waitprobe:wait_stop {{ @count[str(arg0)] = count(); }}"

    def bpftrace_pid(self, pid, _):
        return self.attach_bpftrace("-p", str(pid), "-e", self.STOPS.format("*"), carrier=pid)

    def bpftrace_path(self, pid, file):
        return self.attach_bpftrace("-e", self.STOPS.format(file), carrier=pid)

    def perf_record(self, event, script):
        data = self.path("perf.data")
        recorder = self.started(Tracer(["perf", "record", "-q", "-a", "-e", event, "-o", data], env=self.environment))

        def count():
            recorder.stop()
            return script(subprocess.run(["perf", "script", "-i", data], capture_output=True, text=True, check=True).stdout)
        return count

    def perf(self, _, file):
        """By perf's own means, which show the key as a pointer: pointers are counted."""
        environment = {**self.environment, "PERF_BUILDID_DIR": tempfile.mkdtemp(dir=self.folder.name)}
        added = run("perf", "buildid-cache", "--add", file, env=environment)
        probed = run("perf", "probe", "sdt_waitprobe:wait_stop", env=environment)
        if added.process.returncode != 0 or probed.process.returncode != 0:
            return lambda: f"it does not attach: {added} {probed}"
        self.addCleanup(lambda: run("perf", "probe", "-d", "sdt_waitprobe:wait_stop", env=environment))

        def by_pointer(script):
            pointers = counted(re.findall(r"wait_stop: .* arg1=(\d+) ", script))
            return dict(zip(WAITS, pointers.values())) if len(pointers) == len(WAITS) else pointers
        return self.perf_record("sdt_waitprobe:wait_stop", by_pointer)

    def tracefs(self, _, file):
        defined = run(TOOL, "tracefs", "-f", file)
        self.assertEqual(defined.process.returncode, 0, defined)
        append_events(defined.out)
        self.addCleanup(lambda: append_events("".join(f"-:waitprobe/{name}\n" for name in set(re.findall(r"p:waitprobe/(\S+)", defined.out)))))
        instance = tempfile.mkdtemp(dir="/sys/kernel/tracing/instances", prefix="waitprobe-test-")
        self.addCleanup(lambda: os.rmdir(instance))
        with open(f"{instance}/events/waitprobe/wait_stop/enable", "w", encoding="ascii") as switch:
            switch.write("1")

        def count():
            with open(f"{instance}/trace", encoding="utf-8") as trace:
                return counted(re.findall(r'wait_stop: .* key="(\S+)"', trace.read()))
        return count

    def bcc(self, pid, file):
        tracer = self.started(Tracer(["argdist-bpfcc", "-p", str(pid), "-i", "2", "-n", "1", "-C", f"u:{file}:wait_stop():char*:arg1#key"],
                                     pid, env=self.environment))

        def count():
            tracer.wait()
            tracers.skip_broken_argdist(tracer)
            return tracer.argdist()
        return count

    def hist(self, pid, file):
        tool = self.started(Hist(*(("-p", pid) if pid else ("-f", file))))

        def count():
            tool.stop()
            return tool.counts()
        return count

    TRACERS = {"bpftrace -p": bpftrace_pid, "bpftrace, a path": bpftrace_path, "bpftrace -c": None, "perf": perf, "tracefs": tracefs, "bcc -p": bcc,
               "waitprobe": hist}
    # What there is nothing to try of: to start what runs already, or to name by its pid what does not run yet.
    SENSELESS = {("bpftrace -c", "started before"), ("bpftrace -c", "in a container"), ("bpftrace -p", "started after"), ("bcc -p", "started after")}

    def seen(self, tracer, kind):
        target = self.targets[kind]
        if tracer == "bpftrace -c":
            out = self.started(Tracer(["bpftrace", "-c", " ".join([*target.words, "now"]), "-e", self.STOPS.format(target.file)]))
            out.wait()
            return out.map("count")
        attach = self.TRACERS[tracer]
        if kind == "started after":
            count = attach(self, None, target.file)
            program = self.start(target.words)
        elif kind == "in a container":
            program, pid, file = self.start_in_container(target)
            count = attach(self, pid, file)
        else:
            program = self.start(target.words)
            count = attach(self, program.pid, target.file)
        self.finish(program)
        told = count()
        program.process.stdin.close()
        return told

    def check(self, tracer):
        row = documented()[tracer]
        self.assertEqual(set(row), set(self.targets))
        for kind, cell in row.items():
            with self.subTest(f"{tracer}: {kind}"):
                if (tracer, kind) in self.SENSELESS:
                    self.assertRegex(cell, r"^-", "nothing to try")
                    continue
                self.assertRegex(cell, r"^(yes|no)\b")
                try:
                    seen = self.seen(tracer, kind)
                finally:
                    self.doCleanups()
                    for program in self._programs:
                        program.kill()
                self.assertEqual(seen == WAITS, cell.startswith("yes"), f"{seen}\n{''.join(str(program) for program in self._programs)}")
            self._programs.clear()

    def test_the_table_has_a_row_for_each_tracer(self):
        self.assertEqual(set(documented()), set(self.TRACERS))

    def test_bpftrace_of_a_process(self):
        self.check("bpftrace -p")

    def test_bpftrace_of_a_path(self):
        self.check("bpftrace, a path")

    def test_bpftrace_of_a_command(self):
        self.check("bpftrace -c")

    def test_perf(self):
        self.check("perf")

    def test_tracefs(self):
        self.check("tracefs")

    def test_bcc(self):
        self.check("bcc -p")

    def test_waitprobe(self):
        self.check("waitprobe")


if __name__ == "__main__":
    harness.main()
