# SPDX-License-Identifier: MIT
"""Random programs under random tools, each held against its own truth.

Every key of every process is exact, or the view says what it does not vouch for; and never is more counted than has happened.
WAITPROBE_SEED=N repeats a run, WAITPROBE_ONLY=I its scenario I alone, and WAITPROBE_STRESS_S says for how long new scenarios begin.
"""

import collections
import contextlib
import json
import os
import random
import shutil
import subprocess
import tempfile
import time

import harness
from harness import Hist, Program, TestCase, Workload, built, wait_until
from matrix_test import LINKERS
from time_namespaces_test import BACK_S
from tracers import is_attached
from stress_view import ROWS, View, faults_by_process, faults_of, is_of_plugin, totals
from truth import Truth

SEED = int(os.environ.get("WAITPROBE_SEED", str(time.time_ns() % 1_000_000)))
ONLY = os.environ.get("WAITPROBE_ONLY")
SECONDS = float(os.environ.get("WAITPROBE_STRESS_S", "60"))
PERF = ["perf", "record", "-q", "-e", "cpu-clock", "-F", "25000", "-a", "-g", "-o", "/dev/null"]
# In this order: the kernel does not let the rate be set when the share is 0. It is set back in the other.
PERF_LIMITS = {"kernel/perf_event_max_sample_rate": "50000", "kernel/perf_cpu_time_max_percent": "0"}
DRAWS = {
    "target": ("-p", "-p", "-f", "-a", "--", "--"),
    "tools": ("one", "one", "two", "one of two killed", "one of two killed"),
    "beside": ("nothing", "nothing", "perf", "perf", "bpftrace"),
    "namespaces": ((), (), ("pid",), ("time",), ("pid", "time")),
    "clock": ("cycles", "monotonic"),
    "linker": tuple(LINKERS),
    "plugin": ("", "", *LINKERS),
    "program": ("come_and_go", "come_and_go", "workload"),
}


def draw(index):
    """A scenario, the same for the same seed and number."""
    chance = random.Random(f"{SEED}.{index}")
    scenario = {name: chance.choice(among) for name, among in DRAWS.items()}
    scenario["offset_s"] = chance.choice((BACK_S, 1000, 100_000))
    scenario["intervals"] = [chance.choice((None, None, 0.05)) for _ in range(2)]
    # The second is never the one that starts the program.
    scenario["targets"] = [scenario.pop("target"), chance.choice(("-p", "-f", "-a"))]
    scenario["kill_after_s"] = chance.random() ** 2 / 2
    scenario["options"] = (come_and_go if scenario["program"] == "come_and_go" else workload)(chance, scenario)
    return scenario


def come_and_go(chance, scenario):
    few = 4 if scenario["beside"] == "bpftrace" else 1  # each wait is then an event
    every = lambda *among: chance.choice((0, 0, *among))
    return {"keys": chance.choice((1, 2, 3, 7, 13)), "rows": ROWS, "lanes": chance.randint(1, 5), "threads": chance.choice((31, 101, 307)) // few,
            "most": chance.choice((3, 257, 1499, 6007)), "seed": chance.randrange(10**6), "fork": every(11, 37), "exec": every(13, 41),
            "vfork": every(7, 23), "alarm": every(503, 2003), "cross": chance.choice((0, 0, 1)),
            "early": chance.choice((0, 1))}  # the plug-in is opened before the tools come


def workload(chance, scenario):
    scenario["linker"] = "as it was built"
    words = ["--keys", chance.choice((1, 2, 3, 7, 13)), "--child-waits", chance.choice((3, 257, 601))]
    if chance.random() < .2:
        scenario["plugin"] = ""
        return [*words, "--thread-churn", chance.choice((211, 2003))]
    words += ["--threads", chance.choice((1, 3, 8)), "--waits", chance.choice((101, 2503, 20_011))]
    optional = [["--fork-in-block", chance.choice((3, 17))], ["--vfork-exec", chance.choice((5, 23))], ["--raw-clone", chance.choice((5, 23))],
                ["--late-backend"], ["--late-guards"], ["--alarm-us", chance.choice((503, 2003))]]
    if not scenario["plugin"]:
        optional.append(["--cross-thread"])
    for option in optional:
        if chance.random() < .3:
            words += option
    if "--late-backend" in words and "--alarm-us" in words:
        # The factory is asked for `alarm` in the handler, and allocates: amid a fork it waits for ever for the lock of malloc.
        words.remove("--late-backend")
    if chance.random() < .2:
        # The truth of a workload that forks beforehand is its own, so many times.
        words = [word for word in words if word not in ("--late-guards", "--alarm-us", 503, 2003)] + ["--fork", chance.choice((2, 5))]
    return words


def namespaces_of(scenario):
    """Words before the program, which is then the child of the first."""
    names = scenario["namespaces"]
    if not names:
        return []
    words = ["unshare", "--fork", "--kill-child"]
    words += ["--pid", "--mount-proc"] if "pid" in names else []
    return words + (["--time", "--monotonic", str(scenario["offset_s"])] if "time" in names else [])


