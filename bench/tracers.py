# SPDX-License-Identifier: MIT
"""Starts what bench/attached_table.py measures, and ends it: the measuring programs and the tracers that look at them."""

import contextlib
import json
import os
import re
import select
import signal
import statistics
import subprocess
import tempfile
import threading
import time

DEADLINE_S = 60
TRIES = 20
SESSION = f"waitprobe-bench-{os.getpid()}"


class Failed(Exception):
    pass


def fail(text):
    raise Failed(text)


def somebody_looks_at_all():
    """Whether a `waitprobe hist -a` runs; we run none."""
    for process in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{process}/comm", encoding="utf-8", errors="replace") as comm:
                if comm.read() != "waitprobe\n":
                    continue
            with open(f"/proc/{process}/cmdline", encoding="utf-8", errors="replace") as words:
                if "-a" in words.read().split("\0"):
                    return True
    return False


class Watch:
    """Notices those who look at the whole machine, for as long as it is open."""

    def __enter__(self):
        self.disturbed = somebody_looks_at_all()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        while not self.over.wait(0.1):
            self.disturbed = self.disturbed or somebody_looks_at_all()

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.disturbed = self.disturbed or somebody_looks_at_all()


def undisturbed(measured):
    """What measured() returns, of a time when nobody else looked."""
    for _ in range(TRIES):
        deadline = time.monotonic() + DEADLINE_S
        while somebody_looks_at_all():
            if time.monotonic() > deadline:
                fail("somebody else's waitprobe hist -a is attached to all programs, and stays")
            time.sleep(0.1)
        failure = result = None
        with Watch() as watch:
            try:
                result = measured()
            except Failed as failed:
                failure = failed
        if not watch.disturbed:
            if failure:
                raise failure
            return result
    return fail("somebody else attaches to all programs again and again with waitprobe hist -a")


def spread(values, form="{:.2f}"):
    """The median, the least and the greatest."""
    return " ".join([form.format(statistics.median(values)), f"({form.format(min(values))}..{form.format(max(values))})"])


def read_line(stream, what):
    if not select.select([stream], [], [], DEADLINE_S)[0]:
        fail(f"{what} said nothing for {DEADLINE_S} s")
    line = stream.readline()
    if not line:
        fail(f"{what} ended too early")
    return line


class Child:
    """A process of ours, which does not outlive us."""

    def __init__(self, stack, words, **options):
        self.words = words
        self.process = subprocess.Popen(words, text=True, **options)
        stack.callback(self.end)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def wait(self):
        try:
            self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            fail(f"did not end within {DEADLINE_S} s: {' '.join(self.words)}")


