#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""CPU time and memory of the tool over 1,000 series: live_table.py BUILD_FOLDER [SECONDS], as root.

The memory is the most that it has held resident (VmHWM), its own and that of the files it maps. The time is that of all its threads,
over the seconds after it has begun, in parts of one core.
"""

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
import time

from tracers import Child, Failed, fail, undisturbed

SERIES = 1000
MOST_CPU, MOST_MB = 0.02, 30


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def most_mb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmHWM:\s+(\d+)", status.read()).group(1)) / 1000


class OnTerminal(Child):
    """A program on a terminal of 120 x 40, which is read."""

    def __init__(self, stack, words):
        self.terminal, theirs = pty.openpty()
        stack.callback(os.close, self.terminal)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        super().__init__(stack, words, stdin=theirs, stdout=theirs, env={**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"})
        os.close(theirs)
        self.shown = b""
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        with contextlib.suppress(OSError):
            while part := os.read(self.terminal, 65536):
                self.shown += part

    def has_worked(self):
        return b"coverage 100 %" in self.shown


class ToFile(Child):
    def __init__(self, stack, words):
        self.file = stack.enter_context(open(os.path.join(os.environ.get("TMPDIR", "/tmp"), f"live-{os.getpid()}"), "w+b"))
        stack.callback(os.unlink, self.file.name)
        super().__init__(stack, words, stdout=self.file)

    def has_worked(self):
        return len(re.findall(rb'^work\.\d+ |"key":"work\.\d+"', os.pread(self.file.fileno(), 1 << 27, 0), re.M)) >= SERIES


def measure(build, seconds, kind, *command):
    with contextlib.ExitStack() as stack:
        workload = Child(stack, [os.path.join(build, "waitprobe-workload"), "--threads", "2", "--keys", str(SERIES), "--loop", "3600",
                                 "--pattern", "sleep", "--hold-ns", "100000"], stdout=subprocess.DEVNULL)
        tool = kind(stack, [os.path.join(build, "waitprobe"), *command, "-i", "1", "-p", str(workload.process.pid)])
        time.sleep(3)
        before_s, began = cpu_s(tool.process.pid), time.monotonic()
        time.sleep(seconds)
        share = (cpu_s(tool.process.pid) - before_s) / (time.monotonic() - began)
        if not tool.has_worked():
            fail(f"{command}: it did not show the {SERIES} series: this was no measurement")
        return share, most_mb(tool.process.pid)


def main():
    build, seconds = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 20
    for name, kind in (("top", OnTerminal), ("hist", ToFile), ("record -o -", ToFile)):
        share, mb = undisturbed(lambda: measure(build, seconds, kind, *name.split()))  # pylint: disable=cell-var-from-loop
        print(f"{name + ' -i 1,':<17} {SERIES} series: {100 * share:.1f} % of one core (at most {100 * MOST_CPU:g}: {'yes' if share <= MOST_CPU else 'NO'}), "
              f"{mb:.1f} MB (at most {MOST_MB}: {'yes' if mb <= MOST_MB else 'NO'})")


if __name__ == "__main__":
    try:
        main()
    except Failed as failed:
        sys.exit(f"live_table.py: {failed}")
