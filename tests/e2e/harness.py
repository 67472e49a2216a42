# SPDX-License-Identifier: MIT
"""What end-to-end tests are written in: a workload that tells the truth, and the tool that is held against it.

Nothing here sleeps and hopes: programs say when they are ready, every wait has a deadline, and on failure the output of
every program is shown.
"""

import atexit
import functools
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import weakref

BUILD = os.environ.get("WAITPROBE_BUILD", os.path.join(os.path.dirname(__file__), "../../build"))
SOURCE = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
TOOL = os.path.abspath(os.path.join(BUILD, "waitprobe"))
# A machine that is emulated needs more of it.
PATIENCE = int(os.environ.get("WAITPROBE_PATIENCE", "1"))
DEADLINE_S = 60 * PATIENCE
# A sanitizer's own memory hides what a program takes.
SANITIZED = "WAITPROBE_SANITIZED" in os.environ


@functools.lru_cache(maxsize=None)
def _own_folder():
    folder = tempfile.TemporaryDirectory(prefix="waitprobe-test-")
    atexit.register(folder.cleanup)
    os.chmod(folder.name, 0o755)  # also for programs of other users
    return os.path.realpath(folder.name)


def note_place(file, probe):
    """Address and offset in the file of where the note of a probe points, by readelf."""
    notes = subprocess.run(["readelf", "-nW", file], capture_output=True, text=True, check=True).stdout
    address = int(re.search(rf"Name: {probe}\n\s+Location: (0x[0-9a-f]+)", notes).group(1), 16)
    segments = subprocess.run(["readelf", "-lW", file], capture_output=True, text=True, check=True).stdout
    for offset, start, size in re.findall(r"LOAD +(0x\w+) (0x\w+) 0x\w+ (0x\w+)", segments):
        if int(start, 16) <= address < int(start, 16) + int(size, 16):
            return address, address - int(start, 16) + int(offset, 16)
    raise AssertionError(f"{probe} of {file} is in no segment")


def attach_place(file, probe):
    """The same of where the tool attaches on this machine: at the first nop of the probe, or behind it."""
    _, note = note_place(file, "wait_stop")
    used = int(re.search(r"p:waitprobe/wait_stop \S+:0x([0-9a-f]+)\(", run(TOOL, "tracefs", "-f", file).out).group(1), 16)
    address, offset = note_place(file, probe)
    return address + used - note, offset + used - note


@functools.lru_cache(maxsize=None)
def built(name):
    """A file of the build. Of a program that waits, and of a plug-in, this test has a copy of its own: a tool that is attached
    to a file arms every process that runs it, those of a test beside this one as well."""
    path = os.path.abspath(os.path.join(BUILD, name))
    waits = name.startswith("waitprobe-") or name == "workload-plugin.so"
    return shutil.copy(path, _own_folder()) if waits else path


def wait_for_byte(fd, what, deadline_s=DEADLINE_S):
    """Waits until `what`, a Program or a name, writes a byte to the pipe. An end of file means that it has died."""
    if not select.select([fd], [], [], deadline_s)[0]:
        raise AssertionError(f"{what} was not ready within {deadline_s} s")
    if not os.read(fd, 1):
        if isinstance(what, Program):
            what.wait()  # it closes its files before it has said why
        raise AssertionError(f"{what} ended before it was ready")


