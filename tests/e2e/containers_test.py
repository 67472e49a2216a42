# SPDX-License-Identifier: MIT
"""Targets in other namespaces, and programs whose file is gone, replaced, or there twice."""

import json
import os
import re
import shutil
import subprocess
import tempfile

import harness
from harness import Hist, TestCase, TOOL, Workload, built, counts_of, run, wait_until
from slow_test import Slow, counts

NAMESPACES = (*harness.SEEING_ALL_OF_PROC, "unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child")
WORK = ("--threads", 3, "--waits", 1009, "--keys", 4)


class Container(Workload):
    """The workload as the first process of a container: it sees only a root of its own, and its file is on a tmpfs in there."""

    def __init__(self, root, *options, env=None):
        script = (f"mount -t tmpfs tmpfs {root}/app && cp {root}/server {root}/app/ && "
                  f'mount -t proc proc {root}/proc && exec chroot {root} /app/server "$@"')
        super().__init__(*options, before=(*NAMESPACES, "sh", "-c", script), program="sh", env=env)
        with open(f"/proc/{self.pid}/task/{self.pid}/children", encoding="ascii") as children:
            self.inner_pid = int(children.read())


def make_root(folder):
    for name in ("app", "proc", "tmp"):
        os.mkdir(os.path.join(folder, name))
    shutil.copy(built("waitprobe-workload"), os.path.join(folder, "server"))
    copy_libraries(folder, built("waitprobe-workload"))


def copy_libraries(folder, program):
    """What a program needs to be started with this root."""
    libraries = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    for library in re.findall(r"(/\S+)", libraries):
        there = folder + library
        os.makedirs(os.path.dirname(there), exist_ok=True)
        shutil.copy(library, there)


class Folder(TestCase):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name


class Containers(Folder):
    def setUp(self):
        super().setUp()
        make_root(self.folder)

    def container(self, *options, **more):
        return self.started(Container(self.folder, *options, **more))

    def test_list_shows_it_as_the_host_numbers_it(self):
        container = self.container("--hold-open", env={"WAITPROBE_TRACK": "1"})
        self.assertFalse(os.path.exists(f"{self.folder}/app/server"), "the host does not see its file")
        for options in (("-p", container.inner_pid), ()):
            listed = json.loads(run(TOOL, "list", "--json", *options).out)
            (carrier,) = [carrier for carrier in listed["carriers"] if carrier["pid"] == container.inner_pid]
            self.assertEqual((carrier["comm"], carrier["keys"]), ("server", ["work.0"]))
            self.assertTrue(carrier["file"].endswith("/app/server"), carrier)

    def test_hist_counts_every_wait(self):
        for name in ("-p", "-a", "-f"):
            with self.subTest(target=name):
                container = self.container(*WORK)
                target = {"-p": ("-p", container.inner_pid), "-a": ("-a",), "-f": ("-f", f"/proc/{container.inner_pid}/root/app/server")}[name]
                tool = self.started(Hist(*target))
                container.go()
                self.assertEqual(container.wait(), 0, container)
                wait_until(lambda: not os.path.exists(f"/proc/{container.inner_pid}"), "it has gone")
                tool.stop()
                self.assertEqual(tool.counts(container.inner_pid), container.truth())
                self.assert_all_seen(tool.last())

    def test_hist_counts_threads_that_had_waited_before_it_came(self):
        container = self.container(*WORK, "--linger")
        first = self.started(Hist("-p", container.inner_pid))
        container.go()
        wait_until(lambda: container.out.endswith("\n"), "the work is done")
        first.stop()
        self.assertEqual(first.counts(), container.truth())

    def test_hist_starts_one(self):
        script = f"mount -t tmpfs tmpfs {self.folder}/app && cp {self.folder}/server {self.folder}/app/ && exec chroot {self.folder} /app/server --waits 1009"
        ran = run(TOOL, "hist", "--json", "--", *NAMESPACES, "sh", "-c", script)
        self.assertEqual(ran.process.returncode, 0, ran)
        (snapshot,) = [json.loads(line) for line in ran.out.splitlines() if line.startswith('{"waitprobe"')]
        self.assertEqual(counts_of(snapshot), {"work.0": 1009})
        self.assertNotIn("attached_late", snapshot)

    def test_slow_tells_of_each_wait_with_its_stack(self):
        container = self.container(*WORK)
        tool = self.started(Slow("--min", "0", "--stack", "-p", container.inner_pid))
        container.go()
        self.assertEqual(container.wait(), 0, container)
        self.assertEqual(tool.wait(), 0, tool)
        self.assertEqual(tool.summary()["coverage"], {"observed": len(tool.lines()), "lost": tool.summary()["losses"]["ring_full"]})
        self.assertEqual(sum(tool.summary()["coverage"].values()), sum(container.truth().values()))
        self.assertEqual({line["pid"] for line in tool.lines()}, {container.inner_pid})
        self.assertFalse({line["tid"] for line in tool.lines()} & {1, 2, 3, 4}, "numbers of the host")
        for line in tool.lines()[:3]:
            self.assertTrue(any("(work.cpp:" in frame for frame in line["stack"]), line)

    def test_stuck_tells_of_open_waits(self):
        container = self.container("--hold-open", env={"WAITPROBE_TRACK": "1"})
        ran = run(TOOL, "stuck", "--json", "--older", "0", "-p", container.inner_pid)
        (wait,) = json.loads(ran.out)["open"]
        self.assertEqual((wait["pid"], wait["tid"], wait["key"], wait["syscall"]), (container.inner_pid, container.inner_pid, "work.0", "read"))

    def test_top_without_a_terminal(self):
        container = self.container(*WORK)
        tool = self.started(harness.Program([TOOL, "top", "--json", "-i", "0.05", "-p", container.inner_pid]))
        wait_until(lambda: tool.out.count("\n") >= 2, "it is attached")
        container.go()
        self.assertEqual(container.wait(), 0, container)
        self.assertEqual(tool.wait(), 0, tool)
        total = {}
        for line in tool.out.splitlines():
            for key, count in counts_of(json.loads(line), container.inner_pid).items():
                total[key] = total.get(key, 0) + count
        self.assertEqual(total, container.truth())


