#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What libwaitprobe_torch.so adds to a guard of PyTorch's: torch_table.py BUILD ROOT, inside which both are found. See bench/torch.sh.

Each way runs in turn, again and again; what counts is the median of the ratios within a turn. "events" is each wait with a trap."""

import os
import statistics
import subprocess
import sys

TURNS = 15
CPP, PYTHON = "c++", "python"
PROGRAM = """
import sys, time
from torch.monitor import _WaitCounter
counter = _WaitCounter('bench.guard')
n = int(sys.argv[1])
began = time.process_time_ns()
for _ in range(n):
    with counter.guard(): pass
print((time.process_time_ns() - began) / n)
"""


def main():
    build, root = (os.path.abspath(word) for word in sys.argv[1:3])
    tool = os.path.join(build, "waitprobe")
    library = os.path.join(build, "libwaitprobe_torch.so")
    loops = {CPP: [os.path.join(build, "torch_guard"), "2000000"], PYTHON: ["python3", "-c", PROGRAM, "200000"]}
    ways = {
        "without": lambda loop: ["chroot", root, *loop],
        "idle": lambda loop: ["chroot", root, "env", f"LD_PRELOAD={library}", *loop],
        "hist": lambda loop: [tool, "hist", "--json", "--", "chroot", root, "env", f"LD_PRELOAD={library}", *loop],
        "events": lambda loop: [tool, "hist", "--json", "--per-event", "--", "chroot", root, "env", f"LD_PRELOAD={library}", *loop],
    }
    print(f"{'guard':8} {'way':8} {'ns':>8} {'more ns':>8} {'ratio':>6}")
    for name, loop in loops.items():
        turns = []
        for _ in range(TURNS):
            out = {way: subprocess.run(words(loop), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout
                   for way, words in ways.items()}
            turns.append({way: float(next(line for line in text.splitlines() if not line.startswith("{"))) for way, text in out.items()})
        for way in ways:
            print(f"{name:8} {way:8} {statistics.median(turn[way] for turn in turns):8.1f} "
                  f"{statistics.median(turn[way] - turn['without'] for turn in turns):8.1f} "
                  f"{statistics.median(turn[way] / turn['without'] for turn in turns):6.2f}", flush=True)


if __name__ == "__main__":
    main()
