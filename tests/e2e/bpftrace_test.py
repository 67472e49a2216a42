# SPDX-License-Identifier: MIT
"""The probes in other people's tools."""

import os
import re
import subprocess
import tempfile

import harness
from harness import Hist, Program, TestCase, Workload, wait_until

WORK = ["--threads", "4", "--waits", "1009", "--keys", "5", "--pattern", "none"]
FILE = harness.built("waitprobe-workload")


class Bpftrace(TestCase):
    def bpftrace(self, *words):
        program = self.started(Program(["bpftrace", *words]))
        return program

    def one_liner(self, text, workload):
        """A one-liner whose probes are all attached: it says so once its main loop runs."""
        tracer = self.bpftrace("-e", text + ' interval:ms:50 { printf("running\\n"); }')
        wait_until(lambda: "running" in tracer.out and harness.armed_word(workload.pid), "bpftrace has attached")
        return tracer

    def interrupt(self, tracer):
        """bpftrace 0.17 forgets a signal that comes before its main loop: it is sent until it is heard."""
        heard_within_s = 5 * harness.PATIENCE  # a second signal, once it has heard the first, kills it
        for _ in range(harness.DEADLINE_S // heard_within_s):
            tracer.signal(2)
            try:
                return tracer.process.wait(heard_within_s)
            except subprocess.TimeoutExpired:
                continue
        raise AssertionError(f"bpftrace did not end: {tracer}")

    def counts(self, program, name):
        return {key: int(count) for key, count in re.findall(rf"^@{name}\[(.*)\]: (\d+)$", program.out, re.M)}

    def test_waithist_counts_what_hist_counts(self):
        workload = self.started(Workload(*WORK))
        script = self.bpftrace(os.path.join(harness.SOURCE, "scripts/waithist.bt"), FILE)
        wait_until(lambda: harness.armed_word(workload.pid), "bpftrace has attached")
        tool = self.started(Hist("-p", workload.pid))
        workload.go()
        workload.wait()
        tool.wait()
        self.assertEqual(self.interrupt(script), 0, script)
        self.assertEqual(self.counts(script, "count"), workload.truth())
        self.assertEqual(tool.counts(), workload.truth())
        histograms = re.split(r"^@duration_ns\[(.*)\]: *$", script.out, flags=re.M)[1:]
        for key, rows in zip(histograms[::2], histograms[1::2]):
            rows = rows.split("\n\n")[0]
            self.assertEqual(sum(int(n) for n in re.findall(r"^\[.*\)\s+(\d+)", rows, re.M)), workload.truth()[key], script)

    def test_keys_of_literals_that_nobody_touched_are_readable(self):
        self.assert_one_liner("usdt:{file}:waitprobe:wait_stop {{ @count[str(arg0)] = count(); }}")

    def test_starts_and_stops_pair_by_wait_id_and_carry_the_clock_of_nsecs(self):
        self.assert_one_liner(
            "usdt:{file}:waitprobe:wait_start {{ @began[arg2] = arg1; if (nsecs - arg1 > 1000000000) {{ @other_clock[1] = count(); }} }} "
            "usdt:{file}:waitprobe:wait_stop /@began[arg3]/ {{ @count[str(arg0)] = count(); "
            "if (arg1 - @began[arg3] != arg2) {{ @mismatch[1] = count(); }} delete(@began[arg3]); }}",
            absent=("@other_clock", "@mismatch", "@began"))

    def assert_one_liner(self, text, absent=()):
        workload = self.started(Workload(*WORK))
        tracer = self.one_liner(text.format(file=FILE), workload)
        workload.go()
        workload.wait()
        self.interrupt(tracer)
        self.assertEqual(self.counts(tracer, "count"), workload.truth(), tracer)
        for name in absent:
            self.assertNotIn(name, tracer.out)

    def test_slow_probes_fire_at_their_thresholds_and_not_below(self):
        text = " ".join(
            f"usdt:{FILE}:waitprobe:wait_slow_{name} {{ @count[\"{name}\"] = count(); if (arg2 < {ns}) {{ @too_short[1] = count(); }} }}"
            for name, ns in (("1us", 1000), ("1ms", 1000000), ("10ms", 10000000), ("1s", 1000000000)))
        workload = self.started(Workload("--threads", 2, "--waits", 23, "--keys", 1, "--pattern", "sleep", "--hold-ns", 2_000_000))
        tracer = self.one_liner(text, workload)
        workload.go()
        workload.wait()
        self.interrupt(tracer)
        counts = self.counts(tracer, "count")
        self.assertEqual((counts["1us"], counts["1ms"]), (46, 46), tracer)
        self.assertLess(counts.get("10ms", 0), 46, tracer)
        self.assertNotIn("1s", counts, tracer)
        self.assertNotIn("@too_short", tracer.out)


class Perf(TestCase):
    """The session of the README, with the events taken away again."""

    def perf(self, *words, **options):
        return subprocess.run(["perf", *words], capture_output=True, text=True, check=False, **options)

    def test_perf_records_every_wait_with_its_duration(self):
        with tempfile.TemporaryDirectory() as folder:
            home = {**os.environ, "HOME": folder, "PERF_BUILDID_DIR": os.path.join(folder, "buildid")}
            data = os.path.join(folder, "perf.data")
            added = self.perf("buildid-cache", "--add", FILE, env=home)
            self.assertEqual(added.returncode, 0, added)
            probed = self.perf("probe", "sdt_waitprobe:wait_stop", env=home)
            self.assertEqual(probed.returncode, 0, probed)
            try:
                recorded = self.perf("record", "-q", "-e", "sdt_waitprobe:wait_stop", "-o", data, FILE, "--threads", "2", "--waits", "23",
                                     "--keys", "1", "--pattern", "none", env=home)
                self.assertEqual(recorded.returncode, 0, recorded)
                script = self.perf("script", "-i", data, env=home)
                self.assertEqual(len(re.findall(r"sdt_waitprobe:wait_stop.*arg3=\d+", script.stdout)), 46, script)
            finally:
                removed = self.perf("probe", "-d", "sdt_waitprobe:wait_stop", env=home)
            self.assertEqual(removed.returncode, 0, removed)


if __name__ == "__main__":
    harness.main()
