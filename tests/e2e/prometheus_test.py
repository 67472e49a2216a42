# SPDX-License-Identifier: MIT
"""deploy/prometheus/: what promtool says, a test for each alert, names that exist, and results from a real Prometheus."""

import os
import re
import subprocess
import tempfile

import yaml

import harness
from agent_metrics import documented, exposed, used
from agents import Agent
from fake_agent import BOUNDS, FakeAgent
from harness import TestCase, Workload, wait_until
from prometheus_server import FOLDER, Prometheus


OPERATIONS = os.path.join(harness.SOURCE, "docs/operations.md")


def load(name):
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        return yaml.safe_load(file)


def rules(kind, file="rules.yml"):
    return {rule[kind]: rule["expr"] for group in load(file)["groups"] for rule in group["rules"] if kind in rule}


def promtool(*words):
    return subprocess.run(["promtool", *words], cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False)


class Files(TestCase):
    def assert_fine(self, *words):
        told = promtool(*words)
        self.assertEqual((told.returncode, told.stderr), (0, ""), told.stdout)

    def test_configuration(self):
        self.assert_fine("check", "config", "prometheus.yml", "prometheus-global.yml")
        self.assert_fine("check", "rules", "rules.yml", "rules-global.yml")

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


def blocks(language):
    """The code of docs/operations.md in this language."""
    with open(OPERATIONS, encoding="utf-8") as file:
        return re.findall(rf"^```{language}\n(.*?)^```", file.read(), re.M | re.S)


class Document(TestCase):
    """The examples in docs/operations.md can be used as they stand."""

    def test_configurations(self):
        self.assertEqual(len(blocks("yaml")), 2)
        for example in blocks("yaml"):
            with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
                file.write(example.replace("/etc/prometheus/rules.yml", os.path.join(FOLDER, "rules.yml")))
                file.flush()
                told = promtool("check", "config", file.name)
                self.assertEqual(told.returncode, 0, told)

    def test_alerts_are_all_described(self):
        with open(OPERATIONS, encoding="utf-8") as file:
            self.assertEqual(set(re.findall(r"^\| (Waitprobe\w+) \|", file.read(), re.M)), set(rules("alert")))

    def test_queries(self):
        queries = [query for block in blocks("promql") for query in re.split(r"\n\n", block)]
        self.assertEqual(len(queries), 4)
        with FakeAgent(documented()) as agent:
            server = self.started(Prometheus(agent.address))
            # kube_pod_info is another exporter's.
            for query in queries:
                wait_until(lambda: server.query(query) or "kube_pod_info" in query, f"a result of {query}")


class Names(TestCase):
    """What rules use is in the tables of docs/metrics.md, and what these say is what the agent shows."""

    def test_rules_use_names_that_exist(self):
        families, recorded = documented(), rules("record")
        labels = {"job", "instance", "le"}.union(*(of_family for _, of_family in families.values()))
        known = set(families) | set(recorded) | {"up"} | {f"waitprobe_wait_seconds_{end}" for end in ("bucket", "sum", "count")}
        for name, expression in {**recorded, **rules("alert"), **rules("record", "rules-global.yml")}.items():
            names, selected = used(expression)
            self.assertGreater(len(names), 0, name)
            self.assertEqual((names - known, selected - labels), (set(), set()), name)

    def test_what_an_expression_uses_is_found(self):
        self.assertEqual(used('sum by (job, le) (rate(waitprobe_x_bucket{key=~"a}", b!="c"}[5m])) > on (d) a:process_y:rate5m or up'),
                         ({"waitprobe_x_bucket", "a:process_y:rate5m", "up"}, {"job", "le", "key", "b", "d"}))

    def test_the_tables_are_what_the_agent_shows(self):
        waiting = self.started(Workload("--threads", 1, "--waits", 1, "--pattern", "sleep", "--hold-ns", 3_600_000_000_000))
        workload = self.started(Workload("--threads", 2, "--waits", 100, "--keys", 2, "--pattern", "none"))
        # Nobody receives there: it has the counters of pushes all the same.
        agent = self.started(Agent("-p", f"{workload.pid},{waiting.pid}", "--otlp", "http://127.0.0.1:1"))
        waiting.go()
        workload.go()
        wait_until(lambda: agent.metrics().counts() == workload.truth() and agent.metrics().by("waitprobe_open_waits", "key") == {"work.0": 1},
                   "its waits are counted, and the open one is seen")
        self.assertEqual(exposed(agent.metrics().text), documented())


