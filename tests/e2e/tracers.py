# SPDX-License-Identifier: MIT
"""Other people's tracers, as tests run them."""

import os
import re
import signal
import subprocess
import unittest

import harness
from harness import Program, wait_until

FILE = harness.built("waitprobe-workload")
EVENTS = "/sys/kernel/tracing/uprobe_events"
# The system calls in which a tracer waits for events, or for time to pass: poll, select, nanosleep, clock_nanosleep, epoll_wait, pselect6,
# ppoll, epoll_pwait, epoll_pwait2; and on arm64 nanosleep, clock_nanosleep, pselect6, ppoll, epoll_pwait, epoll_pwait2.
WAITING = {"x86_64": {"7", "23", "35", "230", "232", "270", "271", "281", "441"}, "aarch64": {"101", "115", "72", "73", "22", "441"}}[os.uname().machine]


def is_attached(pid):
    """Whether a tracer has put up its events, and waits for them."""
    try:
        with open(f"/proc/{pid}/syscall", encoding="ascii") as call:
            if call.read().split()[0] not in WAITING:
                return False
        return any("perf_event" in os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return False


def in_session(session):
    return [int(pid) for pid in subprocess.run(["pgrep", "-s", str(session)], capture_output=True, text=True, check=False).stdout.split()]


def is_attached_in_session(session):
    return any(is_attached(pid) for pid in in_session(session))


def end_session(session):
    for pid in in_session(session):
        os.kill(pid, signal.SIGKILL)


def uprobe_events():
    with open(EVENTS, encoding="utf-8") as events:
        return events.read()


def append_events(lines):
    events = os.open(EVENTS, os.O_WRONLY | os.O_APPEND)  # Python's own "a" seeks, which the kernel refuses here
    try:
        os.write(events, lines.encode())
    finally:
        os.close(events)


def map_of(out, name):
    """A map as bpftrace prints it: its numbers by key."""
    return {key: int(number) for key, number in re.findall(rf"^@{name}\[(.*)\]: (\d+)$", out, re.M)}


def stop(program, interrupt):
    """bpftrace 0.17 forgets a signal that comes before its main loop: it is sent until it is heard. Returns the exit status."""
    heard_within_s = 5 * harness.PATIENCE  # a second signal, once it has heard the first, kills it
    for _ in range(harness.DEADLINE_S // heard_within_s):
        interrupt()
        try:
            return program.process.wait(heard_within_s)
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError(f"it did not end: {program}")


class Tracer(Program):
    """A tracer that runs until Ctrl-C, or until its process ends; attached to a process that carries the probes."""

    def __init__(self, words, carrier=None, **options):
        super().__init__(words, **options)
        wait_until(lambda: self.process.poll() is not None or
                   (is_attached(self.pid) and (carrier is None or harness.armed_word(carrier))), f"it has attached: {self}")

    def stop(self):
        return stop(self, lambda: self.signal(signal.SIGINT))

    def map(self, name):
        return map_of(self.out, name)

    def argdist(self):
        """What argdist has counted by key. It shows a key in two rows now and then: it compares more bytes than the text has."""
        counts = {}
        for count, key in re.findall(r"^\t(\d+) +arg1 = b'(.*)'$", self.out, re.M):
            counts[key] = counts.get(key, 0) + int(count)
        return counts

    def number(self, name):
        return int(re.search(rf"^@{name}: (\d+)$", self.out, re.M).group(1))

    def histogram(self, name, key=None):
        """Of a map of bpftrace with histograms: how many are in all its rows."""
        heading = re.escape(f"@{name}" if key is None else f"@{name}[{key}]")
        rows = re.search(rf"^{heading}: *\n((?:[\[(].*\n)*)", self.out, re.M)
        return sum(int(count) for count in re.findall(r"\)\s+(\d+)", rows.group(1))) if rows else 0


def bpftrace_version():
    told = subprocess.run(["bpftrace", "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in re.search(r"v(\d+)\.(\d+)", told).groups())


def assert_counted(test, counted, truth, tracer):
    """That a map of bpftrace has the true counts. bpftrace 0.23 makes an entry of a map with BPF_NOEXIST: of threads that meet at the first
    wait of a key, one counts and the others' counts are lost."""
    may_lose = 3 if bpftrace_version() >= (0, 23) else 0
    test.assertEqual(set(counted), set(truth), tracer)
    for key, count in truth.items():
        test.assertTrue(count - may_lose <= counted[key] <= count, f"{key}: {counted[key]} of {count}\n{tracer}")


def skip_broken_argdist(tracer):
    """That of bcc 0.31 (Debian 13) ends at its first table of a USDT probe: it looks at an attribute that it has set for other probes alone."""
    if "'Probe' object has no attribute 'htab_batch_ops'" in tracer.out:
        raise unittest.SkipTest("this argdist ends with an error at every USDT probe")


def bcc_environment(folder):
    """What bcc needs to compile: it wants the headers of the running kernel, which nobody packs for this one. Those of Debian's kernel serve for
    what it reads. They are in two folders, which bcc wants in one."""
    headers = sorted(name for name in os.listdir("/usr/src") if name.startswith("linux-headers-") and not name.endswith("-common"))
    common = [name for name in os.listdir("/usr/src") if name.startswith("linux-headers-") and name.endswith("-common")]
    if not headers or not common:
        raise AssertionError("there are no kernel headers: run scripts/install-deps.sh test")
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"lowerdir=/usr/src/{headers[-1]}:/usr/src/{common[-1]}", folder], check=True)
    return {"BCC_KERNEL_SOURCE": folder}
