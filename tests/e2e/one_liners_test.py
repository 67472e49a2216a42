# SPDX-License-Identifier: MIT
"""Each one-liner of docs/one-liners.md, as it stands there, on a program that knows what it did."""

import os
import re
import shutil
import subprocess
import tempfile

import harness
import tracers
from harness import TestCase, Workload
from tracers import Tracer, assert_counted
from traces_test import Traced

NAMES = ("db.query", "db.pool.acquire", "cache.lock")
THREADS, WAITS = 4, 1009
DOCUMENT = os.path.join(harness.SOURCE, "docs/one-liners.md")


def one_liners():
    with open(DOCUMENT, encoding="utf-8") as document:
        found = re.findall(r"^### (.*)\n(?:(?!###|```).*\n)*```sh\n((?:(?!```).*\n)*)```", document.read(), re.M)
    return dict(found)


class OneLiners(TestCase):
    LINES = one_liners()
    tested = set()

    def setUp(self):
        super().setUp()
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.server = os.path.join(self.folder.name, "server")
        shutil.copy(tracers.FILE, self.server)
        self.environment = {"HOME": self.folder.name, "PERF_BUILDID_DIR": os.path.join(self.folder.name, "buildid"),
                            "PATH": f"{os.path.abspath(harness.BUILD)}:{os.environ['PATH']}:/usr/sbin"}

    def tearDown(self):
        super().tearDown()
        # Of a session that failed in the middle.
        for event in sorted(set(re.findall(rf"^p:(\S+) {re.escape(self.folder.name)}", tracers.uprobe_events(), re.M))):
            tracers.append_events(f"-:{event}\n")

    @classmethod
    def tearDownClass(cls):
        # One that is in the document without being tried here is a defect of this test.
        if not cls.is_narrowed:
            assert cls.tested == set(cls.LINES), set(cls.LINES) ^ cls.tested
        super().tearDownClass()

    is_narrowed = "WAITPROBE_ONE_LINER" in os.environ  # some of the tests are run alone

    def workload(self, *options, names=NAMES, threads=THREADS, waits=WAITS, **more):
        return self.started(Workload("--threads", threads, "--waits", waits, "--names", ",".join(names), *options, program=self.server, **more))

    def line(self, title):
        self.tested.add(title)
        return self.LINES[title]

    def attached(self, title, workload):
        """The one-liner, attached to the workload."""
        return self.started(Tracer(["bash", "-c", f"exec {self.line(title)}"], workload.pid, cwd=self.folder.name, env=self.environment))

    def traced(self, title, *options, **more):
        """Runs a workload under a one-liner: the tracer when it has ended, and the truth."""
        workload = self.workload(*options, **more)
        tracer = self.attached(title, workload)
        workload.go()
        workload.wait()
        harness.wait_until(lambda: tracers.is_attached(tracer.pid), "it has read what there is")
        tracer.stop()
        return tracer, workload.truth()

    def session(self, title, **work):
        """Runs lines that start ./server themselves: what they print."""
        return self.ran(title, **work).stdout

    def ran(self, title, **work):
        before = tracers.uprobe_events()
        environment = {**os.environ, **self.environment, "WORKLOAD_NAMES": ",".join(NAMES),
                       **{f"WORKLOAD_{name.upper()}": str(value) for name, value in work.items()}}
        ran = subprocess.run(["bash", "-e", "-c", self.line(title)], cwd=self.folder.name, env=environment, capture_output=True, text=True,
                             timeout=harness.DEADLINE_S, check=False)
        self.assertEqual(ran.returncode, 0, f"{ran.stdout[-2000:]}\n{ran.stderr}")
        self.assertEqual(tracers.uprobe_events(), before, "it has taken its events away")
        return ran

    def test_none_goes_without_the_semaphore(self):
        """It would count nothing, and lock everybody else out."""
        for title, line in self.LINES.items():
            self.assertNotRegex(line, r"uprobe:|perf probe (-x|--exec)|[\"' ]p:|p:uprobes|attach_uprobe", title)

    def test_none_names_a_file_of_a_process(self):
        """bpftrace 0.17 would put the probes of all its files into that one."""
        for title, line in self.LINES.items():
            if "bpftrace -p" in line:
                self.assertRegex(line, r"usdt:\*:waitprobe:", title)
                self.assertNotIn("usdt:/", line, title)

    # bpftrace

    def assert_counts(self, title, name="count"):
        tracer, truth = self.traced(title)
        assert_counted(self, tracer.map(name), truth, tracer)

    def test_how_many(self):
        self.assert_counts("How many waits, by key")

    def assert_histograms(self, title):
        tracer, truth = self.traced(title)
        assert_counted(self, {key: tracer.histogram("ns", key) for key in truth}, truth, tracer)

    def test_how_long(self):
        self.assert_histograms("How long they take, as histograms")

    def test_from_the_first_wait_on(self):
        out = self.session("A program from its first wait on")
        self.assertEqual(tracers.map_of(out, "count"), self.truth_of(out))

    def test_one_process(self):
        other = self.workload()
        workload = self.workload("--linger")
        tracer = self.attached("One process, whichever of its files carries the probes", workload)
        for program in (other, workload):
            program.go()
        other.wait()
        harness.wait_until(lambda: workload.out.endswith("\n"), "the work is done")
        workload.signal(15)
        self.assertEqual(tracer.wait(), 0, tracer)
        assert_counted(self, tracer.map("count"), workload.truth(), tracer)

    def test_stats(self):
        tracer, truth = self.traced("Count, average and total")
        found = re.findall(r"^@ns\[(.*)\]: count (\d+), average (\d+), total (\d+)$", tracer.out, re.M)
        assert_counted(self, {key: int(count) for key, count, _, _ in found}, truth, tracer)
        for _, count, average, total in found:
            self.assertEqual(int(total) // int(count), int(average))

    def test_by_process(self):
        workloads = [self.workload(), self.workload(waits=500)]
        tracer = self.attached("By process", workloads[0])
        for workload in workloads:
            workload.go()
            workload.wait()
        tracer.stop()
        assert_counted(self, tracer.map("count"), {f"server, {workload.pid}, {key}": count for workload in workloads
                                               for key, count in workload.truth().items()}, tracer)

    def test_by_thread(self):
        tracer, truth = self.traced("By thread")
        by_thread = {}
        for key, count in tracer.map("count").items():
            by_thread.setdefault(key.split(", ")[0], {})[key.split(", ")[1]] = count
        self.assertEqual(len(by_thread), THREADS)
        for counts in by_thread.values():
            self.assertEqual(counts, {key: count // THREADS for key, count in truth.items()}, tracer)

    def test_by_user(self):
        os.chmod(self.folder.name, 0o755)
        tracer, truth = self.traced("By user", before=("setpriv", "--reuid=65534", "--clear-groups"))
        assert_counted(self, tracer.map("count"), {f"65534, {key}": count for key, count in truth.items()}, tracer)

    def test_by_cgroup(self):
        groups = os.path.join(self.folder.name, "cgroup")
        os.mkdir(groups)
        subprocess.run(["mount", "-t", "cgroup2", "none", groups], check=True)
        self.addCleanup(lambda: subprocess.run(["umount", groups], check=True))
        group = os.path.join(groups, f"waitprobe-{os.getpid()}")
        os.mkdir(group)
        self.addCleanup(lambda: os.rmdir(group))
        tracer, truth = self.traced("By cgroup", before=("bash", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "bash"))
        assert_counted(self, tracer.map("count"), {f"{os.stat(group).st_ino}, {key}": count for key, count in truth.items()}, tracer)

    def test_one_key(self):
        tracer, truth = self.traced("One key only")
        assert_counted(self, {"db.query": tracer.histogram("ns")}, {"db.query": truth["db.query"]}, tracer)

    def test_keys_that_begin_so(self):
        tracer, truth = self.traced("All keys that begin with a word")
        assert_counted(self, tracer.map("count"), {key: count for key, count in truth.items() if key.startswith("db.")}, tracer)

    def test_two_keys(self):
        tracer, truth = self.traced("Two keys against each other", "--pattern", "spin", "--hold-ns", 10_000, waits=300)
        for name, key in (("query_ns", "db.query"), ("acquire_ns", "db.pool.acquire")):
            self.assertGreaterEqual(tracer.number(name), truth[key] * 10_000, tracer)
            self.assertLess(tracer.number(name), truth[key] * 10_000_000, tracer)

    def slow_work(self):
        return {"waits": 23, "threads": 2}, ("--pattern", "sleep", "--hold-ns", 2_000_000)

    def test_slow_ones(self):
        work, options = self.slow_work()
        tracer, truth = self.traced("Only the slow ones, as they end", *options, **work)
        told = re.findall(r"^\d\d:\d\d:\d\d (\S+) took (\d+) us in thread \d+$", tracer.out, re.M)
        self.assertEqual({key: sum(name == key for name, _ in told) for key in truth}, truth, tracer)
        self.assertTrue(all(int(us) >= 2000 for _, us in told), tracer)
        self.assertEqual(self.traced("Only the slow ones, as they end", waits=9)[0].out.count("took"), 0)

    def test_slow_ones_with_their_trace(self):
        shutil.copy(harness.built("waitprobe-traces"), self.server)
        program = self.started(Traced(self.server))
        tracer = self.attached("Slow ones with their trace", program)
        program.play("before", "after")
        harness.wait_until(lambda: tracers.is_attached(tracer.pid), "it has read what there is")
        tracer.stop()
        told = re.findall(r"^(\S+) (\d+) us (\w+)$", tracer.out, re.M)
        self.assertEqual([(key, letters) for key, _, letters in told], [("trace.before", "b" * 16), ("trace.after", "a" * 16)], tracer)

    def test_how_many_slow(self):
        work, options = self.slow_work()
        tracer, truth = self.traced("How many were slow, and how slow", *options, **work)
        for name in ("us_1", "ms_1"):
            assert_counted(self, tracer.map(name), truth, tracer)
        self.assertEqual(tracer.map("s_1"), {}, tracer)

    def test_over_time(self):
        tracer, truth = self.traced("Over time", "--pattern", "sleep", "--hold-ns", 1_000_000, waits=1500)
        assert_counted(self, {key: tracer.histogram("by_second", key) for key in truth}, truth, tracer)
        rows = re.search(r"^@by_second\[db.query\]: *\n((?:\[.*\n)*)", tracer.out, re.M).group(1)
        self.assertGreaterEqual(rows.count("\n"), 2, "1.5 s of waits are in two seconds at least")

    def test_slowest(self):
        work, options = self.slow_work()
        tracer, truth = self.traced("The slowest so far, and its stack", *options, **work)
        self.assertGreaterEqual(tracer.number("slowest_ns"), 2_000_000)
        self.assertIn(re.search(r"^@key: (.*)$", tracer.out, re.M).group(1), truth)
        self.assertRegex(tracer.out, r"@stack: *\n\s+(0x|\S*wait)", tracer)

    def test_pairs(self):
        self.assert_histograms("Starts and stops, paired")

    def test_moved(self):
        title = "Waits that end on another thread than they began on"
        tracer, truth = self.traced(title, "--cross-thread")
        assert_counted(self, tracer.map("moved"), truth, tracer)
        self.assertEqual(self.traced(title)[0].map("moved"), {})

    def test_waiting_now(self):
        tracer, truth = self.traced("How many are waiting now", "--pattern", "sleep", "--hold-ns", 1_500_000_000, names=("db.query",), waits=2)
        self.assertEqual(truth, {"db.query": 2 * THREADS})
        told = [int(count) for count in re.findall(r"^@waiting\[db.query\]: (-?\d+)$", tracer.out, re.M)]
        assert_counted(self, {"db.query": max(told)}, {"db.query": THREADS}, tracer)
        assert_counted(self, {"db.query": told[-1]}, {"db.query": 0}, tracer)
        fast, _ = self.traced("How many are waiting now")
        assert_counted(self, {key: int(count) for key, count in re.findall(r"^@waiting\[(.*)\]: (-?\d+)$", fast.out, re.M)},
                       dict.fromkeys(NAMES, 0), fast)

    def test_which_threads(self):
        tracer, truth = self.traced("Which threads wait most", "--pattern", "sleep", "--hold-ns", 1_000_000, waits=50)
        self.assertEqual((len(tracer.map("waits")), sum(tracer.map("waits").values())), (THREADS, sum(truth.values())), tracer)
        for waited in tracer.map("waited_ns").values():
            self.assertGreaterEqual(waited, 50 * 1_000_000)

    # Programs that end by themselves.

    def truth_of(self, out):
        return harness.last_truth(re.search(r'^\{"keys".*\}$', out, re.M).group())

    @staticmethod
    def keys_in(out):
        keys = re.findall(r'key="?([a-z.]+)"?\s', out)
        return {key: keys.count(key) for key in set(keys)}

    def test_perf(self):
        out = self.session("Every wait, by perf's own means", waits=300)
        self.assertEqual(len(re.findall(r"sdt_waitprobe:wait_stop: .* arg3=\d+", out)), 300)

    def test_perf_stat(self):
        self.environment["LC_ALL"] = "C"
        ran = self.ran("How many, and how many were slow, without recording", waits=30, pattern="sleep", hold_ns=2_000_000)
        counts = {name: int(count) for count, name in re.findall(r"^ +(\d+) +sdt_waitprobe:(\w+)", ran.stderr, re.M)}
        self.assertEqual(len(counts), 11)
        self.assertEqual([counts[name] for name in ("wait_start", "wait_stop", "wait_slow_1ms", "wait_slow_1s")], [30, 30, 30, 0], ran)

    def test_perf_with_keys(self):
        out = self.session("Every wait with its key", waits=300)
        self.assertEqual(self.keys_in(out), self.truth_of(out))

    def test_perf_by_key(self):
        out = self.session("How many by key, of a recording", waits=300)
        self.assertEqual({key: int(count) for count, key in re.findall(r"^ +(\d+) (\S+)$", out, re.M)}, self.truth_of(out))

    def assert_filtered(self, title, wanted):
        out = self.session(title, waits=60, pattern="spin", hold_ns=30_000)
        self.assertEqual(self.keys_in(out), {key: count for key, count in self.truth_of(out).items() if key in wanted}, out)
        few = self.session(title, waits=60)
        self.assertLess(sum(self.keys_in(few).values()), 30, "these take nanoseconds")
        return out

    def test_perf_filter(self):
        out = self.assert_filtered("The waits above a length, with stacks", NAMES)
        self.assertEqual(out.count(" waitprobe_fire_stop+"), 60)

    def test_trace_cmd(self):
        out = self.session("Every wait with its key, by trace-cmd", waits=300)
        self.assertEqual(self.keys_in(out), self.truth_of(out))

    def test_tracefs(self):
        out = self.session("Every wait with its key, by cat", waits=300)
        self.assertEqual(self.keys_in(out), self.truth_of(out))

    def test_tracefs_filter(self):
        self.assert_filtered("Only one key, and only long waits", ("db.query",))

    # bcc

    def test_tplist(self):
        out = self.session("Which probes does a file have")
        self.assertEqual(len(re.findall(r"server waitprobe:wait_\w+$", out, re.M)), 11, out)

    def bcc(self):
        headers = os.path.join(self.folder.name, "headers")
        os.mkdir(headers)
        self.environment.update(tracers.bcc_environment(headers))
        self.addCleanup(lambda: subprocess.run(["umount", headers], check=True))

    def bcc_traced(self, title, *options, **more):
        self.bcc()
        workload = self.workload("--linger", *options, **more)
        tracer = self.attached(title, workload)
        workload.go()
        status = tracer.wait()
        tracers.skip_broken_argdist(tracer)
        self.assertEqual(status, 0, tracer)
        return tracer, workload.truth()

    def test_argdist_counts(self):
        tracer, truth = self.bcc_traced("How many waits by key, by argdist", threads=1)  # of several it may lose some
        self.assertEqual(tracer.argdist(), truth, tracer)

    def test_argdist_histogram(self):
        tracer, truth = self.bcc_traced("How long they take, by argdist", threads=1)
        self.assertEqual(sum(int(count) for count in re.findall(r"-> \d+ +: (\d+)", tracer.out)), sum(truth.values()), tracer)

    def test_trace(self):
        self.bcc()
        tracer, truth = self.traced("Each wait above a millisecond, by trace", "--pattern", "sleep", "--hold-ns", 2_000_000, waits=5)
        told = re.findall(r"wait_slow_1ms +(\S+) (\d+)$", tracer.out, re.M)
        self.assertEqual({key: sum(name == key for name, _ in told) for key in truth}, truth, tracer)
        self.assertTrue(all(int(ns) >= 2_000_000 for _, ns in told), tracer)


if __name__ == "__main__":
    harness.main()
