# SPDX-License-Identifier: MIT
"""Keys of any bytes, more keys than there is room for, and quantiles that can be trusted."""

import re

import harness
from harness import Hist, TOOL, TestCase, Workload, run

POOL_SIZE = 16384


class Keys(TestCase):
    def hist_of(self, *options, json_output=True, tool_options=()):
        workload = self.started(Workload("--threads", 1, *options))
        tool = self.started(Hist("-p", workload.pid, *tool_options, json_output=json_output))
        workload.go()
        self.assertEqual(workload.wait(), 0, workload)
        self.assertEqual(tool.wait(), 0, tool)
        return workload, tool

    def test_nasty_keys_are_counted_each_for_itself(self):
        workload, tool = self.hist_of("--waits", 70, "--nasty-keys", "--pattern", "none")
        truth = workload.truth()
        self.assertGreaterEqual(len(truth), 7)
        self.assertEqual(sorted(s["count"] for s in tool.last()["series"]), sorted(truth.values()))
        for key in ("", 'quote"quote', "new\nline", "\x1b[31mred\x1b[0m"):
            self.assertIn(key, tool.counts(), "readable keys come back as they are")
        self.assert_all_seen(tool.last())

    def test_nothing_that_a_key_holds_reaches_the_terminal(self):
        _, tool = self.hist_of("--waits", 70, "--nasty-keys", "--pattern", "none", json_output=False, tool_options=("--bars",))
        raw = tool.out.encode("utf-8", "surrogateescape")
        self.assertFalse(re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", raw), tool)
        raw.decode("utf-8")

    def test_20000_keys_find_room_or_are_counted_as_lost(self):
        workload, tool = self.hist_of("--distinct", 20000, "--waits", 1, "--pattern", "none")
        snapshot = tool.last()
        seen = snapshot["coverage"]["observed"]
        self.assertEqual(seen + snapshot["losses"]["series_full"], sum(workload.truth().values()))
        self.assertEqual(len(workload.truth()), 20000)
        self.assertGreaterEqual(seen, POOL_SIZE // 2)
        self.assertLessEqual(seen, POOL_SIZE)
        self.assertEqual(snapshot["coverage"]["lost"], snapshot["losses"]["series_full"])

    def test_the_table_says_that_keys_found_no_room(self):
        _, tool = self.hist_of("--distinct", 20000, "--waits", 1, "--pattern", "none", json_output=False)
        self.assertRegex(tool.out, r"series_full +\d+|\d+ .*series_full", tool.out[-600:])
        self.assertNotIn("100 %", tool.out[-1000:])

    def test_only_keys_that_match(self):
        workload, tool = self.hist_of("--waits", 70, "--keys", 10, "--pattern", "none", tool_options=("-k", "work.1", "-k", "work.[78]"))
        truth = workload.truth()
        self.assertEqual(tool.counts(), {key: truth[key] for key in ("work.1", "work.7", "work.8")})

    def test_keys_that_are_excluded(self):
        for options in (("-k", "!work.[0-8]"), ("--not", "work.[0-7]", "-k", "work.*", "--not", "work.8")):
            workload, tool = self.hist_of("--waits", 70, "--keys", 10, "--pattern", "none", tool_options=options)
            self.assertEqual(tool.counts(), {"work.9": workload.truth()["work.9"]})

    def test_only_the_first_rows(self):
        _, tool = self.hist_of("--waits", 70, "--keys", 10, "--pattern", "none", json_output=False, tool_options=("--top", "3", "--color=always"))
        self.assertEqual(len(re.findall(r"(?m)^work\.\d ", tool.out)), 3, tool.out)
        self.assertIn("7 more rows (--top 3)", tool.out)
        self.assertIn("\x1b[", tool.out)


class Quantiles(TestCase):
    def test_every_quantile_is_within_4_43_percent(self):
        workload = self.started(Workload("--threads", 2, "--waits", 499, "--keys", 3, "--pattern", "sleep", "--hold-ns", 300_000, "--true-quantiles"))
        tool = self.started(Hist("-p", workload.pid))
        workload.go()
        self.assertEqual(workload.wait(), 0, workload)
        tool.wait()
        truth = harness.last_line(workload.out)["quantiles_ns"]
        self.assertEqual(len(truth), 3)
        for series in tool.last()["series"]:
            for name, true_ns in truth[series["key"]].items():
                self.assertAlmostEqual(series[f"{name}_ns"], true_ns, delta=0.0443 * true_ns + 1, msg=f"{series['key']} {name}")
            self.assertEqual(series["min_ns"], truth[series["key"]]["min"])
            self.assertEqual(series["max_ns"], truth[series["key"]]["max"])


if __name__ == "__main__":
    harness.main()
