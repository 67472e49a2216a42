# SPDX-License-Identifier: MIT
"""A Prometheus of a test's own."""

import json
import os
import shutil
import tempfile
import urllib.parse

import yaml

import harness
from agent_metrics import answers, fetch, free_port
from harness import Program, wait_until

FOLDER = os.path.join(harness.SOURCE, "deploy/prometheus")


class Prometheus(Program):
    """Prometheus with a configuration of deploy/prometheus/ and its rules, which scrapes these addresses every second."""

    def __init__(self, *addresses, native=True, config="prometheus.yml", labels=()):
        self.folder = tempfile.TemporaryDirectory()
        with open(os.path.join(FOLDER, config), encoding="utf-8") as file:
            settings = yaml.safe_load(file)
        settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s", "external_labels": dict(labels)}
        settings["scrape_configs"][0]["static_configs"] = [{"targets": list(addresses)}]
        for rules in settings["rule_files"]:
            shutil.copy(os.path.join(FOLDER, rules), self.folder.name)
        path = os.path.join(self.folder.name, config)
        with open(path, "w", encoding="utf-8") as file:
            yaml.safe_dump(settings, file)
        self.address = f"127.0.0.1:{free_port()}"
        super().__init__(["prometheus", f"--config.file={path}", f"--storage.tsdb.path={self.folder.name}/data", f"--web.listen-address={self.address}",
                          "--log.level=warn", *(["--enable-feature=native-histograms"] if native else [])])
        wait_until(lambda: self.process.poll() is not None or answers(f"http://{self.address}/-/ready"), "Prometheus is ready")

    def kill(self):
        super().kill()
        self.folder.cleanup()

    def query(self, expression):
        """The result of an expression now: a list of {metric, value or histogram}."""
        return json.loads(fetch(f"http://{self.address}/api/v1/query?query={urllib.parse.quote(expression)}"))["data"]["result"]
