#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a wait costs while somebody looks: attached_table.py BUILD_FOLDER [RUNS], as root. Prints one table.

Each case is a program that runs short slices of the floor (two clock reads) and of guarded waits in turn, and gives the CPU time of
its own thread: see slices.h. Every run goes through all cases, so that a slow minute of the machine hits them all. A ratio is the
median over the pairs of slices of a run; what is printed is the median over the runs, with the least and the greatest in
brackets. A tracer that has not counted every wait has not been measured, and ends the benchmark. A `waitprobe hist -a` of somebody
else attaches to these programs too: what was measured meanwhile is thrown away and measured again.
"""

import contextlib
import json
import os
import re
import signal
import statistics
import subprocess
import sys

from tracers import Bpftrace, Failed, Hist, Lttng, Program, Slow, fail, spread, undisturbed

HERE = os.path.dirname(os.path.abspath(__file__))
PAIRS = 60
READY_TIMES = 10
STARTS_AND_STOPS = ("usdt:{file}:waitprobe:wait_start {{ @began[arg2] = arg1; }} "
                    "usdt:{file}:waitprobe:wait_stop /@began[arg3]/ {{ @ns = hist(arg1 - @began[arg3]); delete(@began[arg3]); }}")
STOPS = "usdt:{file}:waitprobe:wait_stop {{ @ns = hist(arg2); }}"


def check_count(name, tracer, waits):
    counted = tracer.counted()
    if not tracer.counts_at_least * waits <= counted <= waits:
        fail(f"{name}: the tracer counted {counted} of {waits} waits: this was no measurement")


def check_clock(build, pid, wanted):
    listed = subprocess.run([os.path.join(build, "waitprobe"), "list", "--json", "-p", str(pid)], capture_output=True, text=True, check=True)
    clock = json.loads(listed.stdout)["carriers"][0]["clock"]
    if clock != wanted:
        fail(f"the guard read clock {clock}, not {wanted}")


def measure(build, name, tracer=None, clock=None, threads=1):
    """The pairs of one run of waitprobe-attached-loop, with the tracer that tracer(stack, pid) attaches."""
    with contextlib.ExitStack() as stack:
        words = [os.path.join(build, "waitprobe-attached-loop"), "armed" if tracer else "idle", str(threads), str(PAIRS * threads)]
        program = Program(stack, words, {"WAITPROBE_CLOCK": clock} if clock else None)
        attached = tracer(stack, program.process.pid) if tracer else None
        measured = program.measure()
        if clock:
            check_clock(build, program.process.pid, clock)
        program.finish()
        if attached:
            check_count(name, attached, measured["waits"])
        return measured["pairs"]


def measure_lttng(build, lttng):
    with contextlib.ExitStack() as stack:
        lttng.start(stack)
        program = Program(stack, [os.path.join(build, "waitprobe-lttng-guard"), str(PAIRS)])
        pairs = program.measure()["pairs"]
        program.finish()
        discarded = lttng.discarded()
        if discarded:
            fail(f"LTTng discarded {discarded} events: this was no measurement")
        return pairs


def measure_ready(build):
    """The milliseconds until `hist -p` is attached to a process that stands still."""
    with contextlib.ExitStack() as stack:
        program = Program(stack, [os.path.join(build, "waitprobe-attached-loop"), "idle", "1", "1"])
        times = []
        for _ in range(READY_TIMES):
            hist = Hist(stack, build, program.process.pid)
            times.append(hist.ready_ms)
            hist.process.send_signal(signal.SIGINT)
            hist.wait()
        return times


def idle_instructions(build):
    """As the tests count them: an idle scope in a loop, beyond the loop without it."""
    ran = subprocess.run([sys.executable, "-B", os.path.join(HERE, "../tests/cost/idle_cost.py"), "g++",
                          os.path.join(build, "libwaitprobe.a"), os.path.join(HERE, "../include")], capture_output=True, text=True, check=False)
    found = re.search(r"idle scope: ([\d.]+) in a loop", ran.stdout)
    if not found:
        fail(f"cannot count instructions: {ran.stdout}{ran.stderr}")
    return float(found.group(1))


class Case:
    """What the runs of one case came to."""

    def __init__(self, name, measured):
        self.name, self.measured = name, measured
        self.ns, self.floor_ns, self.ratios = [], [], []

    def run(self):
        pairs = undisturbed(self.measured)
        self.floor_ns.append(statistics.median(floor for floor, _ in pairs))
        self.ns.append(statistics.median(wait for _, wait in pairs))
        self.ratios.append(statistics.median(wait / floor for floor, wait in pairs))


class TwoThreads:
    """Both threads at once against the first alone; what the machine does to the floor is shown beside it."""

    LEAST_OVERLAP = 0.8  # pairs where the other thread was kept from running say nothing

    def __init__(self, build):
        self.build = build
        self.ns, self.ratios, self.floor_ratios, self.against_one = [], [], [], []
        self.kept = self.all = 0

    def measured(self):
        return measure(self.build, "two threads", lambda stack, pid: Hist(stack, self.build, pid), "monotonic", threads=2)

    def run(self):
        pairs = undisturbed(self.measured)
        kept = [pair for pair in pairs if pair[4] >= self.LEAST_OVERLAP]
        self.all += len(pairs)
        self.kept += len(kept)
        if not kept:
            return  # the machine was too busy to run both at once
        self.ns.append(statistics.median(both for _, _, _, both, _ in kept))
        self.ratios.append(statistics.median(both / floor for _, _, floor, both, _ in kept))
        self.floor_ratios.append(statistics.median(floor / alone for alone, _, floor, _, _ in kept))
        self.against_one.append(statistics.median(both / alone for _, alone, _, both, _ in kept))


ROW = "{:44} {:>24} {:>24}  {:36} {}"


def row(name, ns, ratio, target="-", value=None, is_met=None):
    met = "-" if is_met is None else f"{'yes' if is_met else 'NO'}: {value}"
    print(ROW.format(name, ns, ratio, target, met))


def load():
    """How many want to run, over the last minute: times until ready are of this moment, and no ratio mends them."""
    return f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs"


def print_table(cases, two, ready, instructions):
    idle, monotonic, cycles, slow, per_event, starts_and_stops, stops, lttng = cases
    print(ROW.format("case", "ns for each wait", "ratio to the floor", "target", "met"))
    row("idle: nobody looks", spread(idle.ns), spread(idle.ratios, "{:.4f}"), "at most 6 instructions", f"{instructions:g}", instructions <= 6)
    row("two clock reads: the floor", spread([ns for case in cases for ns in case.floor_ns], "{:.1f}"), "1")
    for case, most in ((monotonic, 1.4), (cycles, 0.85), (slow, 1.05), (per_event, None), (starts_and_stops, 22), (stops, 10), (lttng, 2.5)):
        ratio = statistics.median(case.ratios)
        ns, shown = spread(case.ns, "{:.1f}"), spread(case.ratios)
        if most is None:
            row(case.name, ns, shown)
        elif case in (monotonic, cycles, slow):
            row(case.name, ns, shown, f"at most {most} x the floor", f"{ratio:.2f}", ratio <= most)
        else:
            dearer = [mine / batches for mine, batches in zip(case.ratios, monotonic.ratios)]
            row(case.name, ns, shown, f"at least {most} x hist, monotonic", spread(dearer, "{:.1f}"), statistics.median(dearer) >= most)
    if two.ratios:
        row("hist, monotonic: two threads on two CPUs", spread(two.ns, "{:.1f}"), spread(two.ratios),
            "at most 1.1 x one thread", spread(two.against_one), statistics.median(two.against_one) <= 1.1)
        print(f"\ntwo threads: {two.kept} of {two.all} pairs of slices ran at once; the floor itself cost {spread(two.floor_ratios)} x one thread")
    else:
        print("\ntwo threads: not measured: the machine was too busy to run both at once")
    median = statistics.median(ready)
    print(f"hist -p is ready after {spread(ready, '{:.0f}')} ms; target at most 200: {'yes' if median <= 200 else 'NO'}")
    print(f"the load of the machine was {load()}")


def main():
    build, runs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
    if os.geteuid() != 0:
        fail("cannot attach tracers: run as root")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends what runs

    def hist(*options):
        return lambda stack, pid: Hist(stack, build, pid, *options)

    def bpftrace(text):
        return lambda stack, pid: Bpftrace(stack, build, text)

    def case(name, *how):
        return Case(name, lambda: measure(build, name, *how))

    instructions = undisturbed(lambda: idle_instructions(build))
    with contextlib.ExitStack() as stack:
        lttng = Lttng(stack)
        cases = [case("idle"),
                 case("waitprobe hist, monotonic clock", hist(), "monotonic"),
                 case("waitprobe hist, cycle counter", hist(), "cycles"),
                 case("waitprobe slow --min 1ms, shorter waits", lambda stack, pid: Slow(stack, build, pid)),
                 case("waitprobe hist --per-event", hist("--per-event")),
                 case("bpftrace: start in a map, hist at stop", bpftrace(STARTS_AND_STOPS)),
                 case("bpftrace: hist at stop alone", bpftrace(STOPS)),
                 Case("LTTng-UST: an event at start and at stop", lambda: measure_lttng(build, lttng))]
        two = TwoThreads(build)
        for done in range(runs):
            print(f"run {done + 1} of {runs}", file=sys.stderr)
            for one in [*cases, two]:
                one.run()
    print_table(cases, two, undisturbed(lambda: measure_ready(build)), instructions)


if __name__ == "__main__":
    try:
        main()
    except Failed as failed:
        sys.exit(f"attached_table.py: {failed}")
