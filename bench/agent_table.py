#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""CPU time and memory of the agent, and the time and size of a scrape: agent_table.py BUILD_FOLDER [SECONDS], as root.

CPU time is what the kernel says of the agent, and what the agent says of its BPF programs in the traced processes. Memory is the
most that was resident. Each format is asked for in turn, as Prometheus asks for it.
"""

import contextlib
import os
import re
import statistics
import subprocess
import sys
import time
import urllib.request

from live_table import cpu_s, most_mb
from tracers import Child, Failed, fail, undisturbed

PROCESSES, KEYS = 100, 10
EVERY_S = 5
MOST_CPU, MOST_MB, MOST_MS = 0.01, 64, 50
FORMATS = {
    "native": ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited", 200),
    "OpenMetrics": ("application/openmetrics-text;version=1.0.0", 3000),
    "text": ("text/plain", 3000),
}


def scrape(port, accept):
    """Milliseconds, kilobytes, and what was said."""
    began = time.monotonic()
    with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept": accept}), timeout=60) as answer:
        body = answer.read()
    return (time.monotonic() - began) * 1e3, len(body) / 1e3, body


def value(text, name):
    return float(re.search(rf"^{name} (\S+)$", text, re.M).group(1))


def measure(build, seconds):
    with contextlib.ExitStack() as stack:
        workload = os.path.join(build, "waitprobe-workload")
        for number in range(PROCESSES):
            names = ",".join(f"work.{number}.{key}" for key in range(KEYS))
            Child(stack, [workload, "--threads", "1", "--names", names, "--loop", "3600", "--pattern", "sleep", "--hold-ns", "10000000"],
                  stdout=subprocess.DEVNULL)
        errors = stack.enter_context(open(os.path.join(os.environ.get("TMPDIR", "/tmp"), f"agent-{os.getpid()}"), "w+", encoding="utf-8"))
        stack.callback(os.unlink, errors.name)
        agent = Child(stack, [os.path.join(build, "waitprobe"), "serve", "-f", workload, "--listen", "127.0.0.1:0"], stderr=errors)
        port = None
        while port is None:
            time.sleep(0.1)
            with open(errors.name, encoding="utf-8") as said:
                port = re.search(r"http://127\.0\.0\.1:(\d+)/", said.read())
        port = int(port.group(1))
        time.sleep(3)
        before = scrape(port, "text/plain")[2].decode()
        before_s, began = cpu_s(agent.process.pid), time.monotonic()
        scrapes = {name: [] for name in FORMATS}
        while time.monotonic() < began + seconds:
            for name, (accept, _) in FORMATS.items():
                scrapes[name].append(scrape(port, accept)[:2])
                time.sleep(EVERY_S)
        took_s = time.monotonic() - began
        own = (cpu_s(agent.process.pid) - before_s) / took_s
        after = scrape(port, "text/plain")[2].decode()
        if after.count("waitprobe_wait_seconds_count") < PROCESSES * KEYS:
            fail(f"it does not show {PROCESSES * KEYS} series: this was no measurement")
        bpf = (value(after, "waitprobe_bpf_run_seconds_total") - value(before, "waitprobe_bpf_run_seconds_total")) / took_s
        waits = (value(after, "waitprobe_waits_observed_total") - value(before, "waitprobe_waits_observed_total")) / took_s
        return own, bpf, waits, most_mb(agent.process.pid), scrapes


def main():
    build, seconds = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 60
    try:
        own, bpf, waits, memory_mb, scrapes = undisturbed(lambda: measure(build, seconds))
    except Failed as failed:
        sys.exit(f"agent_table.py: {failed}")
    told = lambda is_met: "yes" if is_met else "NO"
    print(f"{PROCESSES} processes, {PROCESSES * KEYS} series, {waits:.0f} waits a second, a scrape every {EVERY_S} s")
    print(f"CPU: {own + bpf:.2%} of a core ({own:.2%} of its own, {bpf:.2%} of BPF programs in others); target below {MOST_CPU:.0%}: "
          f"{told(own + bpf < MOST_CPU)}")
    print(f"memory: {memory_mb:.0f} MB; target at most {MOST_MB}: {told(memory_mb <= MOST_MB)}")
    for name, (_, most_kb) in FORMATS.items():
        ms, kb = (statistics.median(column) for column in zip(*scrapes[name]))
        print(f"scrape of {name}: {ms:.1f} ms, {kb:.0f} kB; target below {MOST_MS} ms, {most_kb} kB: {told(ms < MOST_MS and kb < most_kb)}")


if __name__ == "__main__":
    main()
