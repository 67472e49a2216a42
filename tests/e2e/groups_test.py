# SPDX-License-Identifier: MIT
"""`waitprobe hist --by-env NAME`, and record and report: processes together by a variable of their environments."""

import json
import os
import resource
import struct
import subprocess
import tempfile

import harness
from harness import Hist, Program, TestCase, TOOL, Workload, built, run

LIBRARY = os.path.abspath(built("libwaitprobe_torch.so"))
HOST = os.path.abspath(built("waitprobe-torch-host"))


def host(*options, **environment):
    return Workload(*options, program=HOST, env={"LD_PRELOAD": LIBRARY, **environment})


def write_elf(path, string_bytes, symbols, written):
    """An ELF file with a table of variables whose names lie in a table of strings, of which `written` bytes are there and none ends a name."""
    at, size = 0x1000, 24 * symbols
    strings = (at + size + 0xFFF) & ~0xFFF
    header = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 120, 0, 64, 56, 1, 64, 3, 0)
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, 0x1000, 0x1000, 0x1000)

    def section(kind, offset, size, link, entry):
        return struct.pack("<IIQQQQIIQQ", 0, kind, 0, 0, offset, size, link, 0, 8, entry)

    with open(path, "wb") as out:
        out.write(header + load + bytes(64) + section(2, at, size, 2, 24) + section(3, strings, string_bytes, 0, 0))
        out.seek(at)
        out.write(struct.pack("<IBBHQQ", 1, 0x11, 0, 1, 0x10, 8) * symbols)
        out.truncate(strings + string_bytes)
        out.seek(strings)
        out.write(b"x" * written)


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
        early = self.started(host(RANK="0"))
        late = self.started(host("--rank", "1", "--late", "300", "--linger", "60000"))
        changed = self.started(host("--rank", "2", "--linger", "60000", RANK="nought"))
        none = self.started(host())
        tool = self.started(Hist("--by-env", "RANK", "-f", LIBRARY))
        for program in (early, late, changed, none):
            program.go()
        for program in (early, none):
            self.assertEqual(program.wait(), 0)
        for program in (late, changed):  # they have set it before they tell their truth, and are looked at in the end, however slow the machine is
            harness.wait_until(lambda program=program: program.out.endswith("}}\n"), "its truth")
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

    def test_child_that_runs_another_program_has_no_value_of_its_parent(self):
        # It is never looked at: the file alone is attached to, and each lives for some milliseconds.
        command = f"export RANK=0; for i in 1 2 3 4 5; do RANK=1 {built('waitprobe-workload')} --waits 10 --keys 1 --pattern none >/dev/null; done"
        tool = self.started(Hist("--by-env", "RANK", "-f", built("waitprobe-workload")))
        self.started(Program(["sh", "-c", command])).wait()
        tool.stop()
        self.assertEqual(sum(tool.counts().values()), 50)
        self.assertNotIn("0", [series.get("group") for series in tool.last()["series"]])

    def test_value_of_a_parent_that_changes_is_not_handed_down(self):
        # Children that live too briefly to be looked at: in the right group, or in none.
        program = ("import ctypes, os\nhook = ctypes.CDLL(None).c10_monitor_wait_counter_dynamic_backend_init_v1\n"
                   "class Backend(ctypes.Structure): _fields_ = [('self', ctypes.c_void_p), *((name, ctypes.CFUNCTYPE(ctypes.c_ssize_t,"
                   " ctypes.c_void_p, ctypes.c_int64, ctypes.c_ssize_t)) for name in ('start', 'stop', 'destroy'))]\n"
                   "for i in range(20):\n"
                   "  os.environ['RANK'] = str(i % 3)\n"
                   "  key, one = b'many.%d' % (i % 3), Backend()\n"
                   "  hook(ctypes.byref(one), key, ctypes.c_size_t(len(key)))\n"
                   "  for k in range(10):\n"
                   "    child = os.fork()\n"
                   "    if child == 0:\n"
                   "      one.stop(one.self, 0, one.start(one.self, 0, 0))\n"
                   "      os._exit(0)\n"
                   "    os.waitpid(child, 0)\n")
        tool = self.started(Hist("--by-env", "RANK", "--", TOOL, "run", "--torch", "--", "python3", "-c", program))
        self.assertEqual(tool.wait(), 0)
        self.assertEqual(sum(tool.counts().values()), 200)
        for series in tool.last()["series"]:
            self.assertIn(series.get("group"), (series["key"].removeprefix("many."), None))

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

    def test_recordings_of_two_hosts_by_rank(self):
        with tempfile.TemporaryDirectory() as folder:
            node = os.path.join(folder, "node.jsonl")
            # The late one lives on until it has done its work and the recording has it.
            done = os.path.join(folder, "done")
            command = (f"RANK=0 {HOST} >/dev/null & {HOST} --rank 1 --late 300 --linger 60000 >{done} & late=$!;"
                       f""" for i in $(seq 600); do grep -q keys {done} && grep -q '"group":"1"' {node} && break; sleep 0.1; done; kill $late; wait""")
            recorded = run(TOOL, "record", "--by-env", "RANK", "-i", "0.2", "-o", node, "--", TOOL, "run", "--torch", "--", "sh", "-c", command)
            self.assertEqual(recorded.process.returncode, 0, recorded)
            with open(node, encoding="ascii") as recording:
                header, rest = recording.read().split("\n", 1)
            other = os.path.join(folder, "other.jsonl")
            with open(other, "w", encoding="ascii") as out:
                header = {**json.loads(header), "host": "other", "boot": "another"}
                out.write(json.dumps(header) + "\n" + rest.replace('"group":"0"', '"group":"8"').replace('"group":"1"', '"group":"9"'))
            report = run(TOOL, "report", "--by-env", "RANK", "--json", node, other)
            snapshot = harness.last_line(report.out)
            self.assertEqual(snapshot["group_by"], "RANK")
            self.assertEqual({group: sum(counts.values()) for group, counts in groups_of(snapshot, "host.meet").items()},
                             {"0": 5, "1": 5, "8": 5, "9": 5})
            # The late one's children have come before its rank: those that were looked at in time have none.
            in_child = groups_of(snapshot, "host.in_child")
            self.assertEqual([sum(in_child[group].values()) for group in ("0", "8")], [1000, 1000])
            self.assertEqual(spread_of(snapshot, "host.meet")[1], "9")
            table = run(TOOL, "report", "--by-env", "RANK", "-k", "host.meet", node, other).out
            self.assertEqual([line.split()[-9:][:2] for line in table.splitlines() if " 5 " in line], [["0", "5"], ["1", "5"], ["8", "5"], ["9", "5"]])
            plain = harness.last_line(run(TOOL, "report", "--json", node).out)
            self.assertNotIn("group_by", plain)
            self.assertNotIn("group", plain["series"][0])
            for words, status, why in ((("--by-env", "LOCAL_RANK"), 1, f"{node}: it was recorded --by-env RANK"),
                                       (("--by-env", "RANK", "--by-key"), 2, "cannot be combined"), (("--by-env", "RANK", "--html", "-"), 2, "cannot be combined")):
                refused = run(TOOL, "report", *words, node)
                self.assertEqual((refused.process.returncode, refused.out), (status, ""), refused)
                self.assertIn(why, refused.err)

    def test_nobody_has_it(self):
        tool = self.started(Hist("--by-env", "NOBODY_HAS_IT", "--", TOOL, "run", "--torch", "--", HOST, json_output=False))
        tool.wait()
        self.assertIn("no process was found with NOBODY_HAS_IT in its environment", tool.out)

    def test_wrong_names(self):
        for name in ("", "RANK=1"):
            refused = self.started(Program([TOOL, "hist", "--by-env", name, "-a"]))
            self.assertEqual(refused.wait(), 2)
            self.assertIn("takes the name of an environment variable", refused.err)


