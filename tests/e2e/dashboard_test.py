# SPDX-License-Identifier: MIT
"""deploy/grafana/waitprobe.json: Grafana's own types, metrics and labels that exist, and a result for each panel from a real Prometheus."""

import copy
import json
import os
import re

import harness
import typescript
from agent_metrics import documented, used
from fake_agent import FakeAgent
from harness import TestCase, wait_until
from prometheus_server import Prometheus

PATH = os.path.join(harness.SOURCE, "deploy/grafana/waitprobe.json")
# Of "wait" and so on: what JSON writes as text, TypeScript has as enumerations.
PLAIN = "type Plain<T> = T extends string ? `${T}` : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;"
PANELS = {"heatmap": "Heatmap", "stat": "Stat", "table": "Table", "timeseries": "TimeSeries"}


def load():
    with open(PATH, encoding="utf-8") as file:
        return json.load(file)


def panels(dashboard, but=("row",)):
    return [panel for panel in dashboard["panels"] if panel["type"] not in but]


def queries(dashboard):
    """(where, expression) of all panels and variables."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]["query"]


def mistyped(dashboard):
    imports = ['import type { Dashboard, Panel, RowPanel } from "@grafana/schema";', PLAIN]
    for kind, name in PANELS.items():
        custom = "" if kind == "stat" else f", FieldConfig as {name}Field"  # a number without settings of its own
        imports.append(f'import type {{ Options as {name}Options{custom} }} from "@grafana/schema/dist/esm/raw/composable/{kind}/panelcfg/x/{name}PanelCfg_types.gen";')
    values = [("Plain<Dashboard>", {**dashboard, "panels": []})]
    for panel in dashboard["panels"]:
        values.append(("Plain<RowPanel>" if panel["type"] == "row" else "Plain<Panel>", panel))
    for panel in panels(dashboard):
        values.append((f"Plain<{PANELS[panel['type']]}Options>", panel["options"]))
        if "custom" in panel["fieldConfig"]["defaults"]:
            # Partial: Grafana fills in what is not there.
            values.append((f"Partial<Plain<{PANELS[panel['type']]}Field>>", panel["fieldConfig"]["defaults"]["custom"]))
    return typescript.complaints(imports, values)


class Dashboard(TestCase):
    def test_grafana_would_take_it(self):
        self.assertEqual(mistyped(load()), [])

    def test_mistakes_are_found(self):
        def broken(change):
            dashboard = copy.deepcopy(load())
            change(dashboard, {panel["type"]: panel for panel in panels(dashboard)})
            return "\n".join(mistyped(dashboard))
        self.assertRegex(broken(lambda dashboard, _: dashboard.update(titel="")), "titel")
        self.assertRegex(broken(lambda _, last: last["heatmap"]["options"]["color"].update(mode="colour")), "colour")
        self.assertRegex(broken(lambda _, last: last["timeseries"]["fieldConfig"]["defaults"]["custom"].update(drawStile="line")), "drawStile")
        self.assertRegex(broken(lambda _, last: last["stat"].update(gridpos={})), "gridpos")

    def test_panels_lie_side_by_side(self):
        cells = set()
        for panel in load()["panels"]:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24, panel["title"])
            own = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
            self.assertEqual(cells & own, set(), panel["title"])
            cells |= own
        ids = [panel["id"] for panel in load()["panels"]]
        self.assertEqual(len(ids), len(set(ids)))

    def test_it_uses_metrics_and_variables_that_exist(self):
        families, variables = documented(), {variable["name"] for variable in load()["templating"]["list"]}
        known = set(families) | {"up"} | {f"waitprobe_wait_seconds_{end}" for end in ("bucket", "sum", "count")}
        labels = {"__name__", "job", "instance", "le"}.union(*(of_family for _, of_family in families.values()))
        seen = set()
        for where, expression in queries(load()):
            names, selected = used(expression)
            names |= set(re.findall(r'__name__=~"([\w|]+)"', expression)[0].split("|")) if "__name__" in expression else set()
            self.assertEqual((names - known, selected - labels), (set(), set()), where)
            self.assertLessEqual(set(re.findall(r"\$\{?([a-z]\w*)", expression)), variables, where)
            seen |= names
        # Every family is shown somewhere, but for those that say how others came about.
        self.assertEqual(set(families) - seen, {"waitprobe_waits_observed_total", "waitprobe_scrapes_total"})

    def test_every_query_has_a_result(self):
        agent = self.enterContext(FakeAgent(documented()))
        for native in (True, False):
            server = self.started(Prometheus(agent.address, native=native))
            missing = {}

            def complete():
                missing.clear()
                for where, expression in queries(load()):
                    expression = re.sub(r"^label_values\((.*), \w+\)$", r"\1", expression)
                    expression = re.sub(r"\$(instance|program|key|class)", ".*", expression).replace("$__rate_interval", "1m")
                    if not server.query(expression):
                        missing[where] = expression
                return not missing
            try:
                wait_until(complete, "each query has a result")
            except AssertionError as late:
                raise AssertionError(f"{late}: {missing}") from None
            heat = [panel for panel in panels(load()) if panel["type"] == "heatmap"][0]["targets"][0]["expr"]
            (*_, result) = server.query(re.sub(r"\$(instance|program|key|class)", ".*", heat).replace("$__rate_interval", "1m"))
            self.assertEqual("histogram" in result, native)
            server.kill()


if __name__ == "__main__":
    harness.main()
