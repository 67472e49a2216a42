# SPDX-License-Identifier: MIT
"""`waitprobe serve` sees very much come and go."""

import os
import re
import shutil
import tempfile

import harness
from agents import OPENMETRICS, Agent
from harness import TestCase, built, run, wait_until


class Passing(TestCase):
    """An agent that sees very much come and go, and is scraped all the time: it counts all of it, and does not grow."""

    TIMES = int(os.environ.get("WAITPROBE_PASSING", "1"))

    def size(self, agent):
        """What must not grow: KiB of the process, descriptors, KiB of maps, maps."""
        maps = harness.kernel_maps(agent.pid)
        with open(f"/proc/{agent.pid}/status", encoding="ascii") as status:
            resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
        return resident, len(os.listdir(f"/proc/{agent.pid}/fd")), sum(maps.values()) >> 10, len(maps)

    def pass_by(self, agent, words):
        """Runs a program while the agent is scraped, and looks that it has grown by the time that 60 % are over. Returns the waits that it says
        it had."""
        program = self.started(harness.Program(words))
        sizes = []
        while program.process.poll() is None:
            agent.get(accept=OPENMETRICS)
            sizes.append(self.size(agent))
        self.assertEqual(program.wait(), 0, program)
        self.assertTrue(sizes)
        grown = max(1, int(0.6 * len(sizes)))
        before, after = ([max(part[i] for part in sizes[a:b]) for i in range(4)] for a, b in ((0, grown), (grown - 1, len(sizes))))
        # Sanitizers keep what is freed for a while. An emulated machine is behind: it still fills up when most has passed.
        for i, room in enumerate((1 << 20 if os.environ.get("WAITPROBE_SANITIZED") else 16384 * harness.PATIENCE, 4, 0, 0)):
            self.assertLessEqual(after[i] - before[i], room, (before, after))
        return int(re.search(r"^waits (\d+)$", program.out, re.M).group(1))

    def assert_all_counted(self, agent, waits):
        metrics = agent.metrics()
        losses = {reason: cnt for reason, cnt in metrics.by("waitprobe_waits_lost_total", "reason").items() if cnt != 0}
        observed = metrics.value("waitprobe_waits_observed_total")
        # New keys may come faster than an emulated machine gives back the places of others.
        if harness.PATIENCE > 1:
            waits -= losses.pop("series_full", 0)
        # The kernel may pass over runs of programs, each of which may have had any number of waits, or none.
        if "missed" in losses:
            self.assertLessEqual(observed + sum(losses.values()) - losses["missed"], waits, losses)
        else:
            self.assertEqual((observed, losses), (waits, {}))

    def test_programs_of_a_file(self):
        agent = self.started(Agent("-f", built("waitprobe-passing"), "--labels", "unit,container,pod"))
        waits = self.pass_by(agent, [built("waitprobe-passing"), "programs", 6000 * self.TIMES])
        self.assert_all_counted(agent, waits)
        metrics = agent.metrics()
        self.assertEqual(sum(metrics.counts().values()), metrics.value("waitprobe_waits_observed_total"))

    def test_keys_without_end(self):
        agent = self.started(Agent("-f", built("waitprobe-passing"), "--max-series", 100))
        waits = self.pass_by(agent, [built("waitprobe-passing"), "keys", 20000 * self.TIMES])
        # Once the process has ended, sets of its keys may be given up for others.
        self.assert_all_counted(agent, waits)
        metrics = agent.metrics()
        self.assertLessEqual(len(metrics.counts()), 101)
        self.assertGreater(metrics.counts()["_other"], 0)
        self.assertGreater(metrics.value("waitprobe_series_left_out_total"), 0)

    def test_new_files_each_time(self):
        agent = self.started(Agent("-a"))
        before = agent.metrics().value("waitprobe_attached_files")
        with tempfile.TemporaryDirectory() as folder:
            truth = {}
            for number in range(100 * self.TIMES):
                copy = f"{folder}/{number}"
                shutil.copy(built("waitprobe-workload"), copy)
                told = run(copy, "--threads", 1, "--waits", 10, "--keys", 1, "--pattern", "none")
                for key, count in harness.last_truth(told.out).items():
                    truth[key] = truth.get(key, 0) + count
                os.unlink(copy)
        # A file may be attached to only after its program had begun to wait: what that means is said.
        metrics = agent.metrics()
        missing = truth["work.0"] - metrics.counts().get("work.0", 0)
        doubts = metrics.value("waitprobe_attached_late_processes") + metrics.value("waitprobe_unverified_processes")
        self.assertGreaterEqual(missing, 0)
        self.assertTrue(missing == 0 or doubts > 0, metrics.text)
        wait_until(lambda: agent.metrics().value("waitprobe_attached_files") <= before + 64, "deleted files are let go")


if __name__ == "__main__":
    harness.main()
