# SPDX-License-Identifier: MIT
"""The HTTP server with made-up content, and its clients."""

import os
import re
import socket
import tempfile

import harness
from harness import TestCase, run, wait_until

GOOD = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
IDLE_CNT = 1000  # connections of those who attack
HASH = "$2b$10$abcdefghijklmnopqrstuuqflPDzB6gcMhKa1rZqKiun2YGL5sa2u"  # of "secret"


class Server(harness.Program):
    def __init__(self, listen="127.0.0.1:0", web="-", *names, before=()):
        super().__init__([*before, harness.built("waitprobe-http-server"), listen, web, *names])
        wait_until(lambda: "\n" in self.out or self.process.poll() is not None, "the server prints its port")
        if self.process.poll() is not None:
            raise AssertionError(f"the server does not start: {self}")
        self.port = int(self.out)

    def connected(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=harness.DEADLINE_S)

    def rss_kib(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))

    def fd_cnt(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def stop(self):
        """How many milliseconds it took."""
        self.signal(harness.signal.SIGTERM)
        if self.wait() != 0:
            raise AssertionError(f"the server did not end well: {self}")
        return int(re.search(r"stopped in (\d+) ms", self.out).group(1))


def status_of(curl):
    return int(re.match(r"HTTP/1\.\d (\d+)", curl.out).group(1)) if curl.out.startswith("HTTP/") else None


class Http(TestCase):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix="waitprobe-http-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def server(self, *words, **options):
        return self.started(Server(*words, **options))

    def curl(self, server, path="/", *options, scheme="http"):
        return run("curl", "-sS", "-i", "--max-time", 20, *options, f"{scheme}://127.0.0.1:{server.port}{path}")

    def assert_grew_less(self, server, before_kib, most_kib):
        if not harness.SANITIZED:
            self.assertLess(server.rss_kib() - before_kib, most_kib)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="ascii") as file:
            file.write(text)
        return self.path(name)
