# SPDX-License-Identifier: MIT
"""`waitprobe serve`: what it serves is what happened, it goes without a trace, and it has no more rights than it needs."""

import glob
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import harness
from agents import OPENMETRICS, Agent, Metrics
from harness import TOOL, TestCase, Workload, armed_word, built, run, wait_until


def capabilities(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return dict(line.rstrip().split(":\t", 1) for line in status if line.startswith(("Cap", "NoNewPrivs", "Seccomp:")))


class Serve(TestCase):
    def test_counts_are_exact(self):
        agent = self.started(Agent("-f", built("waitprobe-workload")))
        for _ in range(2):
            before = agent.metrics().counts()
            workload = self.started(Workload("--threads", 4, "--waits", 20000, "--keys", 3, "--pattern", "none"))
            workload.go()
            self.assertEqual(workload.wait(), 0, workload)
            after = agent.metrics()
            self.assertEqual({key: count - before.get(key, 0) for key, count in after.counts().items()}, workload.truth())
            self.assertEqual(after.value("waitprobe_coverage_ratio"), 1)
            self.assertEqual(set(after.by("waitprobe_waits_lost_total", "reason").values()), {0})
            self.assertEqual(after.by("waitprobe_wait_seconds_count", "program").keys(), {"waitprobe-workl"})
        self.assertEqual(after.value("waitprobe_attached_files"), 1)

    def test_all_formats_say_the_same(self):
        agent = self.started(Agent("-f", built("waitprobe-workload")))
        workload = self.started(Workload("--threads", 2, "--waits", 1000, "--keys", 2, "--pattern", "none"))
        workload.go()
        workload.wait()
        _, headers, text = agent.get()
        self.assertTrue(headers["Content-Type"].startswith("text/plain; version=0.0.4"), headers)
        _, headers, openmetrics = agent.get(accept=OPENMETRICS)
        self.assertTrue(headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0"), headers)
        self.assertTrue(openmetrics.endswith(b"# EOF\n"))
        for body in (text, openmetrics):
            self.assertEqual(Metrics(body.decode()).counts(), workload.truth())
        protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
        _, headers, body = agent.get(accept=protobuf)
        self.assertIn("delimited", headers["Content-Type"])
        for key in workload.truth():
            self.assertIn(key.encode(), body)
        status, headers, body = agent.get(method="HEAD")
        self.assertEqual((status, body), (200, b""))

    def test_promtool_finds_nothing_wrong(self):
        agent = self.started(Agent("-a", "--labels", "pid,unit,container,pod"))
        workload = self.started(Workload("--threads", 2, "--waits", 1000, "--keys", 2, "--pattern", "none"))
        workload.go()
        workload.wait()
        checked = subprocess.run([shutil.which("promtool") or "/usr/bin/promtool", "check", "metrics"], input=agent.get()[2], check=False,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual((checked.returncode, checked.stdout), (0, b""))

    def test_the_slowest_wait_of_each_bucket_is_an_exemplar(self):
        for options in (["--waits", 50, "--pattern", "sleep", "--hold-ns", 3000000],  # the tool takes them from the ring
                        ["--waits", 200000, "--pattern", "none"]):                    # the kernel
            with self.subTest(options=options):
                workload = self.started(Workload("--threads", 2, "--keys", 1, *options, "--linger", env={"WAITPROBE_CLOCK": "monotonic"}))
                agent = self.started(Agent("-p", workload.pid))
                hist = self.started(harness.Hist("-p", workload.pid))
                began = time.time()
                workload.go()
                wait_until(lambda w=workload: w.out.endswith("}\n"), "the work is done")
                hist.stop()
                (series,) = hist.last()["series"]
                found = exemplars(agent.get(accept=OPENMETRICS)[2].decode())
                slowest = max(found, key=lambda exemplar: exemplar[1])
                self.assertAlmostEqual(slowest[1], series["max_ns"] / 1e9, delta=1e-9)
                for labels, seconds, moment, bound_below, bound in found:
                    self.assertEqual(labels["pid"], str(workload.pid))
                    self.assertTrue(bound_below < seconds <= bound, found)
                    self.assertTrue(began - 1 < moment < time.time() + 1, found)
                    if "--hold-ns" in map(str, options):
                        continue
                    self.assertNotIn(labels["tid"], {str(agent.pid)})
                self.assertEqual(exemplars(agent.get(accept=OPENMETRICS)[2].decode()), [], "they have been shown")

    def test_open_waits_have_an_age(self):
        program = self.started(harness.Program([built("waitprobe-story-hang")], env={"WAITPROBE_TRACK": "1"}))
        agent = self.started(Agent("-p", program.pid))
        wait_until(lambda: agent.metrics().by("waitprobe_open_waits", "key"), "a wait is open")
        first = agent.metrics().by("waitprobe_oldest_open_wait_seconds", "key")
        time.sleep(0.3)
        second = agent.metrics().by("waitprobe_oldest_open_wait_seconds", "key")
        key = max(second, key=second.get)
        self.assertGreater(second[key], first.get(key, 0))

    def test_open_waits_are_of_the_wanted_keys(self):
        program = self.started(harness.Program([built("waitprobe-open-waits")], stdin=subprocess.PIPE, env={"WAITPROBE_TRACK": "1"}))
        wait_until(lambda: "ready" in program.out, "all waits are open")
        agent = self.started(Agent("-p", program.pid, "-k", "*.wait", "--not", "idle.*"))
        found = agent.metrics().by("waitprobe_open_waits", "key")
        self.assertEqual(found["many.wait"], 40)
        self.assertEqual([key for key in found if not key.endswith(".wait") or key.startswith("idle.")], [])
        everything = self.started(Agent("-p", program.pid)).metrics().by("waitprobe_open_waits", "key")
        self.assertLess(set(found), set(everything))

    def test_processes_are_told_apart_by_labels(self):
        agent = self.started(Agent("-f", built("waitprobe-workload"), "--labels", "pid", "--by-env", "RANK"))
        workloads = [self.started(Workload("--threads", 1, "--waits", 100 * (rank + 1), "--keys", 1, "--pattern", "none", env={"RANK": str(rank)}))
                     for rank in range(2)]
        for workload in workloads:
            workload.go()
            workload.wait()
        metrics = agent.metrics()
        for rank, workload in enumerate(workloads):
            self.assertEqual(metrics.counts(pid=str(workload.pid), group=str(rank)), workload.truth())

    def test_ends_at_once_and_leaves_nothing(self):
        workload = self.started(Workload("--threads", 2, "--waits", 1000, "--keys", 2, "--pattern", "none"))
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
            agent = self.started(Agent("-p", workload.pid))
            self.assertNotEqual(armed_word(workload.pid), 0)
            maps = harness.kernel_maps(agent.pid)
            self.assertNotEqual(maps, {})
            agent.signal(number)
            self.assertEqual(agent.wait(), 0 if number != signal.SIGKILL else -signal.SIGKILL, agent)
            wait_until(lambda: armed_word(workload.pid) == 0, "the guards are idle")

    def test_lets_go_of_many_files(self):
        with tempfile.TemporaryDirectory() as folder:
            workloads = []
            for number in range(50):
                shutil.copy(built("waitprobe-workload"), f"{folder}/{number}")
                workloads.append(self.started(Workload("--threads", 1, "--waits", 1, "--keys", 1, "--pattern", "none", program=f"{folder}/{number}")))
            agent = self.started(Agent("-a"))
            self.assertGreaterEqual(agent.metrics().value("waitprobe_attached_files"), 50)
            agent.signal(signal.SIGTERM)
            self.assertEqual(agent.wait(), 0, agent)
            self.assertEqual([armed_word(workload.pid) for workload in workloads], 50 * [False])

    def test_takes_as_many_descriptors_as_it_may(self):
        agent = self.started(Agent("-f", built("waitprobe-workload"), before=("prlimit", "--nofile=100:5000")))
        self.assertEqual(agent.metrics().value("process_max_fds"), 5000)

    def test_gives_up_what_it_does_not_need(self):
        workload = self.started(Workload("--threads", 1, "--waits", 10, "--keys", 1, "--pattern", "none"))
        agent = self.started(Agent("-p", workload.pid))
        for task in os.listdir(f"/proc/{agent.pid}/task"):
            with self.subTest(task=task):
                status = capabilities(f"{agent.pid}/task/{task}")
                kept = int(status["CapPrm"], 16)
                # CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_SYS_MODULE, CAP_DAC_OVERRIDE, CAP_SETUID
                for number in (21, 12, 16, 1, 7):
                    if number == 21 and not harness.needs_few_rights():
                        continue
                    self.assertEqual(kept >> number & 1, 0, f"capability {number}")
                self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))
        workload.go()
        workload.wait()
        self.assertEqual(agent.metrics().counts(), workload.truth())

    def test_listens_beyond_this_machine_only_if_told_to(self):
        for address in ("0.0.0.0:0", ":0", "[::]:0"):
            refused = run(TOOL, "serve", "-a", "--listen", address)
            self.assertEqual(refused.process.returncode, 1, refused)
            self.assertIn("other machines can reach this address", refused.err)
        agent = self.started(Agent("-f", built("waitprobe-workload"), "--insecure", listen="0.0.0.0:0"))
        self.assertEqual(agent.get("/readyz")[0], 200)

    def test_names_of_strangers_are_refused(self):
        agent = self.started(Agent("-f", built("waitprobe-workload"), "--host-name", "metrics.example"))
        self.assertEqual(agent.get("/metrics", Host="evil.example")[0], 403)
        self.assertEqual(agent.get("/metrics", Host="metrics.example")[0], 200)
        self.assertEqual(agent.get("/nothing")[0], 404)

    def test_options_come_from_a_file_too(self):
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as config:
            def write(text):
                config.seek(0)
                config.truncate()
                config.write(text)
                config.flush()

            write(f'file = "{built("waitprobe-workload")}"\nidle = ["key0"]\n')
            agent = self.started(Agent("--config", config.name))

            def classes():
                workload = self.started(Workload("--threads", 1, "--waits", 10, "--keys", 2, "--pattern", "none"))
                workload.go()
                workload.wait()
                return workload.truth(), agent.metrics().by("waitprobe_wait_seconds_count", "key", **{"class": "idle"})

            truth, idle = classes()
            keys = sorted(truth)
            write(f'file = "{built("waitprobe-workload")}"\nidle = ["{keys[0]}"]\n')
            agent.signal(signal.SIGHUP)
            wait_until(lambda: "read again" in agent.err, "the options are read again")
            truth, idle = classes()
            self.assertEqual(idle, {keys[0]: truth[keys[0]]})
            write('no-such-option = 1\n')
            agent.signal(signal.SIGHUP)
            wait_until(lambda: f"'no-such-option' in {config.name} is no option of this command" in agent.err, "it says what is wrong")
            self.assertEqual(agent.get("/readyz")[0], 200)
            agent.signal(signal.SIGTERM)
            self.assertEqual(agent.wait(), 0)

    def test_keys_that_come_to_be_wanted_count_from_then_on(self):
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as config:
            config.write(f'file = "{built("waitprobe-workload")}"\nkey = ["work.0"]\n')
            config.flush()
            agent = self.started(Agent("--config", config.name))

            def worked():
                workload = self.started(Workload("--threads", 1, "--waits", 10, "--keys", 2, "--pattern", "none"))
                workload.go()
                workload.wait()
                return agent.metrics().counts()

            self.assertEqual(worked(), {"work.0": 5})
            config.seek(0)
            config.truncate()
            config.write(f'file = "{built("waitprobe-workload")}"\n')
            config.flush()
            agent.signal(signal.SIGHUP)
            wait_until(lambda: "read again" in agent.err, "the options are read again")
            self.assertEqual(worked(), {"work.0": 10, "work.1": 5})

    def test_pages_for_people_and_supervisors(self):
        agent = self.started(Agent("-f", built("waitprobe-workload")))
        status, headers, page = agent.get("/", accept="text/html")
        self.assertEqual(status, 200)
        self.assertTrue(headers["Content-Type"].startswith("text/html"))
        self.assertIn("default-src 'none'", headers["Content-Security-Policy"])
        self.assertIn(b'<a href="/metrics">', page)
        self.assertEqual(agent.get("/healthz")[::2], (200, b"ok\n"))
        self.assertEqual(agent.get("/readyz")[0], 200)

    def test_pushes_the_same_by_otlp(self):
        received = []

        class Receiver(http.server.BaseHTTPRequestHandler):
            def do_POST(self):  # pylint: disable=invalid-name
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.append((self.path, self.headers["Content-Type"], self.headers["X-Test"], json.loads(body)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        workload = self.started(Workload("--threads", 2, "--waits", 1000, "--keys", 2, "--pattern", "none"))
        self.started(Agent("-p", workload.pid, "--otlp", f"http://127.0.0.1:{server.server_port}", "--otlp-interval", "1s", "--otlp-header", "X-Test: yes"))
        workload.go()
        workload.wait()

        def counts():
            if not received:
                return None
            (resource,) = received[-1][3]["resourceMetrics"]
            (scope,) = resource["scopeMetrics"]
            points = next((metric["exponentialHistogram"]["dataPoints"] for metric in scope["metrics"] if "exponentialHistogram" in metric), [])
            return {attribute["value"]["stringValue"]: int(point["count"]) for point in points for attribute in point["attributes"]
                    if attribute["key"] == "key"}

        wait_until(lambda: counts() == workload.truth(), "all waits are pushed")
        self.assertEqual(received[-1][:3], ("/v1/metrics", "application/json", "yes"))

    def test_says_once_that_a_push_failed(self):
        agent = self.started(Agent("-f", built("waitprobe-workload"), "--otlp", "http://127.0.0.1:1", "--otlp-interval", "1s"))
        wait_until(lambda: agent.metrics().value("waitprobe_otlp_pushes_failed_total") >= 2 and "cannot push" in agent.err, "it has failed, and said so")
        self.assertEqual(agent.err.count("waitprobe: cannot push to http://127.0.0.1:1: "), 1)

    def test_tls_and_passwords(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "server.key", "-out", "server.pem", "-subj",
                            "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"], cwd=folder, check=True, capture_output=True)
            with open(f"{folder}/web.yml", "w", encoding="ascii") as file:
                # The password is "open sesame".
                file.write("tls_server_config: {cert_file: server.pem, key_file: server.key}\n"
                           "basic_auth_users: {ali: '$2b$05$WIlSvQozSbzKTPPrRvWvHeEr0dsBrdejK201zjRBdglx7bRsIfHZK'}\n")
            agent = self.started(Agent("-f", built("waitprobe-workload"), "--web-config", file.name, listen="0.0.0.0:0"))
            curl = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", f"{folder}/server.pem"]
            url = f"https://localhost:{agent.port}/metrics"
            for user, status in ((None, "401"), ("ali:wrong", "401"), ("ali:open sesame", "200")):
                self.assertEqual(run(*curl, *(["-u", user] if user else []), url).out, status)

    def test_its_own_cost_is_what_the_kernel_says(self):
        workload = self.started(Workload("--threads", 2, "--waits", 3000000, "--keys", 4, "--pattern", "none"))
        agent = self.started(Agent("-p", workload.pid))
        with open("/proc/sys/kernel/bpf_stats_enabled", "r+", encoding="ascii") as switch:
            switch.write("1")
            switch.flush()
            try:
                before = agent.metrics().value("waitprobe_bpf_run_seconds_total")
                workload.go()
                workload.wait()
                after = agent.metrics()
                ns = sum(int(re.search(r"^run_time_ns:\t(\d+)$", info, re.M).group(1)) for info in fdinfos(agent.pid)
                         if "\nprog_type:\t2\n" in info or "\nprog_type:\t5\n" in info)
            finally:
                switch.seek(0)
                switch.write("0")
        measured = after.value("waitprobe_bpf_run_seconds_total") - before
        self.assertAlmostEqual(measured / (ns / 1e9), 1, delta=0.2)
        with open(f"/proc/{agent.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(") ")[2].split()
        cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        self.assertAlmostEqual(agent.metrics().value("process_cpu_seconds_total"), cpu, delta=max(0.03, 0.2 * cpu))


def exemplars(openmetrics):
    """Labels, seconds and moment of each, and the bounds of its bucket."""
    return [exemplar for of_key in exemplars_by_key(openmetrics).values() for exemplar in of_key]


def exemplars_by_key(openmetrics):
    found, below = {}, 0.0
    for line in openmetrics.splitlines():
        bucket = re.match(r'waitprobe_wait_seconds_bucket\{(.*)le="([^"]+)".*\} \d+(?: # \{(.*)\} (\S+) (\S+))?$', line)
        if bucket:
            of, bound, labels, *numbers = bucket.groups()
            key, bound = re.search(r'key="([^"]*)"', of).group(1), float(bound)
            if labels:
                found.setdefault(key, []).append((dict(re.findall(r'(\w+)="([^"]*)"', labels)), *map(float, numbers), below, bound))
            below = 0.0 if bound == float("inf") else bound
    return found


def fdinfos(pid):
    for path in glob.glob(f"/proc/{pid}/fdinfo/*"):
        try:
            with open(path, encoding="ascii") as file:
                yield "\n" + file.read()
        except FileNotFoundError:
            pass


if __name__ == "__main__":
    harness.main()
