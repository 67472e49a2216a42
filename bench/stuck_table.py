#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How soon `waitprobe stuck` answers, and what a tracked guard costs: stuck_table.py BUILD_FOLDER [RUNS], as root."""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time

from tracers import Child, Failed, Program, fail, read_line, spread, undisturbed

THREADS = 1000
PAIRS = 60


def answer_ms(build, pid, *options):
    began = time.monotonic()
    ran = subprocess.run([os.path.join(build, "waitprobe"), "stuck", "--json", "-p", str(pid), "--older", "100ms", *options],
                         capture_output=True, text=True, check=False)
    took_ms = (time.monotonic() - began) * 1000
    found = json.loads(ran.stdout)
    if ran.returncode != 3 or len(found["open"]) != THREADS:
        fail(f"stuck told of {len(found['open'])} of {THREADS} waits: this was no measurement")
    return took_ms, found.get("stopped", {"longest_ns": 0})["longest_ns"] / 1000


def measure_answers(build, runs):
    with contextlib.ExitStack() as stack:
        target = Child(stack, [os.path.join(build, "waitprobe-open-waits"), str(THREADS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                       env={**os.environ, "WAITPROBE_TRACK": "1"})
        read_line(target.process.stdout, "waitprobe-open-waits")
        time.sleep(0.2)  # so that all are older than 100 ms
        plain = [answer_ms(build, target.process.pid)[0] for _ in range(runs)]
        stacks = [answer_ms(build, target.process.pid, "--stack") for _ in range(runs)]
        return plain, [ms for ms, _ in stacks], [us for _, us in stacks]


def measure_guard(build, clock):
    with contextlib.ExitStack() as stack:
        program = Program(stack, [os.path.join(build, "waitprobe-attached-loop"), "armed", "1", str(PAIRS)],
                          {"WAITPROBE_TRACK": "1", "WAITPROBE_CLOCK": clock})
        pairs = program.measure()["pairs"]
        program.finish()
        return statistics.median(wait for _, wait in pairs), statistics.median(wait / floor for floor, wait in pairs)


def main():
    build, runs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
    plain, stacks, stopped = measure_answers(build, runs)
    print(f"stuck, {THREADS} threads:           {spread(plain, '{:.0f}')} ms; target at most 100: {'yes' if statistics.median(plain) <= 100 else 'NO'}")
    print(f"stuck --stack, {THREADS} threads:   {spread(stacks, '{:.0f}')} ms; the thread that stood longest stood {spread(stopped, '{:.0f}')} us")
    for clock in ("cycles", "monotonic"):
        guards = [undisturbed(lambda: measure_guard(build, clock)) for _ in range(runs)]  # pylint: disable=cell-var-from-loop
        print(f"tracked guard, {clock + ':':<12} {spread([ns for ns, _ in guards], '{:.1f}')} ns, "
              f"{spread([ratio for _, ratio in guards], '{:.2f}')} x two clock reads")


if __name__ == "__main__":
    try:
        main()
    except Failed as failed:
        sys.exit(f"stuck_table.py: {failed}")