def parent_of(pid):
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    return 0


def comm_of(pid):
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    return None


def below(pid, comm):
    """The first process named so among a process and what comes from it."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    for one in sorted(pids):
        ancestor = one
        while comm_of(one) == comm and ancestor > 1:
            if ancestor == pid:
                return one
            ancestor = parent_of(ancestor)
    return None


class CommandTool(Workload):
    """`hist -- CMD`, whose command stands at its start: the tool has its output too."""

    snapshots = Hist.snapshots
    last = Hist.last


class Perf:
    """`perf record -F 25000` for some of the time, where the kernel may be told to allow it."""

    def __init__(self, stack):
        self.possible = shutil.which("perf") is not None
        for name, value in PERF_LIMITS.items():
            path = os.path.join("/proc/sys", name)
            try:
                with open(path, encoding="ascii") as file:
                    before = file.read().strip()
                write(path, value)
                stack.callback(write, path, before)
            except OSError as error:
                self.possible = False
                print(f"without perf: {error}", flush=True)


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


class Stress(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = contextlib.ExitStack()
        cls.addClassCleanup(cls.stack.close)
        cls.folder = cls.stack.enter_context(tempfile.TemporaryDirectory(prefix="waitprobe-stress-"))
        cls.perf = Perf(cls.stack)
        cls.objects = {name: cls.compile(name, flag) for name, flag in (("e2e/come_and_go", "-fPIE"), ("workload/plugin", "-fPIC"))}
        cls.linked = {}

    @classmethod
    def gxx(cls, *words):
        subprocess.run(["g++", "-std=c++20", "-O2", "-I", os.path.join(harness.SOURCE, "include"), *words], check=True)

    @classmethod
    def compile(cls, name, flag):
        path = os.path.join(cls.folder, os.path.basename(name) + ".o")
        cls.gxx(flag, "-c", os.path.join(harness.SOURCE, "tests", name + ".cpp"), "-o", path)
        return path

    @classmethod
    def link(cls, name, linker, *flags):
        if (name, linker) not in cls.linked:
            cls.linked[name, linker] = os.path.join(cls.folder, f"linked-{len(cls.linked)}")
            cls.gxx(*flags, cls.objects[name], built("libwaitprobe.a"), *LINKERS[linker], "-ldl", "-o", cls.linked[name, linker])
        return cls.linked[name, linker]

    def test_programs_under_tools(self):
        print(f"WAITPROBE_SEED={SEED}", flush=True)
        end = time.monotonic() + SECONDS
        index = int(ONLY or 0)
        while time.monotonic() < end:
            scenario = draw(index)
            print(index, json.dumps(scenario), flush=True)
            began = time.monotonic()
            faults, summary = self.play(index, scenario)
            print(f"   {time.monotonic() - began:.1f} s: {'; '.join(summary)}", flush=True)
            # The programs of this scenario are shown then, and nothing else is tried.
            self.assertFalse(faults, "\n".join([f"WAITPROBE_SEED={SEED} WAITPROBE_ONLY={index} {json.dumps(scenario)}", *faults]))
            self.end_programs()
            index += 1
            if ONLY:
                break
        print(f"{index} scenarios", flush=True)

    def end_programs(self):
        for program in reversed(self._programs):
            program.kill()
        self._programs.clear()

    def play(self, index, scenario):
        self.scratch = tempfile.TemporaryDirectory(dir=self.folder)
        with self.scratch:
            own = scenario["program"] == "come_and_go"
            original = self.link("e2e/come_and_go", scenario["linker"]) if own else built("waitprobe-workload")
            # With a name of its own, by which it is told from all others under -a; and a file that no tool has met.
            self.program = shutil.copy(original, os.path.join(self.scratch.name, f"st-{index}"))
            self.comm = os.path.basename(self.program)
            self.plugin = ""
            if scenario["plugin"]:
                plugin = self.link("workload/plugin", scenario["plugin"], "-shared")
                self.plugin = shutil.copy(plugin, os.path.join(self.scratch.name, f"plugin-{index}.so"))
            self.truth_file = Truth()
            return self.run_tools(scenario)

    def words(self, scenario):
        if scenario["program"] == "come_and_go":
            return [f"{name}={value}" for name, value in scenario["options"].items()] + [f"truth={self.truth_file.path}", f"plugin={self.plugin}"]
        return [*scenario["options"], *(["--plugin", self.plugin] if self.plugin else [])]

    def run_tools(self, scenario):
        before, words = namespaces_of(scenario), self.words(scenario)
        intervals = [["-i", str(seconds)] if seconds else [] for seconds in scenario["intervals"]]
        environment = {"WAITPROBE_CLOCK": scenario["clock"]}
        tools = []
        if scenario["targets"][0] == "--":
            before = [harness.TOOL, "hist", "--json", *intervals[0], "--", *before]
            program = self.started(CommandTool(*words, program=self.program, before=before, env=environment))
            tools.append(program)
        else:
            program = self.started(Workload(*words, program=self.program, before=before, env=environment))
        main_pid = below(program.pid, self.comm)
        self.assertIsNotNone(main_pid, f"the program is not there: {program}")
        for target, interval in zip(scenario["targets"], intervals):
            if target != "--" and (not tools or scenario["tools"] != "one"):
                value = {"-p": [main_pid], "-f": [self.program], "-a": []}[target]
                tools.append(self.started(Hist(target, *value, *interval)))
        beside = self.start_beside(scenario["beside"])
        program.go()
        if scenario["tools"] == "one of two killed":
            # That of -- is not: its command would be nobody's.
            killed = tools.pop(1)
            time.sleep(scenario["kill_after_s"])
            killed.kill()
        self.assertEqual(program.wait() in (0, *([4] if program in tools else [])), True, program)
        if beside is not None:
            if beside.process.poll() is not None and scenario["beside"] == "perf":
                print(f"   it ended by itself: {beside}", flush=True)
            beside.kill()
        return self.judge(scenario, tools, main_pid, program)

    def start_beside(self, kind):
        if kind == "perf" and self.perf.possible:
            return self.started(Program(PERF))
        if kind != "bpftrace" or shutil.which("bpftrace") is None:
            return None
        # Not by the pid: bpftrace would put the probe of the plug-in into the program as well.
        text = f"usdt:{self.program}:waitprobe:wait_stop {{ @count[str(arg0)] = count(); }} profile:hz:997 {{ @samples = count(); }}"
        tracer = self.started(Program(["bpftrace", "-e", text]))
        wait_until(lambda: tracer.process.poll() is not None or is_attached(tracer.pid), f"it has attached: {tracer}")
        return tracer

    def expected(self, scenario, program, target):
        """The truth by process, that of the main one first; or the sum alone, where the program tells no more."""
        if scenario["program"] == "workload":
            lines = [line for line in program.out.splitlines() if line.startswith('{"keys"')]
            return [collections.Counter(json.loads(lines[-1])["keys"])]
        keys = scenario["options"]["keys"]
        names = [f"work.{key}" for key in range(keys)] + [f"plugin.{key}" for key in range(keys)] + ["alarm"]
        rows = []
        for row in self.truth_file.rows():
            rows.append(collections.Counter({name: row[f"work.{column}"][0] for column, name in enumerate(names)}))
        return rows[:1] if target == "-p" else rows

    def pids(self, scenario, target):
        """Of the rows of the truth; none where the processes see other numbers than we do."""
        if scenario["program"] == "workload" or "pid" in scenario["namespaces"]:
            return []
        column = 2 * scenario["options"]["keys"] + 1
        pids = [row[f"work.{column}"][0] for row in self.truth_file.rows()]
        return pids[:1] if target == "-p" else pids

    def judge(self, scenario, tools, main_pid, program):
        faults, summary = [], []
        for tool in tools:
            target = "--" if tool is program else tool.words[tool.words.index("--json") + 1]
            status = tool.process.poll() if tool is program else tool.wait() if target == "-p" else tool.stop()
            view = View(tool, self.comm)
            expected = self.expected(scenario, program, target)
            if target == "-f":  # the plug-in is another file
                expected = [collections.Counter({key: cnt for key, cnt in row.items() if not is_of_plugin(key)}) for row in expected]
            found = self.faults_of_tool(scenario, view, expected, target, main_pid)
            by_pid = {pid: +row for pid, row in zip(self.pids(scenario, target), expected) if pid != 0}
            found += faults_by_process(view, by_pid, os.path.basename(self.plugin))
            # An interval may tell of a file that was met while its loader was at work, which the rendezvous then withdraws.
            withdrawn = target == "--" and "-i" in tool.words and totals(view.counts.values()) == totals(expected)
            if status != (4 if view.doubts else 0) and not (view.doubts and withdrawn and status == 0):
                found.append(f"exit status {status}, and not vouched for {view.doubts}")
            faults += [f"{target}: {fault}" for fault in found]
            lost = f", lost {dict(+view.losses)}" if view.losses.total() else ""
            whys = collections.Counter(one.get("why", "attached late") for one in view.not_vouched)
            doubts = f", not vouched for {dict(whys)}" if whys else ""
            summary.append(f"{target} {totals(view.counts.values()).total()} of {totals(expected).total()}{lost}{doubts}")
        return faults, summary

    def faults_of_tool(self, scenario, view, expected, target, main_pid):
        one_process = scenario["program"] == "workload" and not {"--fork", "--fork-in-block"} & set(map(str, scenario["options"]))
        if scenario["program"] == "workload" and not one_process and target == "-p":
            # Its children are others, and its own truth is not told apart.
            total = totals(view.counts.values())
            return [f"{key}: {total[key]} of {expected[0][key]}" for key in total if total[key] > expected[0][key]]
        if scenario["program"] == "workload" and not one_process:
            view.counts = {(main_pid, 0): totals(view.counts.values())}
        return faults_of(view, expected, main_pid, os.path.basename(self.plugin))


if __name__ == "__main__":
    harness.main()
