# SPDX-License-Identifier: MIT
"""scripts/*.bt, bt.sh and perf-waits.sh."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

import harness
import tracers
from harness import Program, TestCase, Workload, wait_until
from tracers import FILE, Tracer, append_events, assert_counted, end_session, in_session, is_attached_in_session, uprobe_events

SCRIPTS = os.path.join(harness.SOURCE, "scripts")
WORK = ["--threads", "4", "--waits", "1009", "--keys", "5", "--pattern", "none"]
SLOW = ["--threads", "2", "--waits", "23", "--keys", "2", "--pattern", "sleep", "--hold-ns", "2000000"]
PATH = {"PATH": f"{os.path.abspath(harness.BUILD)}:{os.environ['PATH']}"}


def read_text(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


class Scripts(TestCase):
    """Each script by bpftrace alone, on a file."""

    def script(self, workload, name, *arguments):
        return self.started(Tracer(["bpftrace", os.path.join(SCRIPTS, name), FILE, *arguments], workload.pid))

    def traced(self, name, *arguments, work=()):
        workload = self.started(Workload(*(work or WORK)))
        tracer = self.script(workload, name, *arguments)
        workload.go()
        workload.wait()
        self.assertEqual(tracer.stop(), 0, tracer)
        return tracer, workload.truth()

    def test_waithist(self):
        tracer, truth = self.traced("waithist.bt")
        assert_counted(self, tracer.map("count"), truth, tracer)
        assert_counted(self, {key: tracer.histogram("duration_ns", key) for key in truth}, truth, tracer)

    def test_waitcount(self):
        # 3.5 seconds: at least two whole ones are printed, whenever the first of them begins.
        tracer, truth = self.traced("waitcount.bt", work=["--threads", "2", "--waits", "3500", "--keys", "2", "--pattern", "sleep",
                                                          "--hold-ns", "1000000"])
        assert_counted(self, tracer.map("count"), truth, tracer)
        seconds = [int(count) for count in re.findall(r"^@(?:even|odd)_count\[.*\]: (\d+)$", tracer.out, re.M)]
        self.assertGreaterEqual(len(seconds), 2 * len(truth), tracer)
        # What the last second held is not printed by itself.
        self.assertLess(sum(seconds), sum(truth.values()) + 1, tracer)
        self.assertGreater(max(seconds), 400, tracer)
        self.assertEqual(set(tracer.map("total_ns")), set(truth))
        self.assertRegex(tracer.out, r"(?m)^\d\d:\d\d:\d\d$")

    def test_waitslow(self):
        tracer, truth = self.traced("waitslow.bt", "1ms", work=SLOW)
        told = re.findall(r"^\d\d:\d\d:\d\d (\S+) (\d+) ns, \S+, pid \d+, tid \d+$", tracer.out, re.M)
        self.assertEqual({key: sum(name == key for name, _ in told) for key in truth}, truth, tracer)
        self.assertTrue(all(int(ns) >= 2_000_000 for _, ns in told), tracer)

    def test_waitslow_with_a_higher_threshold(self):
        for ns, is_told in (("1999999", True), ("900000000", False)):
            tracer, truth = self.traced("waitslow.bt", "1us", ns, work=SLOW)
            self.assertEqual(tracer.out.count(" ns, "), sum(truth.values()) if is_told else 0, tracer)

    def test_waitslow_walks_stacks_by_frame_pointers(self):
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.join(folder, "deep")
            subprocess.run(["g++", "-std=c++20", "-O2", "-fno-omit-frame-pointer", "-I", os.path.join(harness.SOURCE, "include"),
                            os.path.join(harness.SOURCE, "tests/e2e/stacks.cpp"), "-o", program, harness.built("libwaitprobe.a"), "-pthread"], check=True)
            self.started(Program([program, "60000"]))
            # Not Tracer: finding names keeps it so busy that it is hardly ever seen to wait for events.
            tracer = self.started(Program(["bpftrace", os.path.join(SCRIPTS, "waitslow.bt"), program, "1ms"]))
            wait_until(lambda: tracer.out.count("deep.wait") > 3, "stacks are told")
            tracers.stop(tracer, lambda: tracer.signal(signal.SIGINT))
            self.assertRegex(tracer.out, r"deep::called_back\(int\).*\n\s+deep::through\(.*\n\s+main\+", tracer)

    def test_waitopen(self):
        workload = self.started(Workload("--threads", "3", "--waits", "2", "--keys", "2", "--pattern", "sleep", "--hold-ns", "1800000000"))
        tracer = self.script(workload, "waitopen.bt")
        workload.go()
        wait_until(lambda: tracer.out.count("open at") >= 3, "it has looked three times")
        found = re.search(r"^open at (\d+) ms:\n((?:@began_ms.*\n){3})", tracer.out, re.M)
        self.assertIsNotNone(found, tracer)
        lines = re.findall(r"^@began_ms\[(\d+), (\d+), (\d+), (.*)\]: (\d+)$", found.group(2), re.M)
        self.assertEqual({(int(pid), key) for pid, _, _, key, _ in lines}, {(workload.pid, "work.0")}, tracer)
        self.assertEqual((len({tid for _, tid, _, _, _ in lines}), len({wait_id for _, _, wait_id, _, _ in lines})), (3, 3), tracer)
        began = [int(ms) for *_, ms in lines]
        self.assertEqual(began, sorted(began), "oldest first")
        self.assertLess(int(found.group(1)) - began[0], 1900, tracer)
        workload.wait()
        told = len(tracer.out)
        self.assertEqual(tracer.stop(), 0)
        self.assertNotIn("began_ms", tracer.out[told:], "all have ended")

    def test_waitopen_pairs_across_threads(self):
        tracer, _ = self.traced("waitopen.bt", work=["--threads", "4", "--waits", "300", "--keys", "2", "--cross-thread"])
        self.assertEqual(tracer.map("began_ms"), {}, tracer)

    def test_waitblame(self):
        tracer, truth = self.traced("waitblame.bt", work=SLOW)
        woken, counts = tracer.map("woken_by"), {}
        for key, count in [*woken.items(), *tracer.map("awake").items()]:
            counts[key.split(", ")[0]] = counts.get(key.split(", ")[0], 0) + count
        assert_counted(self, counts, truth, tracer)
        self.assertGreater(sum(woken.values()), sum(truth.values()) // 2, "a timer ends these sleeps")

    def test_waitblame_names_the_thread(self):
        story = harness.built("waitprobe-story-pool")
        target = self.started(Program([story, "3"]))
        tracer = self.started(Tracer(["bpftrace", os.path.join(SCRIPTS, "waitblame.bt"), story], target.pid))
        target.wait()
        tracer.stop()
        by = {(name, int(tid)) for name, tid in re.findall(r"^@woken_by\[db.pool.acquire, (.*), (\d+)\]: \d+$", tracer.out, re.M)}
        self.assertGreaterEqual(len(by), 4, f"whoever gives a connection back wakes the next: {tracer}")
        self.assertEqual({name for name, _ in by}, {"waitprobe-story"}, tracer)


class Launcher(TestCase):
    """bt.sh: the same on a pid, a file, or the machine."""

    def assert_counted(self, *words, script=os.path.join(SCRIPTS, "bt.sh"), cwd=None):
        workload = self.started(Workload(*WORK, "--linger"))
        words = [word if word != "PID" else workload.pid for word in words]
        script = self.started(Program([script, *words], env=PATH, start_new_session=True, cwd=cwd))
        self.addCleanup(end_session, script.pid)
        wait_until(lambda: script.process.poll() is not None or is_attached_in_session(script.pid), f"it has attached: {script}")
        workload.go()
        wait_until(lambda: workload.out.endswith("\n"), "the work is done")
        self.assertEqual(tracers.stop(script, lambda: os.killpg(script.pid, signal.SIGINT)), 0, script)
        counted = tracers.map_of(script.out, "count")
        assert_counted(self, {key: counted.get(key, 0) for key in workload.truth()}, workload.truth(), script)
        return counted

    def test_a_process(self):
        other = self.started(Workload(*WORK))
        other.go()
        self.assert_counted("-p", "PID", "waithist.bt")

    def test_a_file(self):
        self.assert_counted("-f", FILE, "waithist.bt")

    def test_the_machine(self):
        self.started(Program([harness.built("waitprobe-story-pool")]))
        self.assertIn("db.query", self.assert_counted("-a", "waithist.bt"))

    def test_programs_whose_names_would_be_read_as_a_part_of_the_script(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("a:b", "a,b", "a'b", 'a"b', "a{b", "a%sb", "a$1b", "a b", 'x:waitprobe:wait_stop{printf("INJECTED");exit();}usdt:y'):
                program = os.path.join(folder, name)
                shutil.copy(FILE, program)
                self.started(Workload(program=program))
            script = self.started(Program([os.path.join(SCRIPTS, "bt.sh"), "-a", "waithist.bt"], env=PATH, start_new_session=True))
            self.addCleanup(end_session, script.pid)
            wait_until(lambda: script.process.poll() is not None or is_attached_in_session(script.pid), f"it has attached: {script}")
            workloads = self._programs[:-1]
            for workload in workloads:
                workload.go()
                workload.wait()
            script.signal(signal.SIGINT)
            self.assertEqual(script.wait(), 0, script)
            self.assertIn(f"@count[work.0]: {1000 * len(workloads)}\n", script.out)
            self.assertNotIn("INJECTED", script.out)

    def test_a_process_that_bpftrace_cannot_trace_by_its_pid(self):
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.join(folder, "a:b")
            shutil.copy(FILE, program)
            colon = self.started(Workload(program=program))
            gone = self.started(Program([harness.built("waitprobe-main-thread-gone"), 0], stdin=subprocess.PIPE))
            self.addCleanup(gone.process.stdin.close)
            gone.process.stdin.write(b"mm")  # for each of its threads
            gone.process.stdin.flush()
            wait_until(lambda: "State:\tZ" in read_text(f"/proc/{gone.pid}/status"), "the main thread has ended")
            plugin = harness.built("workload-plugin.so")
            two = self.started(Workload("--keys", 1, "--plugin", plugin, "--linger"))
            two.go()
            wait_until(lambda: f"{plugin}\n" in read_text(f"/proc/{two.pid}/maps"), "the plug-in is there")
            both = f"the files of process {two.pid} that carry the probes [(]{re.escape(two.words[0])} {re.escape(plugin)}[)]"
            for pid, why in ((two.pid, both), (colon.pid, f"a path with ':' in it, as {re.escape(program)} of process {colon.pid}"), (gone.pid, "the main thread of process")):
                script = harness.run(os.path.join(SCRIPTS, "bt.sh"), "-p", pid, "waithist.bt", env=PATH)
                self.assertEqual(script.process.returncode, 1, script)
                self.assertRegex(script.err, f"^bt.sh: .*{why}.*-f FILE.*\n$")

    def test_a_process_with_a_name_that_is_hard_to_write(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("a b", "a*b", 'a"b', "a'b", "a{b", "a?b"):
                program = os.path.join(folder, name)
                shutil.copy(FILE, program)
                workload = self.started(Workload(*WORK, program=program))
                with self.subTest(name=name):
                    script = self.started(Program([os.path.join(SCRIPTS, "bt.sh"), "-p", workload.pid, "waithist.bt"], env=PATH, start_new_session=True))
                    self.addCleanup(end_session, script.pid)
                    wait_until(lambda: script.process.poll() is not None or is_attached_in_session(script.pid), f"it has attached: {script}")
                    workload.go()
                    workload.wait()
                    script.wait()
                    self.assertEqual(tracers.map_of(script.out, "count").get("work.0"), workload.truth()["work.0"], script)

    def test_a_signal_that_comes_early_or_to_the_script_alone(self):
        self.started(Workload())
        for after_s in (0.0, 0.05, 0.3):
            for number in (signal.SIGINT, signal.SIGTERM):
                script = self.started(Program([os.path.join(SCRIPTS, "bt.sh"), "-a", "waithist.bt"], env=PATH, start_new_session=True))
                self.addCleanup(end_session, script.pid)
                time.sleep(after_s)  # whenever it comes
                script.signal(number)
                script.wait()
                wait_until(lambda script=script: not in_session(script.pid), "nothing of it is left")

    def test_a_script_of_ones_own_by_a_link(self):
        with tempfile.TemporaryDirectory() as folder:
            own = os.path.join(folder, "own.bt")
            with open(own, "w", encoding="utf-8") as text:
                text.write('  usdt:$1:waitprobe:wait_stop /arg2 % 2 < 2/ { @count[str(arg0)] = count(); }')  # no line feed at its end
            link = os.path.join(folder, "bt.sh")
            os.symlink(os.path.join(SCRIPTS, "bt.sh"), link)
            os.mkdir(os.path.join(folder, "waithist.bt"))
            self.assert_counted("-f", FILE, own, script=link)
            self.assert_counted("-f", FILE, "waithist.bt", script=link, cwd=folder)

    def test_wrong_usage(self):
        for words, status in ((), 2), (("-f", FILE, "waitslow.bt"), 2), (("-f", FILE, "waitslow.bt", "5ms"), 2), (("-p", "x", "waithist.bt"), 2), (("-p", "4194305", "waithist.bt"), 1), (("-f", "/nowhere", "waithist.bt"), 1), \
                (("-a",), 2), (("-a", "nothing.bt"), 1), (("waithist.bt",), 2):
            ran = harness.run(os.path.join(SCRIPTS, "bt.sh"), *words)
            self.assertEqual(ran.process.returncode, status, ran)
            self.assertRegex(ran.err, r"^bt\.sh: .+\n$", ran)


class PerfWaits(TestCase):
    def setUp(self):
        super().setUp()
        self.before = uprobe_events()

    def assert_clean(self):
        self.assertEqual(uprobe_events(), self.before)

    def perf_waits(self, *words, **options):
        return self.started(Program([os.path.join(SCRIPTS, "perf-waits.sh"), *words], env=PATH, **options))

    @staticmethod
    def counts(program):
        return {key: int(count) for key, count in re.findall(r"^(.{32}) +(\d+) +\d\S*s +", program.out, re.M)}

    def assert_table(self, program, truth):
        self.assertEqual({key.strip(): count for key, count in self.counts(program).items()}, truth, program)
        self.assertRegex(program.out, rf"\n{sum(truth.values())} waits\n$")

    def test_a_command(self):
        for words in ((), ("-f", FILE)):
            program = self.perf_waits(*words, "--", FILE, *SLOW)
            self.assertEqual(program.wait(), 0, program)
            truth = harness.last_truth(re.search(r"^\{.*\}$", program.out, re.M).group())
            self.assert_table(program, truth)
            for p50 in re.findall(r"^work\S+ +\d+ +\S+ +(\S+)ms", program.out, re.M):
                self.assertGreaterEqual(float(p50), 2.0)
            self.assert_clean()

    def attached(self, *words, work=WORK, asleep=False):
        """Once its events are there and perf records them. It may have to sleep through the work."""
        workload = self.started(Workload(*work, "--linger"))
        program = self.perf_waits(*[word if word != "PID" else workload.pid for word in words], start_new_session=True)
        wait_until(lambda: program.process.poll() is not None or harness.armed_word(workload.pid), f"perf records: {program}")
        self.addCleanup(end_session, program.pid)
        wait_until(lambda: is_attached_in_session(program.pid), "perf waits for events on all CPUs")
        if asleep:
            os.killpg(program.pid, signal.SIGSTOP)
        workload.go()
        wait_until(lambda: workload.out.endswith("\n"), "the work is done")
        os.killpg(program.pid, signal.SIGCONT)
        return workload, program

    def test_keeps_what_comes_while_perf_gets_no_cpu(self):
        workload, program = self.attached("-p", "PID", work=["--threads", "1", "--waits", "20000", "--pattern", "none"], asleep=True)
        program.signal(signal.SIGINT)
        self.assertEqual(program.wait(), 0, program)
        self.assert_table(program, workload.truth())

    def test_what_perf_has_lost_is_told(self):
        workload, program = self.attached("-p", "PID", work=["--threads", "1", "--waits", "200000", "--pattern", "none"], asleep=True)
        program.signal(signal.SIGINT)
        self.assertEqual(program.wait(), 0, program)
        seen, lost = map(int, re.search(r"\n(\d+) waits; perf lost (\d+) more\n$", program.out).groups())
        self.assertIn(seen + lost - sum(workload.truth().values()), (0, 1), "the end of the thread is an event that may be lost as well")
        self.assertGreater(lost, 100_000, "a ring of 4 MiB holds no more")

    def test_a_process_until_ctrl_c(self):
        workload, program = self.attached("-p", "PID")
        os.killpg(program.pid, signal.SIGINT)  # as a terminal sends it
        self.assertEqual(program.wait(), 0, program)
        self.assert_table(program, workload.truth())
        self.assert_clean()

    def test_a_file_until_a_signal_comes_to_the_script_alone(self):
        workload, program = self.attached("-f", FILE)
        program.signal(signal.SIGTERM)
        self.assertEqual(program.wait(), 0, program)
        self.assert_table(program, workload.truth())
        self.assert_clean()

    def test_ends_after_its_time(self):
        workload = self.started(Workload(*WORK, "--linger"))
        began = time.monotonic()
        program = self.perf_waits("-p", workload.pid, "-d", "0.5")
        self.assertEqual(program.wait(), 0, program)
        self.assertGreater(time.monotonic() - began, 0.5)
        self.assertIn("\n0 waits\n", program.out)
        self.assert_clean()

    def test_leaves_events_of_others_alone(self):
        defined = harness.run(harness.TOOL, "tracefs", "-f", FILE, "--group", "somebody").out
        append_events(defined)
        try:
            before = uprobe_events()
            program = self.perf_waits("--", FILE, *WORK)
            self.assertEqual(program.wait(), 0, program)
            self.assertEqual(uprobe_events(), before)
        finally:
            removed = harness.run(harness.TOOL, "tracefs", "--group", "somebody", "--remove").out
            append_events(removed)

    def test_keys_that_would_not_stay_in_their_columns(self):
        program = self.perf_waits("--", FILE, "--nasty-keys", "--waits", "100")
        self.assertEqual(program.wait(), 0, program)
        table = program.out.split("\nkey ")[1]
        self.assertNotRegex(table, "[\x00-\x09\x0b-\x1f\x7f\u202e]")
        self.assertIn("new?line", table)
        self.assertIn("\n100 waits\n", table)
        self.assert_clean()

    def test_keys_that_would_pass_for_others(self):
        forged = 'x" timestamp_ns=1 duration_ns=99999999999 wait_id=1\nPERF_RECORD_LOST 5\nz'
        program = self.perf_waits("--", FILE, "--names", f"1,01,1.0,1e0,+1,PERF_RECORD_LOST,{forged}", "--waits", "140")
        self.assertEqual(program.wait(), 0, program)
        table = program.out.split("\nkey ")[1]
        self.assertEqual(len(re.findall(r"^.{32,} +20 +\d+\S* ", table, re.M)), 7, program)
        self.assertIn("\n140 waits\n", table)

    def test_a_process_without_its_children(self):
        workload = self.started(Workload("--threads", "1", "--waits", "40", "--fork-in-block", "10", "--child-waits", "5", "--linger"))
        program = self.perf_waits("-p", workload.pid, start_new_session=True)
        self.addCleanup(end_session, program.pid)
        wait_until(lambda: is_attached_in_session(program.pid) and harness.armed_word(workload.pid), "perf records")
        workload.go()
        wait_until(lambda: workload.out.endswith("\n"), "the work is done")
        self.assertGreater(workload.truth()["work.0"], 50, "its children wait as well")
        program.signal(signal.SIGINT)
        self.assertEqual(program.wait(), 0, program)
        self.assert_table(program, {"work.0": 40 + 10 // 2})  # and those that are open across every other fork

    def test_a_command_has_its_own_input_and_errors(self):
        ran = subprocess.run([os.path.join(SCRIPTS, "perf-waits.sh"), "-f", FILE, "--", "sh", "-c", "cat; echo oops >&2"], input="hello\n", text=True,
                             capture_output=True, env={**os.environ, **PATH}, check=False)
        self.assertEqual((ran.returncode, ran.stderr, ran.stdout.splitlines()[0]), (0, "oops\n", "hello"), ran)
        self.assert_clean()

    def test_a_signal_that_comes_early(self):
        workload = self.started(Workload())
        for after_s in (0.0, 0.02, 0.05, 0.2):
            program = self.perf_waits("-p", workload.pid, start_new_session=True)
            self.addCleanup(end_session, program.pid)
            time.sleep(after_s)  # whenever it comes
            os.killpg(program.pid, signal.SIGINT)
            program.wait()
            self.assert_clean()

    def test_wrong_usage(self):
        for words, status in ((), 2), (("-d", "0", "-p", "1"), 2), (("-f", FILE, "--", "no-such-command"), 1), (("-x",), 2), (("-d", "soon", "-p", "1"), 2), (("-p", "x"), 2), (("-p", "1", "-f", FILE), 2), ((FILE,), 2), \
                (("-p", "4194305"), 1), (("-f", "/bin/true"), 1), (("--", "no-such-command"), 1):
            program = self.perf_waits(*words)
            self.assertEqual(program.wait(), status, program)
            self.assertRegex(program.err, r"^(perf-waits\.sh|waitprobe): .+", program)
            self.assertEqual(program.out, "")
        self.assert_clean()


if __name__ == "__main__":
    harness.main()
