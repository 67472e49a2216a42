# SPDX-License-Identifier: MIT
"""The page with pictures, in a browser: what it shows is what was recorded, and it can be read everywhere."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time

import harness
from harness import TOOL, TestCase, run

FIGURES = ["count", "count", "total_ns", "total_ns", "p50_ns", "p90_ns", "p99_ns", "max_ns"]  # rates are sorted by the second, waiters by the fourth
SCRIPT = '"><script>alert(1)</script>'


def seen_in_browser(page):
    """What page.cjs tells."""
    node_path = subprocess.run(["npm", "root", "-g"], capture_output=True, text=True, check=True).stdout.strip()
    browser = run("node", os.path.join(os.path.dirname(os.path.abspath(__file__)), "page.cjs"), page, env={"NODE_PATH": node_path})
    if browser.process.returncode != 0:
        raise AssertionError(f"the browser failed: {browser}")
    return json.loads(browser.out)


class Page(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="waitprobe-page-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.recording = os.path.join(cls.folder, "waits.jsonl")
        tool = run(TOOL, "record", "-o", cls.recording, "-i", "0.05", "--", harness.built("waitprobe-workload"), "--threads", 3, "--keys", 12,
                   "--loop", 2, "--pattern", "sleep", "--hold-ns", 30_000)
        assert tool.process.returncode == 0, tool
        with open(cls.recording, encoding="ascii") as file:
            lines = file.read()
        long_key = "a.key." + "that.is.long." * 12
        with open(cls.recording, "w", encoding="ascii") as file:
            file.write(lines.replace('"work.1"', json.dumps(SCRIPT)).replace('"work.2"', f'"{long_key}"').replace('"work.3"', '"\\u001b[31m"'))
        cls.page = os.path.join(cls.folder, "waits.html")
        written = run(TOOL, "report", cls.recording, "--html", cls.page)
        assert written.process.returncode == 0 and written.out + written.err == "", written
        cls.seen = seen_in_browser(cls.page)
        cls.series = {series["key"]: series for series in json.loads(run(TOOL, "report", cls.recording, "--by-key", "--json").out)["series"]}

    def test_nothing_is_wrong_and_nothing_is_fetched(self):
        self.assertEqual(self.seen["complaints"], [])
        self.assertEqual(set(self.seen["requests"]), {f"file://{self.page}"})
        with open(self.page, encoding="utf-8") as page:
            self.assertNotRegex(page.read(), r"https?://|url\(|@import")

    def test_shows_the_figures_of_the_recording(self):
        rows = {row["key"]: row["values"] for row in self.seen["rows"]}
        self.assertEqual(len(rows), 12)
        for key, series in self.series.items():
            self.assertEqual(rows[key.replace("\x1b", "\\x1b")], [str(series[figure]) for figure in FIGURES], key)
        totals = [int(row["values"][2]) for row in self.seen["rows"]]
        self.assertEqual(totals, sorted(totals, reverse=True), "what takes most time comes first")

    def test_each_key_has_a_picture_and_its_figures_as_text(self):
        self.assertEqual([section["key"] for section in self.seen["sections"]], [row["key"] for row in self.seen["rows"]])
        for section in self.seen["sections"]:
            count = self.series[section["key"].replace("\\x1b", "\x1b")]["count"]
            self.assertEqual(section["summary"]["count"], str(count))
            self.assertEqual(sum(section["counts"]), count, "the figures of the columns")
            self.assertEqual(section["cells"], section["counts"], "the cells of each column")
            self.assertEqual(section["lines"], 3)
            self.assertGreater(section["columns"], 20)
            self.assertLessEqual(section["columns"], 96)

    def test_a_key_is_text_and_never_markup(self):
        self.assertIn(SCRIPT, [row["key"] for row in self.seen["rows"]])
        self.assertIn("\\x1b[31m", [row["key"] for row in self.seen["rows"]])
        with open(self.page, encoding="utf-8") as page:
            text = page.read()
        self.assertEqual(text.count("<script>"), 1)
        self.assertNotIn("\x1b", text)

    def test_nothing_overlaps_or_leaves_the_page(self):
        for name, layout in self.seen["layout"].items():
            with self.subTest(width=name):
                self.assertGreater(layout["texts"], 100)
                self.assertEqual(layout["overlaps"], [])
                self.assertFalse(layout["scrolls"])
                if "opened" not in name:  # a table that is wider than a telephone scrolls within its box
                    self.assertEqual(layout["beyond"], [])
        self.assertTrue(self.seen["fits"], "all keys are on the first screen")

    def test_can_be_read_in_light_and_dark_and_on_paper_without_telling_hues_apart(self):
        self.assertGreater(self.seen["colours"]["light"]["paper"], 0.9)
        self.assertLess(self.seen["colours"]["dark"]["paper"], 0.05)
        self.assertEqual(self.seen["colours"]["print"]["paper"], 1)
        for name, colours in self.seen["colours"].items():
            with self.subTest(scheme=name):
                self.assertGreaterEqual(min(colours["contrasts"]), 4.5, "WCAG 2.1, AA")
                steps = [abs(b - a) for a, b in zip(colours["levels"], colours["levels"][1:])]
                self.assertIn(colours["levels"], (sorted(colours["levels"]), sorted(colours["levels"], reverse=True)), "by lightness alone")
                self.assertGreater(min(steps), 0.008)

    def test_sorts_and_tells_what_one_points_at(self):
        descending, ascending = self.seen["by_p99"]
        p99 = [self.series[key.replace("\\x1b", "\x1b")]["p99_ns"] for key in descending]
        self.assertEqual(p99, sorted(p99, reverse=True))
        self.assertEqual(sorted(p99), [self.series[key.replace("\\x1b", "\x1b")]["p99_ns"] for key in ascending])
        self.assertEqual(self.seen["by_key"], sorted(self.seen["by_key"]))
        self.assertRegex(self.seen["tip"], r"^\d\d:\d\d:\d\d\.\d{3} to [\d:.]+: (no waits|\d+ waits?, p50 .*, max .*)\n(\d+|none) of .* to ")
        self.assertTrue(self.seen["tip_is_shown"])
        self.assertFalse(self.seen["tip_stays"])
        self.assertEqual(self.seen["rows_without_scripts"], 12)


class Writing(TestCase):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.recording = os.path.join(self.folder, "waits.jsonl")
        run(TOOL, "record", "-o", self.recording, "--", harness.built("waitprobe-workload"), "--threads", 1)

    def report(self, *words):
        return run(TOOL, "report", self.recording, *words)

    def test_takes_the_place_of_a_page_and_of_nothing_else(self):
        page = os.path.join(self.folder, "page")
        for _ in range(2):
            self.assertEqual(self.report("--html", page).process.returncode, 0)
        refused = self.report("--html", self.recording)
        self.assertEqual(refused.process.returncode, 1)
        self.assertIn("waits.jsonl: the existing file is not a waitprobe page\n  name another, or remove it", refused.err)
        self.assertEqual(self.report().process.returncode, 0, "it is still there")
        self.assertEqual(sorted(os.listdir(self.folder)), ["page", "waits.jsonl"])

    def test_a_time_without_recording_is_left_free(self):
        workload = self.started(harness.Workload("--threads", 1, "--loop", 60, "--pattern", "sleep", "--hold-ns", 1_000_000))
        workload.go()
        for name in ("one", "two"):
            run(TOOL, "record", "-o", os.path.join(self.folder, name), "-i", "0.05", "-d", "0.5", "-p", workload.pid)
            time.sleep(0.5)  # the gap itself
        page = run(TOOL, "report", os.path.join(self.folder, "one"), os.path.join(self.folder, "two"), "--html", "-").out
        self.assertGreaterEqual(page.count(": nothing was recorded"), 4)
        self.assertGreaterEqual(page.count(" waits, p50 "), 10)

        def headings(*options):
            text = run(TOOL, "report", os.path.join(self.folder, "one"), os.path.join(self.folder, "two"), "--html", "-", *options).out
            return re.findall(r'<p class="heading">.*\((\d+)(?:\.\d+)?ms\)', text)
        self.assertTrue(len(headings()) == 2 and all(450 < int(ms) < 700 for ms in headings()), headings())
        first, = headings("--from", "0.1", "--to", "0.3")
        self.assertEqual(first, "200", "the part that is shown, and no recording of which nothing is")

    def test_a_full_disk_is_told(self):
        full = self.report("--html", "/dev/full")
        self.assertEqual(full.process.returncode, 1)
        self.assertIn("cannot write /dev/full: No space left on device", full.err)
        self.assertRegex(self.report("--html", "/nowhere/x").err, "cannot write /nowhere/x: No such file.*\n  make its folder, or name another")

    def test_of_some_keys_and_a_span(self):
        text = self.report("--html", "-", "-k", "nothing").out
        self.assertEqual(len(re.findall("<section class=\"key\"", text)), 0)
        self.assertIn("No waits of these keys were seen in ", text)
        self.assertIn("--html cannot be combined with --json, --bars, --top or --by-key", self.report("--html", "-", "--json").err)
        self.assertIn("--html cannot be combined with", self.report("--html", "-", "--top", "3").err)


if __name__ == "__main__":
    harness.main()
