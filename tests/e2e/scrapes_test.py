# SPDX-License-Identifier: MIT
"""A real Prometheus scrapes `waitprobe serve`: what it answers is what happened."""

import json
import os
import shutil
import signal
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import harness
from agents import Agent
from harness import Hist, Program, TestCase, Workload, built, run, wait_until

CONFIG = """
global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}
scrape_configs:
  - job_name: waitprobe
    static_configs: [{{targets: [{targets}]}}]
"""


class Prometheus(Program):
    """A server that scrapes these ports of this machine."""

    def __init__(self, ports):
        self.folder = tempfile.mkdtemp()
        config = os.path.join(self.folder, "prometheus.yml")
        with open(config, "w", encoding="ascii") as file:
            file.write(CONFIG.format(targets=", ".join(f"'127.0.0.1:{port}'" for port in ports)))
        super().__init__(["prometheus", "--enable-feature=native-histograms", f"--config.file={config}", f"--storage.tsdb.path={self.folder}/data",
                          "--web.listen-address=127.0.0.1:0", "--log.level=info"])
        wait_until(lambda: self.port() is not None and self.is_ready(), "Prometheus is ready")

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port()}/-/ready", timeout=harness.DEADLINE_S) as answer:
                return answer.status == 200
        except urllib.error.URLError:
            return False

    def port(self):
        for line in self.err.splitlines():
            if 'msg="Listening on"' in line:
                return int(line.rsplit(":", 1)[1])
        return None

    def query(self, text, at=None):
        """The values of an instant vector, by their labels without those of the job."""
        parameters = {"query": text, **({"time": at} if at else {})}
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port()}/api/v1/query?{urllib.parse.urlencode(parameters)}",
                                    timeout=harness.DEADLINE_S) as answer:
            return [(row["metric"], float(row["value"][1])) for row in json.load(answer)["data"]["result"]]

    def one(self, text, at=None):
        rows = self.query(text, at)
        return rows[0][1] if len(rows) == 1 else None

    def kill(self):
        super().kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def within_a_bucket(one, other):
    return abs(one / other - 1) <= 2 ** (1 / 8) - 1 + 1e-3


class Scraped(TestCase):
    def wait_for_count(self, prometheus, key, count):
        text = f'sum(histogram_count(waitprobe_wait_seconds{{key="{key}"}}))'
        wait_until(lambda: prometheus.one(text) == count, f"{text} is {count}, not {prometheus.one(text)}")

    def test_native_histograms_say_what_hist_says(self):
        workload = self.started(Workload("--threads", 2, "--waits", 2000, "--keys", 2, "--pattern", "spin", "--hold-ns", 200000))
        agent = self.started(Agent("-p", workload.pid))
        hist = self.started(Hist("-p", workload.pid))
        prometheus = self.started(Prometheus([agent.port]))
        workload.go()
        workload.wait()
        hist.wait()
        for series in hist.last()["series"]:
            key = series["key"]
            self.wait_for_count(prometheus, key, workload.truth()[key])
            self.assertAlmostEqual(prometheus.one(f'histogram_sum(waitprobe_wait_seconds{{key="{key}"}})'), series["total_ns"] / 1e9,
                                   delta=1e-3 * series["total_ns"] / 1e9)
            for quantile, name in ((0.5, "p50_ns"), (0.9, "p90_ns"), (0.99, "p99_ns")):
                found = prometheus.one(f'histogram_quantile({quantile}, waitprobe_wait_seconds{{key="{key}"}})')
                self.assertTrue(within_a_bucket(found * 1e9, series[name]), (key, name, found, series))

    def test_rates_hold_over_a_restart_of_the_agent(self):
        workload = self.started(Workload("--threads", 1, "--loop", 600, "--keys", 1, "--pattern", "sleep", "--hold-ns", 10000000))
        agent = self.started(Agent("-p", workload.pid))
        prometheus = self.started(Prometheus([agent.port]))
        workload.go()
        rate = "sum(histogram_count(rate(waitprobe_wait_seconds[4s])))"
        count = 'sum(histogram_count(waitprobe_wait_seconds{key="work.0"}))'

        def counted():
            """Exactly, while the session lasts: waits from one moment to another, and the seconds between them."""
            before, began = agent.metrics().counts()["work.0"], time.time()
            time.sleep(4)
            return (agent.metrics().counts()["work.0"] - before) / (time.time() - began)

        def assert_rate(text):
            truth = counted()
            self.assertAlmostEqual(prometheus.one(text) / truth, 1, delta=0.15)

        wait_until(lambda: prometheus.one(count), "it was scraped")
        assert_rate(rate)
        port = agent.port
        agent.signal(signal.SIGTERM)
        agent.wait()
        agent = self.started(Agent("-p", workload.pid, listen=f"127.0.0.1:{port}"))
        time.sleep(6)
        assert_rate(rate)
        self.assertGreater(prometheus.one("sum(histogram_count(increase(waitprobe_wait_seconds[30s])))"), 0)
        self.assertEqual(prometheus.one("resets(process_start_time_seconds[1m]) + changes(process_start_time_seconds[1m])"), 1)

    def test_many_agents_add_up_as_merged_recordings_do(self):
        machines = 20
        workloads, agents, recorders = [], [], []
        with tempfile.TemporaryDirectory() as folder:
            for machine in range(machines):
                workload = self.started(Workload("--threads", 1, "--waits", 100, "--keys", 1, "--pattern", "spin", "--hold-ns", 50000 * (machine + 1)))
                workloads.append(workload)
                agents.append(self.started(Agent("-p", workload.pid, "--max-series", 100)))
                recorders.append(self.started(Program([harness.TOOL, "record", "-o", f"{folder}/{machine}.jsonl", "-p", workload.pid])))
            for recorder in recorders:
                wait_until(lambda r=recorder: os.path.exists(r.words[3]) and armed(r), "it records")
            prometheus = self.started(Prometheus([agent.port for agent in agents]))
            for workload in workloads:
                workload.go()
                workload.wait()
            for recorder in recorders:
                recorder.wait()
            report = json.loads(run(harness.TOOL, "report", "--by-key", "--json", *(recorder.words[3] for recorder in recorders)).out.splitlines()[-1])
            (series,) = report["series"]
            self.wait_for_count(prometheus, "work.0", 100 * machines)
            self.assertEqual(series["count"], 100 * machines)
            for quantile, name in ((0.5, "p50_ns"), (0.99, "p99_ns")):
                found = prometheus.one(f"histogram_quantile({quantile}, sum(waitprobe_wait_seconds))")
                self.assertTrue(within_a_bucket(found * 1e9, series[name]), (found, series))


def armed(recorder):
    return harness.kernel_maps(recorder.pid) != {}


if __name__ == "__main__":
    harness.main()
