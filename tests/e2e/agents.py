# SPDX-License-Identifier: MIT
"""`waitprobe serve`, and what it serves."""

import os
import re
import urllib.error
import urllib.request

import harness
from harness import TOOL, Program, wait_for_byte

OPENMETRICS = "application/openmetrics-text;version=1.0.0"


class Agent(Program):
    """`waitprobe serve`, attached and ready, at a port of its own."""

    def __init__(self, *options, ready=True, before=(), listen="127.0.0.1:0", tool=TOOL, **program_options):
        read_end, write_end = os.pipe()
        if os.environ.get("WAITPROBE_SANITIZED") and "env" not in program_options:
            # The search for leaks traces the program by ptrace(), which the agent denies itself.
            program_options["env"] = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
        listens = ["--listen", listen] if listen else []  # otherwise its file says where
        super().__init__([*before, tool, "serve", "--ready-fd", write_end, *listens, *options], pass_fds=(write_end,), **program_options)
        os.close(write_end)
        if ready:
            wait_for_byte(read_end, self)
            self.port = int(re.search(r"https?://[^/]*:(\d+)/", self.err).group(1))
        os.close(read_end)

    def get(self, path="/metrics", accept="text/plain", method="GET", **headers):
        """Status, headers and bytes of the answer."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method, headers={"Accept": accept, **headers})
        try:
            with urllib.request.urlopen(request, timeout=harness.DEADLINE_S) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def metrics(self):
        status, _, body = self.get()
        assert status == 200, (status, body)
        return Metrics(body.decode())


class Metrics:
    """A scrape of text: numbers by name and labels."""

    def __init__(self, text):
        self.text = text
        self.samples = {}
        for line in text.splitlines():
            found = re.fullmatch(r'([a-z_]+)(?:\{(.*)\})? (\S+)', line)
            if not line.startswith("#") and found:
                labels = tuple(sorted(re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', found.group(2) or "")))
                self.samples[found.group(1), labels] = float(found.group(3))

    def value(self, name, **labels):
        return self.samples[name, tuple(sorted(labels.items()))]

    def by(self, name, label, **labels):
        """Sums by one label, of the samples that have these labels besides."""
        sums = {}
        for (sample, values), number in self.samples.items():
            values = dict(values)
            if sample == name and label in values and labels.items() <= values.items():
                sums[values[label]] = sums.get(values[label], 0) + number
        return sums

    def counts(self, **labels):
        """Waits by key."""
        return {key: int(count) for key, count in self.by("waitprobe_wait_seconds_count", "key", **labels).items()}
