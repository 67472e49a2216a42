# SPDX-License-Identifier: MIT
"""A real Prometheus scrapes `waitprobe serve`: what it answers is what happened."""

import json
import os
import signal
import tempfile
import time

import harness
from agents import Agent
from harness import Hist, Program, TestCase, Workload, run, wait_until
from prometheus_server import Prometheus

def one(server, expression):
    """The one value of a result; None if there is none, or are several."""
    rows = server.query(expression)
    return float(rows[0]["value"][1]) if len(rows) == 1 else None


def within_a_bucket(one, other):
    return abs(one / other - 1) <= 2 ** (1 / 8) - 1 + 1e-3


class Scraped(TestCase):
    def wait_for_count(self, prometheus, key, count):
        text = f'sum(histogram_count(waitprobe_wait_seconds{{key="{key}"}}))'
        wait_until(lambda: one(prometheus, text) == count, f"{text} is {count}, not {one(prometheus, text)}")

    def test_native_histograms_say_what_hist_says(self):
        workload = self.started(Workload("--threads", 2, "--waits", 2000, "--keys", 2, "--pattern", "spin", "--hold-ns", 200000))
        agent = self.started(Agent("-p", workload.pid))
        hist = self.started(Hist("-p", workload.pid))
        prometheus = self.started(Prometheus(f"127.0.0.1:{agent.port}"))
        workload.go()
        workload.wait()
        hist.wait()
        for series in hist.last()["series"]:
            key = series["key"]
            self.wait_for_count(prometheus, key, workload.truth()[key])
            self.assertAlmostEqual(one(prometheus, f'histogram_sum(waitprobe_wait_seconds{{key="{key}"}})'), series["total_ns"] / 1e9,
                                   delta=1e-3 * series["total_ns"] / 1e9)
            for quantile, name in ((0.5, "p50_ns"), (0.9, "p90_ns"), (0.99, "p99_ns")):
                found = one(prometheus, f'histogram_quantile({quantile}, waitprobe_wait_seconds{{key="{key}"}})')
                self.assertTrue(within_a_bucket(found * 1e9, series[name]), (key, name, found, series))

    def test_rates_hold_over_a_restart_of_the_agent(self):
        workload = self.started(Workload("--threads", 1, "--loop", 600, "--keys", 1, "--pattern", "sleep", "--hold-ns", 10000000))
        agent = self.started(Agent("-p", workload.pid))
        prometheus = self.started(Prometheus(f"127.0.0.1:{agent.port}"))
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
            self.assertAlmostEqual(one(prometheus, text) / truth, 1, delta=0.15)

        wait_until(lambda: one(prometheus, count), "it was scraped")
        assert_rate(rate)
        port = agent.port
        agent.signal(signal.SIGTERM)
        agent.wait()
        agent = self.started(Agent("-p", workload.pid, listen=f"127.0.0.1:{port}"))
        time.sleep(6)
        assert_rate(rate)
        self.assertGreater(one(prometheus, "sum(histogram_count(increase(waitprobe_wait_seconds[30s])))"), 0)
        self.assertEqual(one(prometheus, "resets(process_start_time_seconds[1m]) + changes(process_start_time_seconds[1m])"), 1)

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
            prometheus = self.started(Prometheus(*(f"127.0.0.1:{agent.port}" for agent in agents)))
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
                found = one(prometheus, f"histogram_quantile({quantile}, sum(waitprobe_wait_seconds))")
                self.assertTrue(within_a_bucket(found * 1e9, series[name]), (found, series))


def armed(recorder):
    return harness.kernel_maps(recorder.pid) != {}


if __name__ == "__main__":
    harness.main()
