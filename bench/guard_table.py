#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs waitprobe-bench idle, with a backend, and with a tracer, and prints one table; then how soon `hist` is ready.

guard_table.py BUILD_FOLDER. Each figure is a median of repetitions that alternate with the yardstick's in the same run, each less what
the loop itself costs; the ratio is what counts, the nanoseconds are this machine's at this moment.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import time

REPETITIONS = 7
THREADS = (1, 2, 4, 8)


def bench(build, what):
    words = [os.path.join(build, "waitprobe-bench"), what, "--benchmark_format=json", "--benchmark_min_time=0.05",
             f"--benchmark_repetitions={REPETITIONS}", "--benchmark_enable_random_interleaving=true"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    tracer = None
    if what == "tracer":
        pid = process.stdout.readline().split()[1]
        tracer, _ = start_hist(build, "-p", pid)
    out, _ = process.communicate("\n")
    if tracer is not None:
        tracer.wait()
    times = {}
    for run in json.loads(out)["benchmarks"]:
        if run["run_type"] == "iteration":
            name = run["name"].split("/")[0]
            # Of one guard in one thread: real time an iteration, times the threads that iterate.
            times.setdefault((name, run["threads"]), []).append(run["real_time"] * run["threads"])
    return times


def start_hist(build, *target):
    """Starts `waitprobe hist`, and returns it when it is ready, with the milliseconds that took."""
    read_end, write_end = os.pipe()
    began = time.monotonic()
    process = subprocess.Popen([os.path.join(build, "waitprobe"), "hist", "--ready-fd", str(write_end), *target], pass_fds=(write_end,),
                               stdout=subprocess.DEVNULL)
    os.close(write_end)
    if not os.read(read_end, 1):
        sys.exit("waitprobe hist did not start")
    os.close(read_end)
    return process, (time.monotonic() - began) * 1000


def main():
    build = sys.argv[1]
    print(f"{'guard':10} {'threads':>7} {'ns':>8} {'yardstick ns':>13} {'yardstick / guard':>18}")
    for what in ("idle", "backend", "tracer"):
        times = bench(build, what)
        for threads in THREADS:
            loop = statistics.median(times["empty", threads])
            guard = max(statistics.median(times[what, threads]) - loop, 0.01)
            yardstick = statistics.median(times["yardstick", threads]) - loop
            print(f"{what:10} {threads:7} {guard:8.2f} {yardstick:13.1f} {yardstick / guard:18.2f}")
    ready = []
    for _ in range(10):
        tool, milliseconds = start_hist(build, "-a")
        ready.append(milliseconds)
        tool.send_signal(signal.SIGINT)
        tool.wait()
    print(f"\nwaitprobe hist -a is ready after {statistics.median(ready):.0f} ms (median of 10; {min(ready):.0f} to {max(ready):.0f})")


if __name__ == "__main__":
    main()