class Program(Child):
    """One of the measuring programs, standing ready."""

    def __init__(self, stack, words, env=None):
        super().__init__(stack, words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **(env or {})})
        read_line(self.process.stdout, words[0])

    def measure(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(read_line(self.process.stdout, self.words[0]))

    def finish(self):
        self.process.stdin.close()
        self.wait()
        if self.process.returncode != 0:
            fail(f"{' '.join(self.words)} ended with {self.process.returncode}")


class Attached(Child):
    """A command of waitprobe, attached. Ends with the program."""

    command = counts_at_least = None  # of all waits

    def __init__(self, stack, build, pid, *options):
        read_end, write_end = os.pipe()
        self.out = stack.enter_context(tempfile.TemporaryFile("w+"))
        began = time.monotonic()
        super().__init__(stack, [os.path.join(build, "waitprobe"), self.command, "--json", "--ready-fd", str(write_end), "-p", str(pid), *options],
                         pass_fds=(write_end,), stdout=self.out)
        os.close(write_end)
        ready = select.select([read_end], [], [], DEADLINE_S)[0] and os.read(read_end, 1)
        self.ready_ms = (time.monotonic() - began) * 1000
        os.close(read_end)
        if not ready:
            fail(f"waitprobe {self.command} did not start")

    def last(self):
        self.wait()
        self.out.seek(0)
        return json.loads(self.out.read().splitlines()[-1])


class Hist(Attached):
    command, counts_at_least = "hist", 1

    def counted(self):
        return sum(series["count"] for series in self.last()["series"])


class Slow(Attached):
    """With a threshold that waits reach only when somebody keeps their thread from running."""

    command, counts_at_least = "slow", 0

    def __init__(self, stack, build, pid):
        super().__init__(stack, build, pid, "--min", "1ms")

    def counted(self):
        return self.last()["coverage"]["observed"]


class Bpftrace(Child):
    """bpftrace with a one-liner, attached: it says so once its main loop runs."""

    counts_at_least = 0.999  # a per-CPU map may lose an addition to another thread on the same CPU

    def __init__(self, stack, build, text):
        self.out = stack.enter_context(tempfile.TemporaryFile("w+"))
        text = text.format(file=os.path.abspath(os.path.join(build, "waitprobe-attached-loop")))
        super().__init__(stack, ["bpftrace", "-e", text + ' interval:ms:50 { printf("running\\n"); }'], stdout=self.out,
                         stderr=subprocess.STDOUT)
        deadline = time.monotonic() + DEADLINE_S
        while b"running" not in os.pread(self.out.fileno(), 4096, 0):
            if time.monotonic() > deadline or self.process.poll() is not None:
                self.out.seek(0)
                fail(f"bpftrace did not start: {text}\n{self.out.read()}")
            time.sleep(0.01)

    def counted(self):
        self.process.send_signal(signal.SIGINT)
        self.wait()
        self.out.seek(0)
        return sum(int(count) for count in re.findall(r"^[\[(][^|]*[\])]\s+(\d+) \|", self.out.read(), re.M))


class Lttng:
    """A session that writes to a folder. Where no daemon runs already, as it does once Debian has installed it, there is one of ours."""

    def __init__(self, stack):
        self.folder = stack.enter_context(tempfile.TemporaryDirectory())
        self.environment = {**os.environ, "LTTNG_HOME": self.folder}
        if self.command("list", check=False).returncode != 0:
            self.start_daemon(stack)

    def start_daemon(self, stack):
        with open(os.path.join(self.folder, "log"), "w", encoding="utf-8") as log:
            daemon = Child(stack, ["lttng-sessiond", "--no-kernel"], stdout=log, stderr=log, env=self.environment)
        stack.callback(self.end_daemon, daemon)
        deadline = time.monotonic() + DEADLINE_S
        while self.command("list", check=False).returncode != 0:
            if time.monotonic() > deadline or daemon.process.poll() is not None:
                with open(os.path.join(self.folder, "log"), encoding="utf-8") as log:
                    fail(f"lttng-sessiond did not start: {log.read()}")
            time.sleep(0.05)

    def command(self, *words, check=True):
        """Never starts a daemon by itself, which would stay behind."""
        ran = subprocess.run(["lttng", "--no-sessiond", *words], capture_output=True, text=True, check=False, env=self.environment)
        if check and ran.returncode != 0:
            fail(f"lttng {' '.join(words)}: {ran.stdout}{ran.stderr}")
        return ran

    def start(self, stack):
        """The rings have room for what comes while the consumer is kept from running."""
        self.command("create", SESSION, f"--output={self.folder}/trace")
        stack.callback(self.command, "destroy", SESSION, check=False)
        self.command("enable-channel", "-u", "-s", SESSION, "--subbuf-size=1M", "--num-subbuf=16", "channel")
        self.command("enable-event", "-u", "-s", SESSION, "-c", "channel", "waitprobe_bench:*")
        self.command("start", SESSION)

    def discarded(self):
        self.command("stop", SESSION)
        listed = self.command("--mi=xml", "list", SESSION).stdout
        counts = [int(n) for n in re.findall(r"<discarded_events>(\d+)<", listed)]
        if not counts:
            fail(f"lttng list does not say how many events were discarded: {listed}")
        return sum(counts)

    @staticmethod
    def end_daemon(daemon):
        """With its consumers, which a SIGKILL would leave behind."""
        daemon.process.terminate()
        daemon.wait()
