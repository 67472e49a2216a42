# SPDX-License-Identifier: MIT
"""`waitprobe hist --by-env NAME`: processes together by a variable of their environments."""

import os
import subprocess
import tempfile
import time

import harness
from harness import Hist, Program, TestCase, TOOL, Workload, built, run

LIBRARY = os.path.abspath(built("libwaitprobe_torch.so"))
HOST = os.path.abspath(built("waitprobe-torch-host"))


def host(*options, **environment):
    return Workload(*options, program=HOST, env={"LD_PRELOAD": LIBRARY, **environment})


def groups_of(snapshot, key):
    """Of each group, the counts of its processes by pid."""
    groups = {}
    for series in snapshot["series"]:
        if series["key"] == key:
            groups.setdefault(series.get("group"), {})[series["pid"]] = series["count"]
    return groups


def spread_of(snapshot, key):
    for spread in snapshot["spread"]:
        if spread["key"] == key:
            return spread["least"]["group"], spread["most"]["group"]
    return None


class Groups(TestCase):
    def test_by_what_processes_were_started_with_and_have_set_since(self):
        early = self.started(host("--linger", "300", RANK="0"))
        late = self.started(host("--rank", "1", "--late", "300", "--linger", "300"))
        changed = self.started(host("--rank", "2", "--linger", "300", RANK="nought"))
        none = self.started(host())
        tool = self.started(Hist("--by-env", "RANK", "-f", LIBRARY))
        for program in (early, late, changed, none):
            program.go()
        for program in (early, late, changed, none):
            self.assertEqual(program.wait(), 0)
        tool.stop()
        snapshot = tool.last()
        self.assertEqual(snapshot["group_by"], "RANK")
        self.assertEqual(groups_of(snapshot, "host.meet"),
                         {"0": {early.pid: 5}, "1": {late.pid: 5}, "2": {changed.pid: 5}, None: {none.pid: 5}})
        self.assertEqual(spread_of(snapshot, "host.meet")[1], "1")
        self.assertEqual(tool.counts(early.pid), {k: n for k, n in early.truth().items() if k not in ("host.in_child", "host.of_child")})
        self.assert_all_seen(snapshot)

    def test_children_belong_to_the_rank_that_has_forked_them(self):
        command = f"RANK=0 {HOST} >/dev/null & RANK=1 {HOST} >/dev/null & wait"
        tool = self.started(Hist("--by-env", "RANK", "--", TOOL, "run", "--torch", "--", "sh", "-c", command))
        self.assertEqual(tool.wait(), 0)
        for key, count in (("host.in_child", 1000), ("host.of_child", 10), ("host.plain", 20000)):
            groups = groups_of(tool.last(), key)
            self.assertEqual({group: sum(counts.values()) for group, counts in groups.items() if group is not None} |
                             {group: 0 for group in groups if group is None}, {"0": count, "1": count}, key)

    def test_table_has_a_row_for_each_group_and_what_lies_between(self):
        command = f"RANK=0 {HOST} >/dev/null & RANK=0 {HOST} >/dev/null & RANK=1 {HOST} --rank 1 >/dev/null & wait"
        tool = self.started(Hist("--by-env", "RANK", "-k", "host.meet", "--", TOOL, "run", "--torch", "--", "sh", "-c", command,
                                 json_output=False))
        self.assertEqual(tool.wait(), 0)
        rows = [line.split() for line in tool.out.splitlines()]
        self.assertEqual(rows[0][:3], ["key", "RANK", "count"])
        self.assertEqual(rows[1][:3], ["host.meet", "0", "10"])
        self.assertEqual(rows[2][:2], ["1", "5"])
        (spread,) = [row for row in rows if row[:1] == ["host.meet"] and len(row) == 6]
        self.assertEqual((spread[2], spread[4]), ("0", "1"), tool.out)

    def test_each_interval_has_its_own(self):
        program = self.started(host("--linger", "1500", RANK="3"))
        tool = self.started(Hist("--by-env", "RANK", "-i", "0.2", "-p", program.pid))
        program.go()
        program.wait()
        tool.wait()
        busy = [snapshot for snapshot in tool.snapshots() if snapshot["series"]]
        self.assertTrue(busy)
        self.assertEqual({series["group"] for snapshot in busy for series in snapshot["series"]}, {"3"})

    def test_nobody_has_it(self):
        tool = self.started(Hist("--by-env", "NOBODY_HAS_IT", "--", TOOL, "run", "--torch", "--", HOST, json_output=False))
        tool.wait()
        self.assertIn("none of the processes has NOBODY_HAS_IT in its environment", tool.out)

    def test_wrong_names(self):
        for name in ("", "RANK=1"):
            refused = self.started(Program([TOOL, "hist", "--by-env", name, "-a"]))
            self.assertEqual(refused.wait(), 2)
            self.assertIn("takes the name of an environment variable", refused.err)


class Environments(TestCase):
    """Programs that keep their environment elsewhere than in a shared libc."""

    SOURCE = """
        #include <stdlib.h>
        #include <unistd.h>
        #include <waitprobe/wait_counter.h>
        int main(int argc, char** argv) {
          if (argc > 2) setenv("RANK", argv[2], 1);
          if (argc > 3) environ = nullptr;
          for (int i = 0; i < atoi(argv[1]); i++) {
            STATIC_SCOPED_WAIT_COUNTER(envs.wait);
            usleep(1000);
          }
        }"""

    def test_static_copied_and_gone(self):
        with tempfile.TemporaryDirectory() as folder:
            source = os.path.join(folder, "envs.cpp")
            with open(source, "w", encoding="ascii") as out:
                out.write(self.SOURCE)
            for kind in (["-static"], ["-no-pie"], ["-pie", "-s"]):
                program = os.path.join(folder, "envs" + "".join(kind))
                subprocess.run(["g++", "-std=c++20", "-O1", *(["-fPIE"] if "pie" in kind[0] else []), *kind, "-I",
                                os.path.join(harness.SOURCE, "include"), source, "-o", program, built("libwaitprobe.a")], check=True)
                for words, group in ((["300"], "9"), (["300", "5"], "5"), (["300", "5", "gone"], "9")):
                    with self.subTest(kind=kind, words=words):
                        tool = self.started(Hist("--by-env", "RANK", "--", program, *words, env={"RANK": "9"}))
                        self.assertEqual(tool.wait(), 0)
                        self.assertEqual([series["group"] for series in tool.last()["series"]], [group])

    def test_values_of_any_bytes(self):
        with tempfile.TemporaryDirectory() as folder:
            for value, group in ((b"", ""), (b"a=b", "a=b"), (b"\x1b[31m\xff", "\x1b[31m\\xff"), (b"x" * 1000, "x" * 256)):
                tool = self.started(Hist("--by-env", "ODD", "--", TOOL, "run", "--torch", "--", HOST, env={"ODD": value}))
                self.assertEqual(tool.wait(), 0)
                self.assertEqual({series["group"] for series in tool.last()["series"]}, {group})
                self.assertNotIn("\x1b", tool.out)


if __name__ == "__main__":
    harness.main()