class Server(TestCase):
    """A real Prometheus computes each recording, with and without native histograms, and the two agree."""

    def setUp(self):
        super().setUp()
        self.agent = self.enterContext(FakeAgent(documented()))

    def results(self, native):
        """Of a server's recordings: those that it has with these histograms."""
        server = self.started(Prometheus(self.agent.address, native=native))
        missing = "key:waitprobe_wait_seconds_bucket:rate5m" if native else "key:waitprobe_wait_seconds_histogram:rate5m"
        return self.all_of(server, set(rules("record")) - {missing}), server

    @staticmethod
    def all_of(server, names):
        results = {}

        def complete():
            results.update({name: server.query(name) for name in names})
            return all(results.values()) and "NaN" not in str(results)
        try:
            wait_until(complete, "each recording has a result")
        except AssertionError as late:
            raise AssertionError(f"{late}; so far: {results}") from None
        return results

    def test_recordings(self):
        results, server = self.results(native=True)
        # Most of them are pending: they wait for minutes before they fire.
        expected = {"WaitprobeCoverageIncomplete", "WaitprobeProcessesUnverified", "WaitprobeSeriesLeftOut", "WaitprobeWaitsLost", "WaitprobeWaitsSlow"}
        wait_until(lambda: {alert["metric"]["alertname"] for alert in server.query("ALERTS")} == expected, "these alerts, and no others")
        self.assertEqual(len(server.query("waitprobe_wait_seconds")), 2, "one series per key")
        self.assertEqual(self.agent.formats, {"application/vnd.google.protobuf"})
        for name in ("instance_key:waitprobe_wait_seconds:p99_5m", "key:waitprobe_wait_seconds:p99_5m"):
            self.assert_p99(results[name])
        server.kill()

        classic, server = self.results(native=False)
        self.assertEqual(server.query("waitprobe_wait_seconds"), [])
        for name in set(classic) & set(results):
            self.assertEqual(*(sorted(str(sorted(series["metric"].items())) for series in either[name]) for either in (classic, results)), name)

    def test_many_machines(self):
        """Two servers, each with a machine of its own, and a third over them: quantiles are those over both."""
        other = self.enterContext(FakeAgent(documented(), bounds=[bound / 64 for bound in BOUNDS]))
        shards = [self.started(Prometheus(agent.address, labels={"shard": number}.items())) for number, agent in enumerate((self.agent, other))]
        over = self.started(Prometheus(*(shard.address for shard in shards), config="prometheus-global.yml"))
        wait_until(lambda: len(over.query("key:waitprobe_wait_seconds_histogram:rate5m")) == 4, "two keys of two shards")
        self.all_of(over, rules("record", "rules-global.yml"))

        # Until both have been scraped some times, a result may be that of one machine.
        def become(name, right):
            wait_until(lambda: [right(number) for number in self.numbers(over.query(name))] == [True, True], f"{name} is that of both machines")
        become("fleet:waitprobe_wait_seconds:p99_5m", self.is_p99)  # in the top bucket, which the slower machine alone has
        # Each brings half of the waits: the slowest of the one, or the fastest of the other.
        become("fleet:waitprobe_wait_seconds:p50_5m", lambda median: 1 / 8 / 2 ** (1 / 8) < median <= 1)
        become("fleet:waitprobe_open_waits:sum", lambda waits: waits == 14)
        self.assertNotIn("instance", str(over.query('{__name__=~"fleet:.*"}')))

    def assert_p99(self, result):
        self.assertEqual(len(result), 2)
        for p99 in self.numbers(result):
            self.assertTrue(self.is_p99(p99), p99)

    @staticmethod
    def is_p99(seconds):
        """Whether it is in the bucket of schema 3: a classic one would begin at 4 s."""
        return 8 / 2 ** (1 / 8) < seconds <= 8

    @staticmethod
    def numbers(result):
        return [float(series["value"][1]) for series in result]


if __name__ == "__main__":
    harness.main()
