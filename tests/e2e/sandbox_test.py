# SPDX-License-Identifier: MIT
"""Who is traced in a sandbox lives on and is counted exactly: an armed wait makes no system call. And a guard may stand inside what the
library itself calls.
"""

import json
import os
import signal
import subprocess
import tempfile
import time

import harness
from harness import Hist, Program, TestCase, TOOL, counts_of, run, wait_until

PROGRAM = harness.built("waitprobe-sandboxed")
# The greatest tick of a kernel, which is how coarse the coarse clock is.
TICK_S = 0.01


class Sandboxed(Program):
    def __init__(self, *words, env=None):
        super().__init__([PROGRAM, *words], stdin=subprocess.PIPE, env=env)

    def kill(self):
        super().kill()
        self.process.stdin.close()

    def feed(self, n):
        self.process.stdin.write(b"x" * n)
        self.process.stdin.flush()

    def await_letters(self, letter, n):
        wait_until(lambda: self.out.count(letter) == n or self.process.poll() is not None, f"{n} times {letter} of {self}")


class Sandbox(TestCase):
    def check(self, counts, workers, words, env=None, server=False, late=True, options=(), kill=False):
        """Attached to before and after the sandbox was entered. `kill`: it has ended when the tool looks at it."""
        program = self.started(Sandboxed(*words, env=env))
        if server and late:
            program.feed(1)
        if late:
            program.await_letters("s", workers)
        tool = self.started(Hist(*options, "-f", PROGRAM))
        time.sleep(2 * TICK_S)  # by the coarse clock, what comes sooner may have come before
        if server and not late:
            program.feed(1)
        program.await_letters("s", workers)
        program.feed(workers)
        program.await_letters("d", workers)
        self.assertEqual(program.out.count("d"), workers, f"alive: {program}")
        time.sleep(2 * TICK_S)
        if kill:
            program.kill()
        tool.stop()
        self.assertEqual(tool.counts(), counts, tool)
        if words[0] != "threads":
            program.process.stdin.close()
            self.assertEqual(program.wait(), 0, program)
        return tool.last()

    def test_the_first_wait_of_a_thread_and_of_a_key_makes_no_system_call(self):
        for mode in ("filter", "strict"):
            with self.subTest(mode):
                self.assert_all_seen(self.check({"box.wait": 100}, 1, [mode], env={"WAITPROBE_CLOCK": "coarse"} if mode == "strict" else {}))
        self.assert_all_seen(self.check({"box.wait": 100}, 1, ["filter"], env={"WAITPROBE_CLOCK": "monotonic"}))

    def test_threads_in_a_sandbox_are_counted(self):
        self.assert_all_seen(self.check({"box.wait": 1000}, 10, ["threads", 10]))

    def test_children_of_a_fork_server_are_counted(self):
        for late in (False, True):
            with self.subTest(late=late):
                self.assert_all_seen(self.check({"box.wait": 300}, 3, ["server", 3], server=True, late=late))

    def test_a_prepared_process_has_room_for_as_many_threads_as_it_asked_for(self):
        self.assert_all_seen(self.check({"box.wait": 4000}, 40, ["threads", 40], env={"WAITPROBE_PREPARE": "40"}))

    def test_what_finds_no_room_in_a_prepared_process_is_a_counted_loss(self):
        for options in ((), ("--per-event",)):
            for kill in (False, True):
                with self.subTest(options=options, kill=kill):
                    snapshot = self.check({"box.wait": 1600}, 20, ["threads", 20], env={"WAITPROBE_PREPARE": "1"}, options=options, kill=kill)
                    self.assertEqual(snapshot["losses"]["no_memory"], 400, snapshot["losses"])

    def test_slow_tells_of_waits_that_found_no_room(self):
        program = self.started(Sandboxed("threads", 20, env={"WAITPROBE_PREPARE": "1"}))
        program.await_letters("s", 20)
        read_end, write_end = os.pipe()
        tool = self.started(Program([TOOL, "slow", "--min", "1h", "--json", "--ready-fd", write_end, "-p", program.pid], pass_fds=(write_end,)))
        harness.wait_for_byte(read_end, tool)
        program.feed(20)
        program.await_letters("d", 20)
        tool.signal(signal.SIGINT)
        self.assertEqual(tool.wait(), 0, tool)
        self.assertEqual(json.loads(tool.out)["losses"]["no_memory"], 400, tool)

    def test_without_a_tool_own_tracking_makes_no_system_call_either(self):
        program = self.started(Sandboxed("filter", env={"WAITPROBE_TRACK": "1"}))
        program.feed(1)
        program.await_letters("d", 1)
        program.process.stdin.close()
        self.assertEqual(program.wait(), 0, program)


