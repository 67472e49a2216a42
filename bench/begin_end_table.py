#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How long tracers take from their start until they are attached, and from SIGINT until they are gone: begin_end_table.py BUILD_FOLDER [RUNS],
as root.

All attach to one process that waits a thousand times a second, in turn, so that a slow minute of the machine hits them all. Ratios are those within a run. The CPU
time is that of all threads of the tracer until it is attached: it says what the work is where the machine is busy with other things.
"""

import contextlib
import os
import signal
import statistics
import subprocess
import sys
import time

from tracers import Attached, Child, Failed, fail, read_line, spread, undisturbed

MOST_READY, MOST_GONE_MS = 1 / 3, 60


def cpu_ms(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as stat:
            total += int(stat.read().split()[0]) / 1e6
    return total


class Command(Attached):
    def __init__(self, stack, build, pid, command):
        self.command = command
        super().__init__(stack, build, pid)


class OneProbe(Child):
    """bpftrace, which says so once its main loop runs."""

    def __init__(self, stack, build):
        file = os.path.abspath(os.path.join(build, "waitprobe-workload"))
        text = f'usdt:{file}:waitprobe:wait_stop {{ @ = count(); }} interval:ms:1 {{ printf("running\\n"); }}'
        began = time.monotonic()
        super().__init__(stack, ["bpftrace", "-B", "line", "-e", text], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        while "running" not in read_line(self.process.stdout, "bpftrace"):
            pass
        self.ready_ms = (time.monotonic() - began) * 1000


def measure(start):
    """Milliseconds until it is ready, of CPU time until then, and until it is gone."""
    with contextlib.ExitStack() as stack:
        tracer = start(stack)
        cpu = cpu_ms(tracer.process.pid)
        time.sleep(0.1)
        tracer.process.send_signal(signal.SIGINT)
        began = time.monotonic()
        if tracer.process.stdout:
            tracer.process.stdout.read()
        tracer.process.wait()  # without a deadline, for which Python would look now and then only
        return tracer.ready_ms, cpu, (time.monotonic() - began) * 1000


ROW = "{:26} {:>20} {:>20} {:>20} {:>22}"


def main():
    build, runs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 15
    if os.geteuid() != 0:
        fail("cannot attach tracers: run as root")
    with contextlib.ExitStack() as stack:
        pid = Child(stack, [os.path.join(build, "waitprobe-workload"), "--threads", "1", "--keys", "1", "--loop", "86400", "--pattern", "sleep",
                            "--hold-ns", "1000000"], stdout=subprocess.DEVNULL).process.pid
        starts = {"bpftrace, one probe": lambda stack: OneProbe(stack, build)}
        for command in ("hist", "slow"):
            starts[f"waitprobe {command}"] = lambda stack, command=command: Command(stack, build, pid, command)
        measured = {name: [] for name in starts}
        for _ in range(runs):
            for name, start in starts.items():
                measured[name].append(undisturbed(lambda start=start: measure(start)))
    print(ROW.format("", "ready, ms", "ready x bpftrace", "CPU until then, ms", "gone, ms"))
    (_, beside), *_ = measured.items()
    for name, values in measured.items():
        ready, cpu, gone = zip(*values)
        print(ROW.format(name, spread(ready, "{:.0f}"), spread([mine / other[0] for mine, other in zip(ready, beside)]), spread(cpu, "{:.0f}"),
                         spread(gone, "{:.0f}")))
    ready, _, gone = zip(*measured["waitprobe hist"])
    ratio = statistics.median(mine / other[0] for mine, other in zip(ready, beside))
    print(f"\nhist is ready after {ratio:.2f} x the time of bpftrace; target at most {MOST_READY:.2f}: {'yes' if ratio <= MOST_READY else 'NO'}")
    print(f"hist is gone after {statistics.median(gone):.0f} ms; target at most {MOST_GONE_MS}: {'yes' if statistics.median(gone) <= MOST_GONE_MS else 'NO'}")
    print(f"the load of the machine was {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs")


if __name__ == "__main__":
    try:
        main()
    except Failed as failed:
        sys.exit(f"begin_end_table.py: {failed}")
