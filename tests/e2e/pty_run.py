# SPDX-License-Identifier: MIT
"""Runs a program on a terminal of its own."""

import os
import pty
import select
import time

from harness import DEADLINE_S


def run_on_terminal(words, *, env=None, until=None):
    """What it writes there until it ends, or until `until(output)` is true, when it gets an end of its terminal."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(words[0], [str(word) for word in words], {**os.environ, "TERM": "xterm", **(env or {})})
    output, end = b"", time.monotonic() + DEADLINE_S
    try:
        while until is None or not until(output):
            if not select.select([terminal], [], [], max(end - time.monotonic(), 0))[0]:
                os.kill(pid, 9)
                raise AssertionError(f"not within {DEADLINE_S} s: {words}\n{output!r}")
            try:
                part = os.read(terminal, 65536)
            except OSError:  # the last program on it has ended
                break
            if not part:
                break
            output += part
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)
    return output.decode("utf-8", "surrogateescape")
