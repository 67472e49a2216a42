# SPDX-License-Identifier: MIT
"""A process whose main thread has ended while others go on is one like any other: it can be found, counted and looked at."""

import json
import os
import subprocess

import harness
from harness import Hist, Program, TestCase, counts_of, run

WAITS = 103  # less than a full ring: the tool has to fetch them from memory


class Host(Program):
    def __init__(self):
        go_child, self.go_fd = os.pipe()
        super().__init__([harness.built("waitprobe-main-thread-gone"), go_child], pass_fds=(go_child,), stdin=subprocess.PIPE,
                         env={"RANK": "7", "WAITPROBE_TRACK": "1"})
        os.close(go_child)

    def end_main_thread(self):
        self.process.stdin.write(b"x")
        self.process.stdin.close()
        harness.wait_until(lambda: self.state() == "Z", f"the main thread of {self} has ended")

    def state(self):
        with open(f"/proc/{self.pid}/stat", encoding="utf-8") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0]

    def go(self):
        os.write(self.go_fd, b"g")
        harness.wait_until(lambda: "gone.wait" in self.out, "the truth")

    def end(self):
        os.close(self.go_fd)
        self.wait()


class MainThreadGone(TestCase):
    def host(self):
        return self.started(Host())

    def test_every_target_sees_it(self):
        for target in ("-p", "-a", "-f"):
            with self.subTest(target=target):
                host = self.host()
                host.end_main_thread()
                option = {"-p": ("-p", host.pid), "-a": ("-a",), "-f": ("-f", host.words[0])}[target]
                tool = self.started(Hist(*option))
                host.go()
                self.assertEqual(tool.stop(), 0, tool)
                self.assertEqual(tool.counts(host.pid), {"gone.wait": WAITS})
                host.end()

    def test_main_thread_ends_while_it_is_traced(self):
        host = self.host()
        tool = self.started(Hist("-p", host.pid, "--by-env", "RANK"))
        host.end_main_thread()
        host.go()
        host.end()
        self.assertEqual(tool.wait(), 0, tool)  # as the target has ended, and not before
        self.assertEqual([(s["key"], s["count"], s["group"]) for s in tool.last()["series"] if s["key"] == "gone.wait"],
                         [("gone.wait", WAITS, "7")])
        self.assert_all_seen(tool.last())

    def test_as_a_command(self):
        tool = self.started(Hist("--", "sh", "-c", f"echo x | {harness.built('waitprobe-main-thread-gone')} 9 9</dev/null"))
        self.assertEqual(tool.wait(), 0, tool)
        self.assertEqual(counts_of(tool.last())["gone.wait"], WAITS)
        self.assert_all_seen(tool.last())

    def test_list_doctor_and_stuck(self):
        host = self.host()
        host.end_main_thread()
        host.go()
        listed = run(harness.TOOL, "list", "--json", "-p", host.pid)
        self.assertEqual(listed.process.returncode, 0, listed)
        self.assertIn("gone.wait", json.loads(listed.out)["carriers"][0]["keys"])
        everything = json.loads(run(harness.TOOL, "list", "--json").out)["carriers"]
        self.assertIn(host.pid, [carrier["pid"] for carrier in everything])
        doctor = run(harness.TOOL, "doctor", "--json", "-p", host.pid)
        self.assertEqual(doctor.process.returncode, 0, doctor)
        checks = json.loads(doctor.out)["findings"][-1]["checks"]
        self.assertEqual([c["status"] for c in checks if c["name"] in ("probes", "library version", "namespaces")], ["ok"] * 3)
        stuck_words = (harness.TOOL, "stuck", "--json", "--stack", "--older", "0", "--by-env", "RANK", "-p", host.pid)
        harness.wait_until(lambda: json.loads(run(*stuck_words).out)["open"], "the wait is open")
        stuck = run(*stuck_words)
        open_waits = json.loads(stuck.out)["open"]
        self.assertEqual([(wait["key"], wait["group"]) for wait in open_waits], [("gone.open", "7")], stuck)
        self.assertTrue(any("go_on" in frame for frame in open_waits[0]["stack"]), stuck)
        events = run(harness.TOOL, "tracefs", "-p", host.pid)
        self.assertIn("p:waitprobe/wait_stop ", events.out)
        host.end()

    def test_slow(self):
        host = self.host()
        host.end_main_thread()
        ready, ready_child = os.pipe()
        slow = self.started(Program([harness.TOOL, "slow", "--json", "--stack", "--min", "0", "-n", WAITS, "--ready-fd", ready_child,
                                     "-p", host.pid], pass_fds=(ready_child,)))
        os.close(ready_child)
        harness.wait_for_byte(ready, slow)
        os.close(ready)
        host.go()
        self.assertEqual(slow.wait(), 0, slow)
        waits = [json.loads(line) for line in slow.out.splitlines()[:-1]]
        self.assertEqual([wait["pid"] for wait in waits], [host.pid] * WAITS)
        self.assertTrue(all(any("wait_times" in frame for frame in wait["stack"]) for wait in waits), waits[0])
        host.end()

    def test_ended_altogether(self):
        child = os.fork()
        if child == 0:
            os._exit(0)
        try:
            os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
            listed = run(harness.TOOL, "list", "-p", child)
            self.assertEqual(listed.process.returncode, 1, listed)
            self.assertIn("it has ended", listed.err)
        finally:
            os.waitpid(child, 0)


if __name__ == "__main__":
    harness.main()
