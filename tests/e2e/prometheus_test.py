# SPDX-License-Identifier: MIT
"""deploy/prometheus/: what promtool says, a test for each alert, names that exist, and results from a real Prometheus."""

import os
import re
import subprocess
import tempfile

import yaml

import agent_metrics
import harness
from agent_metrics import Agent, documented, exposed, has_serve, used
from fake_agent import FakeAgent
from harness import TestCase, Workload, wait_until
from prometheus_server import FOLDER, Prometheus


def load(name):
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        return yaml.safe_load(file)


def rules(kind):
    return {rule[kind]: rule["expr"] for group in load("rules.yml")["groups"] for rule in group["rules"] if kind in rule}


def promtool(*words):
    return subprocess.run(["promtool", *words], cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False)


class Files(TestCase):
    def assert_fine(self, *words):
        told = promtool(*words)
        self.assertEqual((told.returncode, told.stderr), (0, ""), told.stdout)

    def test_configuration(self):
        self.assert_fine("check", "config", "prometheus.yml")
        self.assert_fine("check", "rules", "rules.yml")

    def test_configuration_in_a_cluster(self):
        # Debian's Prometheus knows no Kubernetes.
        config = load("prometheus-kubernetes.yml")
        (job,) = config["scrape_configs"]
        self.assertEqual(job.pop("kubernetes_sd_configs"), [{"role": "pod", "namespaces": {"names": ["waitprobe"]}}])
        job["static_configs"] = [{"targets": ["127.0.0.1:9464"]}]
        config["rule_files"] = [os.path.join(FOLDER, "rules.yml")]
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
            yaml.safe_dump(config, file)
            file.flush()
            self.assert_fine("check", "config", file.name)

    def test_rules(self):
        self.assert_fine("test", "rules", "rules_test.yml")

    def test_each_alert_is_tested_both_ways(self):
        cases = [case for test in load("rules_test.yml")["tests"] for case in test.get("alert_rule_test", [])]
        for fires in (True, False):
            self.assertEqual({case["alertname"] for case in cases if bool(case["exp_alerts"]) == fires}, set(rules("alert")))


class Names(TestCase):
    """What rules use is in the table of docs/operations.md, and what the table says is what the agent shows."""

    def test_rules_use_names_that_exist(self):
        families, recorded = documented(), rules("record")
        labels = {"job", "instance", "le"}.union(*(always for _, always, _ in families.values()))
        known = set(families) | set(recorded) | {"up"} | {f"waitprobe_wait_seconds_{end}" for end in ("bucket", "sum", "count")}
        for name, expression in {**recorded, **rules("alert")}.items():
            names, selected = used(expression)
            self.assertGreater(len(names), 0, name)
            self.assertEqual((names - known, selected - labels), (set(), set()), name)

    def test_what_an_expression_uses_is_found(self):
        self.assertEqual(used('sum by (job, le) (rate(waitprobe_x_bucket{key=~"a}", b!="c"}[5m])) > on (d) a:process_y:rate5m or up'),
                         ({"waitprobe_x_bucket", "a:process_y:rate5m", "up"}, {"job", "le", "key", "b", "d"}))

    def test_the_table_is_what_the_agent_shows(self):
        if not has_serve():
            self.skipTest("there is no waitprobe serve")
        workload = self.started(Workload("--threads", 2, "--waits", 100, "--keys", 2, "--pattern", "none"))
        agent = self.started(Agent("-p", workload.pid))
        workload.go()
        wait_until(lambda: 'waitprobe_wait_seconds_count{key="work.1"' in agent.metrics().replace('class="wait",', ""), "its waits are counted")
        shown = exposed(agent.metrics())
        told = {name: (kind, always) for name, (kind, always, _) in documented().items()}
        for name in ("waitprobe_open_waits", "waitprobe_oldest_open_wait_seconds"):
            if not shown.get(name, (0, ()))[1]:  # nothing is open now
                told.pop(name), shown.pop(name, None)
        self.assertEqual({name: (kind, labels) for name, (kind, labels, _) in shown.items()}, told)


class Server(TestCase):
    """A real Prometheus computes each recording, with and without native histograms, and the two agree."""

    def setUp(self):
        super().setUp()
        self.agent = FakeAgent(documented())
        self.addCleanup(self.agent.stop)

    def results(self, native):
        server = self.started(Prometheus(self.agent.address, native=native))
        results = {}

        def complete():
            results.update({name: server.query(name) for name in rules("record")})
            return all(results.values()) and "NaN" not in str(results)
        try:
            wait_until(complete, "each recording has a result")
        except AssertionError as late:
            raise AssertionError(f"{late}; so far: {results}") from None
        # Most of them are pending: they wait for minutes before they fire.
        expected = {"WaitprobeCoverageIncomplete", "WaitprobeProcessesUnverified", "WaitprobeSeriesLeftOut", "WaitprobeWaitsLost", "WaitprobeWaitsSlow"}
        wait_until(lambda: {alert["metric"]["alertname"] for alert in server.query("ALERTS")} == expected, "these alerts, and no others")
        histograms = server.query("waitprobe_wait_seconds")
        server.kill()
        return results, histograms

    def test_recordings(self):
        results, histograms = self.results(native=True)
        self.assertEqual(self.agent.formats, {"application/vnd.google.protobuf"})
        self.assertEqual(len(histograms), 2, "one series per key")
        # What a quantile of the buckets of schema 3 may be off by; the classic ones of 1, 2, 4 and 8 s interpolate.
        for key, p99 in ((key, value) for key in ("db.query", "pool.queue") for value in self.numbers(results["key:waitprobe_wait_seconds:p99_5m"], key)):
            self.assertGreater(p99, 8 / 2 ** (1 / 8), key)
            self.assertLessEqual(p99, 8)

        classic, histograms = self.results(native=False)
        self.assertEqual(histograms, [])
        for name, result in classic.items():
            self.assertEqual(sorted(str(sorted(series["metric"].items())) for series in result),
                             sorted(str(sorted(series["metric"].items())) for series in results[name]), name)
        for name in ("key:waitprobe_waits:rate5m", "key:waitprobe_wait_seconds:rate5m"):
            (rate,), (other,) = self.numbers(results[name], "db.query"), self.numbers(classic[name], "db.query")
            self.assertAlmostEqual(rate / other, 1, delta=0.5, msg=name)

    @staticmethod
    def numbers(result, key):
        return [float(series["value"][1]) for series in result if series["metric"].get("key") == key]


if __name__ == "__main__":
    harness.main()