def cpu_ticks(pid):
    """What a process has used of CPUs, in hundredths of a second."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
        return sum(int(number) for number in stat.read().rpartition(")")[2].split()[11:13])


def wait_until(condition, what, deadline_s=DEADLINE_S):
    """Polls a condition that nothing announces."""
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s} s: {what}")
        time.sleep(0.01)


def kernel_maps(pid):
    """The BPF maps that a process has open: {id: bytes}."""
    maps = {}
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        try:
            with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as file:
                info = dict(line.split(":", 1) for line in file.read().splitlines() if ":" in line)
        except FileNotFoundError:
            continue  # closed meanwhile
        if "map_id" in info:
            maps[int(info["map_id"])] = int(info["memlock"])
    return maps


class Program:
    """A started program whose output is kept in files, so that it never blocks on a full pipe."""

    def __init__(self, words, pass_fds=(), stdin=subprocess.DEVNULL, env=None, **options):
        self.words = [str(word) for word in words]
        self.out_file = tempfile.TemporaryFile("w+b")
        self.err_file = tempfile.TemporaryFile("w+b")
        for file in (self.out_file, self.err_file):
            weakref.finalize(self, file.close)
        self.process = subprocess.Popen(
            self.words, stdout=self.out_file, stderr=self.err_file, stdin=stdin, pass_fds=pass_fds,
            env={**os.environ, **(env or {})}, **options)

    @property
    def pid(self):
        return self.process.pid

    def _read(self, file):
        return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode("utf-8", "surrogateescape")

    @property
    def out(self):
        return self._read(self.out_file)

    @property
    def err(self):
        return self._read(self.err_file)

    def wait(self, deadline_s=DEADLINE_S):
        try:
            return self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"did not end within {deadline_s} s: {self}") from None

    def signal(self, number):
        if self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait()

    def __str__(self):
        return (f"{' '.join(self.words)} (pid {self.pid}, status {self.process.poll()})\n"
                f"--- stdout\n{self.out}--- stderr\n{self.err}---")


class Workload(Program):
    """waitprobe-workload, which stands at its start until go() is called. Started by the words `before`, if there are any."""

    def __init__(self, *options, program=None, env=None, pass_fds=(), before=()):
        ready, ready_child = os.pipe()
        go_child, self.go_fd = os.pipe()
        super().__init__([*before, program or built("waitprobe-workload"), "--ready-fd", ready_child, "--go-fd", go_child, *options],
                         pass_fds=(ready_child, go_child, *pass_fds), env=env)
        os.close(ready_child)
        os.close(go_child)
        wait_for_byte(ready, self)
        os.close(ready)

    def go(self):
        os.write(self.go_fd, b"g")
        os.close(self.go_fd)
        self.go_fd = None

    def kill(self):
        super().kill()
        if self.go_fd is not None:
            os.close(self.go_fd)
            self.go_fd = None

    def truth(self):
        return last_truth(self.out)


def last_line(text):
    """The truth that a workload has printed."""
    return json.loads(text.strip().splitlines()[-1])


def last_truth(text):
    """Its counts by key."""
    return last_line(text)["keys"]


class Hist(Program):
    """`waitprobe hist --json`, attached and ready."""

    def __init__(self, *options, json_output=True, ready=True, before=(), **program_options):
        read_end, write_end = os.pipe()
        # Another way to carry waits, for all tests at once.
        more = os.environ.get("WAITPROBE_HIST_OPTIONS", "").split()
        words = [*before, TOOL, "hist", "--ready-fd", write_end] + (["--json"] if json_output else []) + more + list(options)
        super().__init__(words, pass_fds=(write_end,), **program_options)
        os.close(write_end)
        if ready:
            wait_for_byte(read_end, self)
        os.close(read_end)

    def stop(self):
        self.signal(signal.SIGINT)
        return self.wait()

    def snapshots(self):
        # The last line may still be being written.
        lines = [line for line in self.out.splitlines(keepends=True) if line.startswith('{"waitprobe"') and line.endswith("\n")]
        return [json.loads(line) for line in lines]

    def last(self):
        snapshots = self.snapshots()
        if not snapshots:
            raise AssertionError(f"printed no snapshot: {self}")
        return snapshots[-1]

    def counts(self, pid=None):
        return counts_of(self.last(), pid)


def counts_of(snapshot, pid=None):
    """Counts by key, over all processes or of one."""
    counts = {}
    for series in snapshot["series"]:
        if pid is None or series["pid"] == pid:
            counts[series["key"]] = counts.get(series["key"], 0) + series["count"]
    return counts


def run(*words, **options):
    """Runs a program to its end."""
    program = Program(words, **options)
    program.wait()
    return program


def nobody_with(capabilities):
    """Words that run a program as an ordinary user with these: "bpf,perfmon"."""
    more = ",".join(f"+{name}" for name in capabilities.split(","))
    return ["setpriv", "--reuid=65534", "--clear-groups", f"--inh-caps={more}", f"--ambient-caps={more}"]


def needs_few_rights():
    """Whether four capabilities are enough: the kernel has links of type uprobe_multi, by its types, and CAP_PERFMON may use perf,
    which kernels of Debian refuse from 3 on."""
    with open("/proc/sys/kernel/perf_event_paranoid", encoding="ascii") as paranoia:
        is_paranoid = int(paranoia.read()) > 2
    with open("/sys/kernel/btf/vmlinux", "rb") as types:
        return not is_paranoid and b"\0bpf_uprobe_multi_link\0" in types.read()


class TestCase(unittest.TestCase):
    """Ends what a test has started, and shows what it printed if the test failed."""

    maxDiff = None

    def setUp(self):
        self._programs = []

    def started(self, program):
        self._programs.append(program)
        return program

    def tearDown(self):
        failed = any(error for _, error in getattr(self._outcome, "errors", [])) or not getattr(self._outcome, "success", True)
        for program in reversed(self._programs):
            program.kill()
            if failed:
                print(program, file=sys.stderr)

    def assert_all_seen(self, snapshot):
        self.assertEqual(snapshot["coverage"]["lost"], 0, snapshot["losses"])


def refusing(call, folder):
    """Words that begin a command line whose programs are refused this system call (EPERM), as a container refuses it."""
    program = os.path.join(folder, "refusing")
    subprocess.run(["gcc", "-x", "c", "-", "-o", program, "-lseccomp"], check=True, text=True, input=f"""
        #include <errno.h>
        #include <seccomp.h>
        #include <unistd.h>
        int main(int argc, char** argv) {{
          scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
          seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS({call}), 0);
          return seccomp_load(filter) != 0 || execvp(argv[1], argv + 1);
        }}""")
    return (program,)


def armed_word(pid):
    """What `waitprobe list` says of a process: is anybody listening?"""
    listed = run(TOOL, "list", "--json", "-p", pid)
    return json.loads(listed.out)["carriers"][0]["armed"]


def unreadable_pids():
    """Processes that not even root may look into: some machines have them."""
    pids = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/maps", "rb"):
                pass
        except PermissionError:
            pids.append(pid)
        except OSError:
            pass
    return pids


# Before the words of a program that mounts /proc in a user namespace, which the kernel lets it do where all of /proc is to be seen.
SEEING_ALL_OF_PROC = ("nsenter", f"--mount=/proc/{os.getppid()}/ns/mnt") if os.geteuid() == 0 else ()


def main():
    # What is said of those under -a is tested with a user who lacks a right (verified_test.py). For all others they are hidden,
    # in a mount namespace of the test's own.
    hidden = "WAITPROBE_HIDDEN_PIDS"
    pids = unreadable_pids() if os.geteuid() == 0 and hidden not in os.environ else []
    if pids:
        os.environ[hidden] = " ".join(pids)
        script = f'for pid in ${hidden}; do mount -t tmpfs none /proc/$pid || exit; done; exec "$@"'
        os.execvp("unshare", ["unshare", "--mount", "sh", "-c", script, "sh", sys.executable, "-B", *sys.argv])
    unittest.main(verbosity=2)
