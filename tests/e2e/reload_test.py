# SPDX-License-Identifier: MIT
"""The file of `waitprobe serve --config`: what is in it, and what SIGHUP changes."""

import re
import signal
import tempfile
import threading

import harness
from agents import Agent
from harness import TOOL, TestCase, Workload, built, run, wait_until
from http_test import HASH


class File:
    """A file of options."""

    def __init__(self, text):
        self.file = tempfile.NamedTemporaryFile("w", suffix=".toml")
        self.name = self.file.name
        self.write(text)

    def write(self, text):
        self.file.seek(0)
        self.file.truncate()
        self.file.write(text)
        self.file.flush()


OF_WORKLOAD = f'file = "{built("waitprobe-workload")}"\n'


class Config(TestCase):
    def test_what_is_no_toml_is_refused(self):
        for text, why in (('all = true\nkey = "abc\n', r", line 2: "), ('key = ["abc"\n', r", line \d: "), ("key\n", r", line 1: "), ("key =\n", r", line 1: "),
                          ("all = 7\n", "'all' in .* is neither true nor false"), ('all = "yes"\n', "'all' in .* is neither true nor false"),
                          ("[all]\nx = 1\n", "'all' in .* is no text, number"), ("al = true\n", "'al' in .* is no option of this command")):
            with self.subTest(text=text):
                file = File(text)
                refused = run(TOOL, "serve", "--config", file.name)
                self.assertEqual(refused.process.returncode, 2, refused)
                self.assertRegex(refused.err, r"^waitprobe serve: .*" + why)

    def test_what_is_toml_is_taken(self):
        file = File('\ufeff# a comment\nkey = [\n  "work.*",  # of work\n]\nlabels = []\nmax-series = 1_000\nbuckets = [0.125, "1", 2]\n' + OF_WORKLOAD)
        agent = self.started(Agent("--config", file.name))
        workload = self.started(Workload("--threads", 1, "--waits", 10, "--keys", 1, "--pattern", "none"))
        workload.go()
        workload.wait()
        metrics = agent.metrics()
        self.assertEqual(metrics.counts(), workload.truth())
        self.assertEqual(metrics.value("waitprobe_series_limit"), 1000)
        self.assertEqual(set(re.findall(r'le="([^"]*)"', metrics.text)), {"0.125", "1.0", "2.0", "+Inf"})


class Reload(TestCase):
    def reload(self, agent, file, text, says):
        before = len(agent.err)
        file.write(text)
        agent.signal(signal.SIGHUP)
        wait_until(lambda: says in agent.err[before:], f"it says: {says}")

    def test_what_came_before_counts_as_it_was_wanted_then(self):
        file = File(OF_WORKLOAD)
        agent = self.started(Agent("--config", file.name))
        workload = self.started(Workload("--threads", 1, "--waits", 10, "--keys", 2, "--pattern", "none"))
        workload.go()
        workload.wait()
        self.reload(agent, file, OF_WORKLOAD + 'key = "none"\nidle = "*"\n', "read again")
        self.assertEqual(agent.metrics().counts(), workload.truth())
        self.assertEqual(agent.metrics().by("waitprobe_wait_seconds_count", "class"), {"wait": sum(workload.truth().values())})

    def test_passwords_stay_where_the_address_is_to_change(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as web:
            web.write(f"basic_auth_users:\n  ann: {HASH}\n")
            web.flush()
            file = File(OF_WORKLOAD + f'listen = "0.0.0.0:0"\ninsecure = true\nweb-config = "{web.name}"\n')
            agent = self.started(Agent("--config", file.name, listen=None))
            self.assertEqual(agent.get()[0], 401)
            self.reload(agent, file, OF_WORKLOAD, "keys, classes and buckets are as they say")
            self.assertEqual(agent.get()[0], 401)

    def test_targets_may_have_ended(self):
        workload = self.started(Workload("--threads", 1, "--waits", 10, "--keys", 1, "--pattern", "none"))
        file = File(f"pid = {workload.pid}\n")
        agent = self.started(Agent("--config", file.name))
        workload.go()
        workload.wait()
        wait_until(lambda: "all targets have ended" in agent.err, "it has seen the end")
        self.reload(agent, file, f'pid = {workload.pid}\nkey = "work.*"\n', "read again")

    def test_a_file_that_is_wrong_changes_nothing(self):
        file = File(OF_WORKLOAD + 'listen = "127.0.0.1:0"\n')
        agent = self.started(Agent("--config", file.name, listen=None))
        self.reload(agent, file, OF_WORKLOAD + 'listen = "nowhere"\n', "the agent goes on with what it has")
        self.reload(agent, file, OF_WORKLOAD + "key = [\n", "the agent goes on with what it has")
        workload = self.started(Workload("--threads", 1, "--waits", 10, "--keys", 1, "--pattern", "none"))
        workload.go()
        workload.wait()
        self.assertEqual(agent.metrics().counts(), workload.truth())


class Crowds(TestCase):
    def test_one_snapshot_answers_all_that_wait(self):
        agent = self.started(Agent("-f", built("waitprobe-workload")))
        together = threading.Barrier(40)
        answers = []

        def ask():
            together.wait()
            answers.append(agent.get())
        threads = [threading.Thread(target=ask) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual({status for status, _, _ in answers}, {200})
        self.assertLess(len({body for _, _, body in answers}), 20, "each has one of its own")


if __name__ == "__main__":
    harness.main()
