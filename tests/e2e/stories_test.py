# SPDX-License-Identifier: MIT
"""The three stories of docs/stories.md: the output of each command shows the cause."""

import json
import os

import harness
from harness import TOOL, Program, TestCase, built, run, wait_until


class Stories(TestCase):
    def story(self, name, env=None):
        return self.started(Program([built(f"waitprobe-story-{name}"), 60], env=env))

    def test_a_pool_that_is_too_small(self):
        story = self.story("pool")
        ran = run(TOOL, "hist", "--json", "-d", 2, "-p", story.pid)
        series = {series["key"]: series for series in json.loads(ran.out)["series"]}
        self.assertEqual(set(series), {"db.pool.acquire", "db.query"})
        self.assertGreater(series["db.pool.acquire"]["total_ns"], 1.5 * series["db.query"]["total_ns"], "for connections, not for the database")
        self.assertLess(1.5 * series["db.query"]["p50_ns"], series["db.pool.acquire"]["p50_ns"], "which is quick")
        table = run(TOOL, "hist", "-d", 1, "-p", story.pid).out.splitlines()
        self.assertTrue(table[2].startswith("db.pool.acquire "), table)

    def test_a_lock_held_over_disk_io(self):
        story = self.story("lock")
        ran = run(TOOL, "slow", "--json", "--min", "5ms", "--stack", "-d", 4, "-p", story.pid)
        waits = [json.loads(line) for line in ran.out.splitlines() if line.startswith('{"time_unix_ns"')]
        saves = [wait for wait in waits if wait["key"] == "cache.save"]
        lookers = [wait for wait in waits if wait["key"] == "cache.lock" and wait["thread"] == "looker"]
        self.assertGreater(len(saves), 0, "this disk saves 32 MiB in less than 5 ms")
        self.assertGreater(len(lookers), 0)
        for save in saves:
            self.assertEqual(save["thread"], "saver")
            self.assertTrue(any("Cache::save" in frame for frame in save["stack"]), save)
        during = [wait for wait in lookers if any(self.overlap(wait, save) for save in saves)]
        self.assertGreater(len(during), 0.5 * len(lookers), "whoever waits long, waits while it is saved")

    @staticmethod
    def overlap(wait, save):
        return wait["time_unix_ns"] - wait["duration_ns"] < save["time_unix_ns"] and save["time_unix_ns"] - save["duration_ns"] < wait["time_unix_ns"]

    def test_a_hang(self):
        story = self.story("hang", {"WAITPROBE_TRACK": "1"})
        wait_until(lambda: run(TOOL, "stuck", "-p", story.pid, "--older", "1s").process.returncode == 3, "it hangs")
        ran = run(TOOL, "stuck", "--json", "--stack", "-p", story.pid, "--older", "1s")
        found = json.loads(ran.out)
        self.assertEqual([{thread["thread"] for thread in deadlock["threads"]} for deadlock in found["deadlocks"]], [{"save", "spend"}])
        waits = [wait for wait in found["open"] if "meant_to_last" not in wait]
        self.assertEqual(sorted((wait["thread"], wait["key"]) for wait in waits), [("save", "account.lock"), ("spend", "account.lock")])
        for wait in waits:
            self.assertTrue(any("::transfer (hang.cpp:" in frame for frame in wait["stack"]), wait)
        self.assertEqual(os.waitpid(story.pid, os.WNOHANG), (0, 0), "it lives on")
        self.assertIn("No wait is open", run(TOOL, "stuck", "-p", story.pid, "--older", "1h").out)


if __name__ == "__main__":
    harness.main()
