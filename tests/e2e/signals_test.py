# SPDX-License-Identifier: MIT
"""Waits in signal handlers that interrupt other waits anywhere, and waits after the library has put its things away."""

import harness
from harness import Hist, TestCase, Workload, wait_until


class Explained(TestCase):
    def assert_explained(self, tool, truth, *, by, only_of):
        """Each wait was counted, but for those of some keys: as many were lost in the way named as are not there."""
        losses = dict(tool.last()["losses"])
        lost, counts = losses.pop(by), tool.counts()
        self.assertEqual({name: count for name, count in losses.items() if count}, {})
        for key, count in truth.items():
            if key in only_of:
                self.assertLessEqual(counts.get(key, 0), count, key)
            else:
                self.assertEqual(counts.get(key, 0), count, key)
        self.assertEqual(sum(truth.values()) - sum(counts.values()) - lost, 0, f"waits unexplained: {counts} and {lost} lost of {truth}")


class Signals(Explained):
    def test_an_alarm_every_fifty_microseconds(self):
        for threads in (1, 3):
            with self.subTest(threads=threads):
                # It stays until the losses have been read.
                workload = self.started(Workload("--threads", threads, "--loop", 2, "--keys", 2, "--pattern", "none", "--alarm-us", 50,
                                                 "--linger"))
                tool = self.started(Hist("-p", workload.pid))
                workload.go()
                wait_until(lambda: workload.out.endswith("\n"), "the work is done")
                self.assertEqual(tool.stop(), 0, tool)
                truth = workload.truth()
                self.assertGreater(truth["alarm"], 1000, "the alarm rings")
                self.assertGreater(tool.counts().get("alarm", 0), 0)
                self.assert_explained(tool, truth, by="reentered", only_of={"alarm"})
                self.assertGreater(tool.last()["losses"]["reentered"], 0, "handlers interrupt starts and stops")
                print(f"{threads} threads: {sum(truth.values())} waits, of which {truth['alarm']} of handlers; "
                      f"{tool.last()['losses']['reentered']} lost", flush=True)


class LateGuards(Explained):
    def test_in_the_last_destructors_of_threads_and_process(self):
        for program in ("waitprobe-workload", "waitprobe-workload-shared"):
            for threads in (1, 4):
                with self.subTest(program=program, threads=threads):
                    workload = self.started(Workload("--threads", threads, "--waits", 301, "--keys", 2, "--late-guards",
                                                     program=harness.built(program)))
                    tool = self.started(Hist("-p", workload.pid))
                    workload.go()
                    self.assertEqual(workload.wait(), 0, workload)
                    self.assertEqual(tool.wait(), 0, tool)
                    truth = workload.truth()
                    self.assertEqual((truth["late.tls"], truth["late.key"], truth["late.atexit"]), (threads, 2 * threads, 1))
                    self.assert_explained(tool, truth, by="late", only_of={"late.tls", "late.key", "late.atexit"})


if __name__ == "__main__":
    harness.main()