class Networks(TestCase):
    def test_a_command_in_another_one_is_attached_late_and_that_is_said(self):
        ran = run(TOOL, "hist", "--json", "--", "unshare", "--net", built("waitprobe-workload"), "--loop", 3, "--pattern", "sleep", "--hold-ns", 1_000_000)
        self.assertEqual(ran.process.returncode, 4, ran)
        (snapshot,) = [json.loads(line) for line in ran.out.splitlines() if line.startswith('{"waitprobe"')]
        (late,) = snapshot["attached_late"]
        slow = run(TOOL, "slow", "--json", "--min", "1h", "--", "unshare", "--net", built("waitprobe-workload"), "--loop", 2, "--pattern", "sleep",
                   "--hold-ns", 1_000_000)
        self.assertTrue(json.loads(slow.out.splitlines()[-1])["attached_late"][0]["file"].endswith("waitprobe-workload"), slow)
        self.assertTrue(late["file"].endswith("waitprobe-workload"))
        truth = harness.last_truth("\n".join(line for line in ran.out.splitlines() if line.startswith('{"keys"')))
        self.assertTrue(0 < counts_of(snapshot)["work.0"] <= truth["work.0"])


class Files(Folder):
    def setUp(self):
        super().setUp()
        self.program = os.path.join(self.folder, "server")
        shutil.copy(built("waitprobe-workload"), self.program)

    def replace(self):
        shutil.copy("/bin/true", self.program + ".new")
        os.rename(self.program + ".new", self.program)

    def rebuild(self):
        shutil.copy(built("waitprobe-workload"), self.program + ".new")
        os.rename(self.program + ".new", self.program)

    def test_gone_or_replaced_since_it_started(self):
        for harm in (lambda: os.unlink(self.program), self.replace, self.rebuild):
            for tool_of in (lambda pid: Hist("-p", pid), lambda pid: Hist("-a"), lambda pid: Slow("--min", "0", "-p", pid)):
                self.rebuild()
                workload = self.started(Workload(*WORK, program=self.program))
                harm()
                self.assertIn("work.3", run(TOOL, "list", "-p", workload.pid).out)
                tool = self.started(tool_of(workload.pid))
                workload.go()
                self.assertEqual(workload.wait(), 0)
                tool.signal(2)
                self.assertEqual(tool.wait(), 0, tool)
                counted = tool.counts(workload.pid) if isinstance(tool, Hist) else counts(tool.lines())
                self.assertEqual(counted, workload.truth())


class Overlays(Folder):
    """Two mounts of one file: two files to whoever looks, one to the kernel's probes."""

    def setUp(self):
        super().setUp()
        lower = os.path.join(self.folder, "lower")
        os.mkdir(lower)
        shutil.copy(built("waitprobe-workload"), os.path.join(lower, "server"))
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", self.make("upper")], check=True)
        self.addCleanup(subprocess.run, ["umount", self.folder + "/upper"], check=True)
        self.programs = []
        for name in ("one", "two"):
            upper, work, merged = self.make(f"upper/{name}"), self.make(f"upper/{name}.work"), self.make(name)
            subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"lowerdir={lower},upperdir={upper},workdir={work}", merged], check=True)
            self.addCleanup(subprocess.run, ["umount", merged], check=True)
            self.programs.append(os.path.join(merged, "server"))

    def make(self, name):
        path = os.path.join(self.folder, name)
        os.mkdir(path)
        return path

    def both(self, tool_of, work=WORK):
        workloads = [self.started(Workload(*work, program=program)) for program in self.programs]
        tool = self.started(tool_of(workloads))
        for workload in workloads:
            workload.go()
        for workload in workloads:
            self.assertEqual(workload.wait(), 0)
        return workloads, tool

    def test_hist_counts_each_wait_once(self):
        workloads, tool = self.both(lambda workloads: Hist("-p", workloads[0].pid, "-p", workloads[1].pid))
        self.assertEqual(tool.wait(), 0, tool)
        for workload in workloads:
            self.assertEqual(tool.counts(workload.pid), workload.truth())
        self.assert_all_seen(tool.last())

    def test_slow_tells_of_each_wait_once(self):
        workloads, tool = self.both(lambda workloads: Slow("--min", "0", "-p", workloads[0].pid, "-p", workloads[1].pid),
                                    ("--threads", 3, "--waits", 199))  # which the ring has room for, twice
        self.assertEqual(tool.wait(), 0, tool)
        for workload in workloads:
            self.assertEqual(counts([line for line in tool.lines() if line["pid"] == workload.pid]), workload.truth())


if __name__ == "__main__":
    harness.main()
