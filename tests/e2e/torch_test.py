# SPDX-License-Identifier: MIT
"""libwaitprobe_torch.so in a program whose wait counters find their backend as PyTorch's do, and `waitprobe run`."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile

import harness
import tracers
from harness import Hist, Program, TestCase, TOOL, Workload, built, run, wait_until

LIBRARY = os.path.abspath(built("libwaitprobe_torch.so"))
HOST = os.path.abspath(built("waitprobe-torch-host"))
OF_CHILDREN = ("host.in_child", "host.of_child")


def host(*options, **more):
    return Workload(*options, program=HOST, env={"LD_PRELOAD": LIBRARY, **more})


def without(counts, *keys):
    return {key: count for key, count in counts.items() if key not in keys}


class Backend(TestCase):
    def test_every_wait_is_counted_once(self):
        for transport in ([], ["--per-event"]):
            with self.subTest(transport=transport):
                program = self.started(host())
                everywhere = self.started(Hist("-f", LIBRARY, *transport))
                here = self.started(Hist("-p", program.pid, *transport))
                program.go()
                self.assertEqual(program.wait(), 0)
                everywhere.stop()
                self.assertEqual(everywhere.counts(), program.truth())
                self.assert_all_seen(everywhere.last())
                here.wait()
                self.assertEqual(here.counts(), without(program.truth(), *OF_CHILDREN))
                self.assert_all_seen(here.last())

    def test_times_are_its_own_in_nanoseconds(self):
        program = self.started(host())
        tool = self.started(Hist("-p", program.pid))
        program.go()
        program.wait()
        tool.wait()
        series = {one["key"]: one for one in tool.last()["series"]}
        self.assertTrue(1_000_000 <= series["host.meet"]["min_ns"] < 1_000_000_000, series["host.meet"])
        self.assertLess(series["host.plain"]["p50_ns"], 1000, "microseconds would not tell")

    def test_nobody_listens_and_the_keys_are_known(self):
        program = self.started(host())
        (carrier,) = json.loads(run(TOOL, "list", "--json", "-p", program.pid).out)["carriers"]
        self.assertEqual((carrier["file"], carrier["armed"], carrier["clock"]), (LIBRARY, False, None))
        self.assertEqual(set(carrier["keys"]), {"host.idle", *(f"many.{i}" for i in range(1000))})

    def test_bpftrace_sees_it(self):
        program = self.started(host())
        tracer = self.started(Program(["bpftrace", "-p", program.pid, "-e", "BEGIN { printf(\"ready\\n\"); }"
                                       f" usdt:{LIBRARY}:waitprobe:wait_stop {{ @[str(arg0)] = count(); }}"]))
        wait_until(lambda: "ready" in tracer.out and harness.armed_word(program.pid), "bpftrace is attached")
        program.go()
        program.wait()
        tracer.wait()
        counts = {key: int(count) for key, count in re.findall(r"^@\[(\S+)\]: (\d+)$", tracer.out, re.M)}
        tracers.assert_counted(self, without(counts, *OF_CHILDREN), without(program.truth(), *OF_CHILDREN), tracer)

    def test_open_waits_are_known_to_stuck(self):
        program = self.started(host(WAITPROBE_TRACK="1"))
        found = json.loads(run(TOOL, "stuck", "--json", "--older", "0", "-p", program.pid).out)
        self.assertEqual([wait["key"] for wait in found["open"]], ["host.idle"])
        self.assertEqual(found["untracked"], [])

    def test_without_it_the_program_finds_no_backend(self):
        alone = self.started(Program([HOST]))
        self.assertEqual(alone.wait(), 1)
        self.assertIn("no backend was found", alone.err)


class Everything(TestCase):
    """What works on a program that is linked with the library works on this one."""

    SCRIPTS = os.path.join(harness.SOURCE, "scripts")

    def test_commands(self):
        program = self.started(host("--rank", "1"))
        doctor = self.started(Program([TOOL, "doctor", "-p", program.pid]))
        self.assertEqual(doctor.wait(), 0)
        self.assertIn(f"ok probes {LIBRARY}: all 11", " ".join(doctor.out.split()))
        events = run(TOOL, "tracefs", "-p", program.pid).out
        self.assertRegex(events, rf"(?m)^p:waitprobe/wait_stop {LIBRARY}:0x")
        with tempfile.TemporaryDirectory() as folder:
            recording = os.path.join(folder, "waits.jsonl")
            tools = {}
            for name, *words in (("top", "-i", "0.5", "--json"), ("record", "-o", recording), ("slow", "--json", "--stack", "--min", "15ms")):
                ready, ready_child = os.pipe()
                tools[name] = self.started(Program([TOOL, name, *words, "--ready-fd", ready_child, "-p", program.pid],
                                                   pass_fds=(ready_child,)))
                os.close(ready_child)
                harness.wait_for_byte(ready, name)
                os.close(ready)
            program.go()
            self.assertEqual([program.wait(), *(tool.wait() for tool in tools.values())], [0] * 4)
            truth = without(program.truth(), *OF_CHILDREN)
            report = run(TOOL, "report", "--json", recording)
            self.assertEqual(harness.counts_of(harness.last_line(report.out)), truth)
            top = [json.loads(line) for line in tools["top"].out.splitlines() if line.startswith('{"waitprobe"')]
            self.assertEqual(sum(series["count"] for snapshot in top for series in snapshot["series"]), sum(truth.values()))
            told = [json.loads(line) for line in tools["slow"].out.splitlines()]
            slow = [wait for wait in told if wait.get("key") == "host.meet"]
            self.assertEqual(len(slow), truth["host.meet"])
            self.assertIn("meet (host.cpp", " ".join(slow[0]["stack"]))

    def test_scripts(self):
        for words, pattern in (("waithist.bt", r"@count\[host.meet\]: 5\n"), ("waitcount.bt", r"@count\[host.meet\]: 5\n"),
                               ("waitslow.bt 10ms", r"host.meet 2\d+ ns, waitprobe-torch"), ("waitblame.bt", r"@(awake|woken_by)\[host.meet")):
            with self.subTest(words):
                program = self.started(host("--rank", "1", "--linger", "60000"))
                script = self.started(Program([os.path.join(self.SCRIPTS, "bt.sh"), "-p", program.pid, *words.split()], start_new_session=True))
                self.addCleanup(tracers.end_session, script.pid)
                wait_until(lambda: script.process.poll() is not None or tracers.is_attached_in_session(script.pid), f"attached: {script}")
                program.go()
                wait_until(lambda: program.out.endswith("\n"), "the work is done")
                tracers.stop(script, lambda: os.killpg(script.pid, signal.SIGINT))
                self.assertRegex(script.out, pattern)

    def test_perf(self):
        program = self.started(host("--linger", "60000"))
        script = self.started(Program([os.path.join(self.SCRIPTS, "perf-waits.sh"), "-f", LIBRARY], start_new_session=True,
                                      env={"PATH": f"{os.path.abspath(harness.BUILD)}:{os.environ['PATH']}"}))
        self.addCleanup(tracers.end_session, script.pid)
        wait_until(lambda: script.process.poll() is not None or
                   (harness.armed_word(program.pid) and tracers.is_attached_in_session(script.pid)), f"perf records: {script}")
        program.go()
        wait_until(lambda: program.out.endswith("\n"), "the work is done")
        os.killpg(script.pid, signal.SIGINT)
        self.assertEqual(script.wait(), 0)
        self.assertRegex(script.out, r"(?m)^host.plain +20000 ")
        self.assertIn(f"\n{sum(program.truth().values())} waits\n", script.out)


class Doctor(TestCase):
    """What doctor says of a process that has PyTorch: here a library of that name which looks its backend up as PyTorch does."""

    SOURCE = """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <stddef.h>
        #include <unistd.h>
        struct { void *self, *start, *stop, *destroy; } backend;
        int counter(void) {
          static void (*hook)(void*, const char*, size_t);
          static int looked;
        #ifdef NAME
          if (!looked++) hook = (void (*)(void*, const char*, size_t))dlsym(RTLD_DEFAULT, NAME);
        #endif
          if (hook) hook(&backend, "a.key", 5);
          return backend.self != NULL;
        }"""
    NAME = "c10_monitor_wait_counter_dynamic_backend_init_v1"

    def found(self, script, *flags, preload=True):
        """In a Python that has loaded it and has run `script`."""
        with tempfile.TemporaryDirectory() as folder:
            library = os.path.join(folder, "libc10.so.2.6.0")
            subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", library, *flags], input=self.SOURCE, text=True, check=True)
            script = f"import ctypes, time\nc10 = ctypes.CDLL({library!r})\n{script}\nprint('ready', flush=True)\ntime.sleep(600)"
            program = self.started(Program(["python3", "-c", script], env={"LD_PRELOAD": LIBRARY} if preload else {}))
            wait_until(lambda: "ready" in program.out or program.process.poll() is not None, f"it is ready: {program}")
            told = json.loads(run(TOOL, "doctor", "--json", "-p", program.pid).out)
            return next(check for check in told["findings"][-1]["checks"] if check["name"] == "PyTorch")

    def test_says_whether_the_counters_have_their_backend(self):
        looks = f'-DNAME="{self.NAME}"'
        late = f"assert c10.counter() == 0; ctypes.CDLL({LIBRARY!r}, mode=ctypes.RTLD_GLOBAL); assert c10.counter() == 0"
        for script, flags, preload, status, found in (
                ("assert c10.counter() == 1", [looks], True, "ok", "1 of its wait counters have"),
                ("", [looks], True, "unknown", "none was used yet"),
                (late, [looks], False, "unknown", "the first was used before"),
                ("", [looks], False, "warning", "libwaitprobe_torch.so is not in the process"),
                ("", [], True, "warning", "libc10.so.2.6.0 does not support backends of wait counters (older than 2.6)"),
                # Far into the file, across pieces that it is read in.
                ("assert c10.counter() == 1", [looks, "-Wl,--section-start=.rodata=0x2fffe0"], True, "ok", "1 of its")):
            with self.subTest(script=script, flags=flags, preload=preload):
                check = self.found(script, *flags, preload=preload)
                self.assertEqual(check["status"], status, check)
                self.assertIn(found, check["found"])
                self.assertEqual("fix" in check, status != "ok")

    def test_says_nothing_of_pytorch_where_there_is_none(self):
        program = self.started(host("--linger", "60000"))
        told = json.loads(run(TOOL, "doctor", "--json", "-p", program.pid).out)
        self.assertNotIn("PyTorch", [check["name"] for check in told["findings"][-1]["checks"]])


class File(TestCase):
    """It goes into every program that is started, whatever that brings along."""

    def test_needs_libc_alone_and_shows_one_function(self):
        dynamic = run("readelf", "-dW", LIBRARY).out
        self.assertEqual(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic), ["libc.so.6"])
        self.assertIn("NODELETE", dynamic)
        symbols = run("nm", "-D", "--defined-only", LIBRARY).out.split("\n")
        self.assertEqual([line.split()[-1] for line in symbols if line], ["c10_monitor_wait_counter_dynamic_backend_init_v1"])

    def test_programs_of_any_kind_run_with_it(self):
        for words in (["true"], ["sh", "-c", "exec ls / | wc -l"], ["python3", "-c", "print(1)"], ["perl", "-e", "print 1"]):
            ran = self.started(Program(words, env={"LD_PRELOAD": LIBRARY}))
            self.assertEqual((ran.wait(), ran.err), (0, ""))

    def test_does_not_mix_with_a_copy_in_the_program(self):
        program = self.started(Workload("--waits", "1001", "--keys", "2", env={"LD_PRELOAD": LIBRARY}))
        tool = self.started(Hist("-p", program.pid))
        program.go()
        program.wait()
        tool.wait()
        self.assertEqual(tool.counts(), program.truth())
        self.assert_all_seen(tool.last())


class Run(TestCase):
    def run_torch(self, *words, **options):
        return self.started(Program([TOOL, "run", *words], **options))

    def test_hist_sees_everything_from_the_first_wait_on(self):
        tool = self.started(Hist("--", TOOL, "run", "--torch", "--", HOST))
        self.assertEqual(tool.wait(), 0)
        truth = harness.last_truth("\n".join(line for line in tool.out.splitlines() if line.startswith('{"keys"')))
        self.assertEqual(tool.counts(), truth)
        self.assert_all_seen(tool.last())

    def test_is_the_program_with_its_number_status_and_signals(self):
        ran = self.run_torch("--torch", "--", "sh", "-c", "echo $$; exit 7")
        self.assertEqual((ran.wait(), ran.out), (7, f"{ran.pid}\n"))
        ran = self.run_torch("--torch", "--", "sh", "-c", "echo up; exec sleep 60")
        wait_until(lambda: ran.out == "up\n", "it runs")
        ran.signal(signal.SIGTERM)
        self.assertEqual(ran.wait(), -signal.SIGTERM)
        signals = ["grep", "-E", "SigIgn|SigBlk", "/proc/self/status"]
        for setting in ("trap '' PIPE XFSZ USR1", "true"):
            found = self.started(Program(["sh", "-c", f"{setting}; exec \"$@\"", "sh", *signals]))
            ran = self.started(Program(["sh", "-c", f"{setting}; exec \"$@\"", "sh", TOOL, "run", "--track", "--", *signals]))
            self.assertEqual((found.wait(), ran.wait()), (0, 0))
            self.assertEqual(ran.out, found.out)

    def test_what_is_preloaded_already_stays_in_front(self):
        with tempfile.TemporaryDirectory() as folder:
            other = os.path.join(folder, "other.so")
            subprocess.run(["gcc", "-shared", "-x", "c", "/dev/null", "-o", other], check=True)
            show = ["--torch", "--", "sh", "-c", "echo $LD_PRELOAD; grep -c other.so /proc/self/maps"]
            ran = self.run_torch(*show, env={"LD_PRELOAD": other})
            ran.wait()
            preloaded, maps = ran.out.split()
            self.assertEqual(preloaded, f"{other}:{LIBRARY}")
            self.assertGreater(int(maps), 0)
            ran = self.run_torch(*show, env={"LD_PRELOAD": ""})
            ran.wait()
            self.assertEqual(ran.out.split()[0], LIBRARY)

    def test_twice_is_once(self):
        ran = self.run_torch("--torch", "--", TOOL, "run", "--torch", "--", "sh", "-c", "echo $LD_PRELOAD")
        ran.wait()
        self.assertEqual(ran.out, LIBRARY + "\n")

    def test_track(self):
        ran = self.run_torch("--track", "--", "sh", "-c", "echo $WAITPROBE_TRACK $LD_PRELOAD")
        ran.wait()
        self.assertEqual(ran.out, "1\n")

    def test_finds_the_library_where_both_are_installed(self):
        with tempfile.TemporaryDirectory() as folder:
            installed = subprocess.run(["cmake", "--install", harness.BUILD, "--prefix", folder], capture_output=True, check=True)
            self.assertIn(b"libwaitprobe_torch.so", installed.stdout)
            ran = self.started(Program([os.path.join(folder, "bin/waitprobe"), "run", "--torch", "--", "sh", "-c", "echo $LD_PRELOAD"]))
            ran.wait()
            self.assertRegex(ran.out, rf"^{folder}/lib.*/libwaitprobe_torch.so\n$")

    def test_one_clear_error_each(self):
        with tempfile.TemporaryDirectory() as folder:
            alone = shutil.copy(TOOL, folder)
            with_blank, with_dollar = (os.path.join(folder, name) for name in ("with blank", "$LIB"))
            for odd in (with_blank, with_dollar):
                os.mkdir(odd)
                for file in (TOOL, LIBRARY):
                    shutil.copy(file, odd)
            for words, status, text in (
                    ([TOOL, "run", "--torch"], 2, "no command"),
                    ([TOOL, "run", "--torch", "--"], 2, "no command"),
                    ([TOOL, "run", "--", "true"], 2, "nothing to prepare"),
                    ([TOOL, "run", "--torch", "--", "no-such-program"], 1, "cannot start no-such-program: No such file"),
                    ([TOOL, "run", "--torch", "--", "/etc/passwd"], 1, "cannot start /etc/passwd: Permission denied"),
                    ([alone, "run", "--torch", "--", "true"], 1, "cannot find libwaitprobe_torch.so: not found beside"),
                    ([with_blank + "/waitprobe", "run", "--torch", "--", "true"], 1, "LD_PRELOAD does not allow blanks"),
                    ([with_dollar + "/waitprobe", "run", "--torch", "--", "true"], 1, "LD_PRELOAD does not allow blanks, colons or '$'"),
                    (["unshare", "-m", "sh", "-c", f"umount -l /proc; exec {TOOL} run --torch -- true"], 1, "/proc/self/exe cannot be read")):
                ran = self.started(Program(words))
                self.assertEqual(ran.wait(), status, ran)
                self.assertIn(text, ran.err)
                self.assertLessEqual(ran.err.count("\n"), 2)


if __name__ == "__main__":
    harness.main()
