#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs waitprobe-bench idle, with a backend, and with a tracer, and prints one table; then how soon `hist` is ready.

guard_table.py BUILD_FOLDER. Each figure is the CPU time of one guard together with the loop around it, a median of repetitions that
alternate with the yardstick's in the same run. The ratio is what counts; the nanoseconds are this machine's at this moment. "empty" is
the loop without a guard: near it, a ratio is a lower bound.
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


def start_bench(build, what):
    """Starts waitprobe-bench, and returns it with the pid that it says when it waits for a tracer."""
    words = [os.path.join(build, "waitprobe-bench"), what, "--benchmark_format=json", "--benchmark_min_time=0.05",
             f"--benchmark_repetitions={REPETITIONS}", "--benchmark_enable_random_interleaving=true"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline().split()[1] if what == "tracer" else None


def bench(build, what):
    process, pid = start_bench(build, what)
    tracer = start_hist(build, "-p", pid)[0] if pid else None
    out, _ = process.communicate("\n")
    if process.returncode != 0:
        sys.exit(f"waitprobe-bench {what} ended with {process.returncode}")
    if tracer is not None:
        tracer.wait()
    times = {}
    for run in json.loads(out)["benchmarks"]:
        if run["run_type"] == "iteration":
            name = run["name"].split("/")[0]
            # CPU time, in user space and in the kernel: threads that share a CPU and a busy machine do not change it.
            times.setdefault((name, run["threads"]), []).append(run["cpu_time"])
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


def times_until_ready(build, target):
    """The milliseconds until `hist` is attached to a process that stands still."""
    process, pid = start_bench(build, "tracer")
    ready = []
    for _ in range(10):
        tool, milliseconds = start_hist(build, *((target, pid) if target == "-p" else (target,)))
        ready.append(milliseconds)
        tool.send_signal(signal.SIGINT)
        tool.wait()
    process.kill()
    process.wait()
    return ready


def main():
    build = sys.argv[1]
    print(f"{'guard':10} {'threads':>7} {'ns':>8} {'yardstick ns':>13} {'yardstick / guard':>18}")
    for what in ("idle", "backend", "tracer"):
        times = bench(build, what)
        for name in ("empty", what) if what == "idle" else (what,):
            for threads in THREADS:
                guard = statistics.median(times[name, threads])
                yardstick = statistics.median(times["yardstick", threads])
                print(f"{name:10} {threads:7} {guard:8.2f} {yardstick:13.1f} {yardstick / guard:18.2f}")
    for target in ("-p", "-a"):
        ready = times_until_ready(build, target)
        print(f"\nwaitprobe hist {target} is ready after {statistics.median(ready):.0f} ms (median of {len(ready)}; "
              f"{min(ready):.0f} to {max(ready):.0f})", end="")
    print()


if __name__ == "__main__":
    main()