FUNCTIONS = {
    "mmap": ("void* mmap(void* a, size_t n, int p, int f, int fd, off_t o)", "(void*)syscall(SYS_mmap, a, n, p, f, fd, o)"),
    "munmap": ("int munmap(void* a, size_t n)", "syscall(SYS_munmap, a, n)"),
    "madvise": ("int madvise(void* a, size_t n, int x)", "syscall(SYS_madvise, a, n, x)"),
    "getrandom": ("ssize_t getrandom(void* b, size_t n, unsigned f)", "syscall(SYS_getrandom, b, n, f)"),
    "gettid": ("int gettid()", "syscall(SYS_gettid)"),
    "clock_gettime": ("int clock_gettime(clockid_t c, timespec* t)", "syscall(SYS_clock_gettime, c, t)"),
    "sched_yield": ("int sched_yield()", "syscall(SYS_sched_yield)"),
    "prctl": ("int prctl(int o, ...)", "-1"),
    "malloc": ("void* malloc(size_t n)", "__libc_malloc(n)"),
    "calloc": ("void* calloc(size_t m, size_t n)", "__libc_calloc(m, n)"),
    "free": ("void free(void* p)", "__libc_free(p)"),
    "pthread_setspecific": ("int pthread_setspecific(pthread_key_t k, const void* v)", "((int (*)(pthread_key_t, const void*))dlsym(RTLD_NEXT, \"pthread_setspecific\"))(k, v)"),
    "pthread_key_create": ("int pthread_key_create(pthread_key_t* k, void (*f)(void*))", "((int (*)(pthread_key_t*, void (*)(void*)))dlsym(RTLD_NEXT, \"pthread_key_create\"))(k, f)"),
}
INTERPOSED = """#include <waitprobe/wait_counter.h>
#include <dlfcn.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <thread>
extern "C" void* __libc_malloc(size_t);
extern "C" void* __libc_calloc(size_t, size_t);
extern "C" void __libc_free(void*);
extern "C" __attribute__((visibility("default"))) %s noexcept { STATIC_SCOPED_WAIT_COUNTER(os.call); return %s; }
static void wait() { for (int i = 0; i < 100; i++) { STATIC_SCOPED_WAIT_COUNTER(k); } }
int main() { wait(); std::thread(wait).join(); }
"""


class GuardsInside(TestCase):
    def test_a_guard_inside_what_the_library_calls_ends_in_no_recursion(self):
        with tempfile.TemporaryDirectory() as folder:
            for name, function in FUNCTIONS.items():
                program = os.path.join(folder, name)
                subprocess.run(["g++", "-std=c++20", "-fpermissive", "-w", "-I", os.path.join(harness.SOURCE, "include"), "-x", "c++", "-", "-x", "none",
                                harness.built("libwaitprobe.a"), "-o", program], input=INTERPOSED % function, text=True, check=True)
                for env in ({}, {"WAITPROBE_TRACK": "1"}, {"WAITPROBE_TRACK": "1", "WAITPROBE_PREPARE": "100"}):
                    with self.subTest(function=name, env=env):
                        ran = run(program, env=env)
                        self.assertEqual(ran.process.returncode, 0, ran)
                for options in ([], ["--per-event"]):
                    with self.subTest(function=name, options=options):
                        ran = run(TOOL, "hist", "--json", *options, "--", program)
                        self.assertEqual(ran.process.returncode, 0, ran)
                        self.assertEqual(counts_of(harness.last_line(ran.out))["k"], 200, ran)


if __name__ == "__main__":
    harness.main()