class Environments(TestCase):
    """Programs that keep their environment elsewhere than in a shared libc."""

    SOURCE = """
        #include <fcntl.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <sys/mman.h>
        #include <sys/prctl.h>
        #include <unistd.h>
        #include <waitprobe/wait_counter.h>
        #ifdef OWN
        static char* environ_of_my_own[4] __asm__("environ") __attribute__((used)) = {(char*)"X", (char*)"Y"};
        #endif
        int main(int argc, char** argv) {
          if (argc > 2) setenv("RANK", argv[2], 1);
          if (argc > 3 && strcmp(argv[3], "gone") == 0) environ = nullptr;
          if (argc > 3 && strcmp(argv[3], "huge") == 0) {
            // Anybody may do so, if all is said at once. From the 26th on: /proc/PID/stat.
            unsigned long field[52] = {}, begin;
            FILE* stat = fopen("/proc/self/stat", "r");
            fscanf(stat, "%*d (%*[^)]) %*c");
            for (int i = 4; i < 52; i++) fscanf(stat, "%lu", &field[i]);
            begin = (unsigned long)mmap(nullptr, 1UL << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
            prctl_mm_map map = {field[26], field[27], field[45], field[46], field[47], (unsigned long)sbrk(0), field[28], field[48], field[49],
                                begin, begin + (1UL << 30), nullptr, 0, (unsigned)-1};
            if (prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0) != 0) return 1;
            environ = nullptr;
          }
          if (argc > 3 && argv[3][0] == '/') mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE, open(argv[3], O_RDONLY), 0);
          for (int i = 0; i < atoi(argv[1]); i++) {
            STATIC_SCOPED_WAIT_COUNTER(envs.wait);
            usleep(1000);
          }
        }"""

    def build(self, folder, *flags):
        source, program = os.path.join(folder, "envs.cpp"), os.path.join(folder, "envs" + "".join(flags))
        with open(source, "w", encoding="ascii") as out:
            out.write(self.SOURCE)
        subprocess.run(["g++", "-std=c++20", "-O1", *flags, "-I", os.path.join(harness.SOURCE, "include"), source, "-o", program,
                        built("libwaitprobe.a")], check=True)
        return program

    @staticmethod
    def limit_memory():
        resource.setrlimit(resource.RLIMIT_AS, (800 << 20, 800 << 20))

    def group(self, *words, **options):
        """The one group that the waits of a started program are in, or None."""
        tool = self.started(Hist("--by-env", "RANK", "--", *words, env={"RANK": "9"}, **options))
        self.assertEqual(tool.wait(10 * harness.PATIENCE), 0)
        (group,) = [series.get("group") for series in tool.last()["series"]]
        return group

    def test_static_copied_and_gone(self):
        with tempfile.TemporaryDirectory() as folder:
            for kind, *words in ((("-static",), "5"), (("-no-pie",), "5"), (("-no-pie",), "5", "gone"), (("-fPIE", "-pie", "-s"), "5")):
                with self.subTest(kind=kind, words=words):
                    self.assertEqual(self.group(self.build(folder, *kind), "300", *words), "9" if "gone" in words else "5")

    def test_executable_above_the_libraries(self):
        with tempfile.TemporaryDirectory() as folder:
            program = self.build(folder, "-fPIE", "-pie")
            self.assertEqual(self.group("sh", "-c", f"ulimit -s unlimited; exec {program} 300 5"), "5")

    def test_variable_that_is_only_called_so(self):
        with tempfile.TemporaryDirectory() as folder:
            program = self.build(folder, "-DOWN", "-fPIE", "-pie")
            self.assertEqual(self.group(program, "300"), "9")

    def test_files_that_claim_much(self):
        """A mapped file that is called as libc is, whose tables would take minutes or gigabytes to read."""
        claims = {"slow": (16_000_000, 100_000, 16_000_000), "big": (1_500_000_000, 100, 0), "large": (16, 600_000, 0)}
        with tempfile.TemporaryDirectory() as folder:
            program = self.build(folder, "-O0")
            for name, claim in claims.items():
                with self.subTest(name):
                    file = os.path.join(folder, f"libc.so.{name}")
                    write_elf(file, *claim)
                    self.assertEqual(self.group(program, "300", "5", file, preexec_fn=self.limit_memory), "5")

    def test_process_that_claims_to_have_been_started_with_much(self):
        def room_for_the_program():
            resource.setrlimit(resource.RLIMIT_AS, (1500 << 20, resource.RLIM_INFINITY))

        with tempfile.TemporaryDirectory() as folder:
            program = self.build(folder, "-O1")
            raised = ["sh", "-c", 'ulimit -S -v unlimited; exec "$@"', "sh", program, "300", "5", "huge"]
            self.assertIsNone(self.group(*raised, preexec_fn=room_for_the_program))

    def test_values_of_any_bytes(self):
        values = {b"": "", b"a=b": "a=b", b"\x1b[31m\xff": "\x1b[31m\\xff", b"x" * 1000: "x" * 256}
        environment = {f"ODD{i}": value for i, value in enumerate(values)}
        command = "".join(f'ODD="$ODD{i}" {HOST} >/dev/null & ' for i in range(len(values))) + "wait"
        tool = self.started(Hist("--by-env", "ODD", "--", TOOL, "run", "--torch", "--", "sh", "-c", command, env=environment))
        self.assertEqual(tool.wait(), 0)
        self.assertEqual({series["group"] for series in tool.last()["series"]}, set(values.values()))
        self.assertNotIn("\x1b", tool.out)


if __name__ == "__main__":
    harness.main()
