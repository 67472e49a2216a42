# SPDX-License-Identifier: MIT
"""waitprobe_set_trace_id(): exemplars, `slow` and `stuck` show which trace a wait was for."""

import json
import signal
import subprocess

import harness
from agents import OPENMETRICS, Agent
from harness import TOOL, Program, TestCase, built, run, wait_until
from serve_test import exemplars_by_key
from slow_test import Slow


def trace(letter):
    return (letter.encode() * 16).hex()


class Traced(Program):
    """waitprobe-traces, which plays a scene when it is told."""

    def __init__(self, program=built("waitprobe-traces"), **options):
        super().__init__([program], stdin=subprocess.PIPE, **options)

    def begin(self, scene):
        self.process.stdin.write(scene.encode() + b"\n")
        self.process.stdin.flush()

    def kill(self):
        self.process.stdin.close()
        super().kill()

    def play(self, *scenes):
        for scene in scenes:
            before = self.out.count("done")
            self.begin(scene)
            wait_until(lambda cnt=before: self.out.count("done") > cnt, f"{scene} has been played")


# By scene: the trace of the slowest wait of a key.
EXPECTED = {"before": {"trace.before": trace("b")}, "after": {"trace.after": trace("a"), "trace.unsaid": None},
            "clear": {"trace.cleared": None, "trace.short": trace("c")}, "hand_over": {"trace.handed": trace("h")},
            "nest": {"trace.nested": trace("n"), "trace.unsaid": None}, "busy": {"trace.busy": trace("z")}, "fork": {"trace.child": trace("f")},
            "reuse": {"trace.reused": None}, "die": {"trace.dying": trace("d")}}


class Traces(TestCase):
    def assert_exemplars(self, agent, expected):
        found = exemplars_by_key(agent.get(accept=OPENMETRICS)[2].decode())
        for key, known in expected.items():
            slowest = max(found[key], key=lambda exemplar: exemplar[1])[0].get("trace_id")
            if key == "trace.busy":  # of its two million waits, another may have been held up for longer
                self.assertIn(known, {exemplar[0].get("trace_id") for exemplar in found[key]}, found)
            else:
                self.assertEqual(slowest, known, (key, found))

    def test_exemplars_show_them(self):
        for clock in ("monotonic", "cycles"):
            program = self.started(Traced(env={"WAITPROBE_CLOCK": clock}))
            agent = self.started(Agent("-f", built("waitprobe-traces")))
            for scene, expected in EXPECTED.items():
                with self.subTest(clock=clock, scene=scene):
                    program.play(scene)
                    self.assert_exemplars(agent, expected)
            agent.kill()
            program.kill()

    def test_exemplars_stay_until_somebody_has_had_them(self):
        program = self.started(Traced())
        agent = self.started(Agent("-f", built("waitprobe-traces")))
        program.play("before")
        for path in ("/", "/metrics"):  # each takes a snapshot, and has none
            self.assertEqual(agent.get(path)[0], 200)
        self.assert_exemplars(agent, EXPECTED["before"])
        self.assertEqual(exemplars_by_key(agent.get(accept=OPENMETRICS)[2].decode()).get("trace.before", []), [])

    def test_what_was_said_before_somebody_listens(self):
        program = self.started(Traced())
        program.play(*EXPECTED)
        agent = self.started(Agent("-f", built("waitprobe-traces")))
        program.play("hold", *EXPECTED)
        found = exemplars_by_key(agent.get(accept=OPENMETRICS)[2].decode())
        self.assertLessEqual({trace(letter) for letter in "bahnzfd"},
                             {exemplar[0].get("trace_id") for of_key in found.values() for exemplar in of_key})

    def test_a_signal_handler_never_leaves_half_of_one(self):
        program = self.started(Traced())
        agent = self.started(Agent("-p", program.pid))
        program.play("interrupted")
        found = exemplars_by_key(agent.get(accept=OPENMETRICS)[2].decode())["trace.interrupted"]
        self.assertLessEqual({exemplar[0].get("trace_id") for exemplar in found}, {trace("i"), trace("j")})

    def test_slow_shows_them(self):
        for options in ([], ["--stack"]):
            program = self.started(Traced())
            slow = self.started(Slow("-f", built("waitprobe-traces"), "--min", "2ms", *options))
            program.play("before", "after", "hand_over", "nest", "fork")
            wait_until(lambda s=slow: s.out.count('"trace.child"') == 1, "all have been told")
            slow.signal(signal.SIGINT)
            slow.wait()
            # The first of each key: on a busy machine, later ones that are meant to be short may be slow as well.
            traces = {}
            for wait in slow.lines():
                traces.setdefault(wait["key"], wait.get("trace_id"))
            traces.pop("trace.short", None)
            self.assertEqual(traces, {"trace.before": trace("b"), "trace.after": trace("a"), "trace.unsaid": None, "trace.handed": trace("h"),
                                      "trace.nested": trace("n"), "trace.child": trace("f")})
            if options:
                stack = next(wait["stack"] for wait in slow.lines() if wait["key"] == "trace.before")
                self.assertTrue(any(frame.startswith("w (traces.c:") for frame in stack), stack)
            program.kill()

    def test_slow_says_them_in_its_lines(self):
        program = self.started(Traced())
        slow = self.started(Slow("-p", program.pid, "--min", "2ms", json_output=False))
        program.play("before")
        wait_until(lambda: f"\n    trace {trace('b')}\n" in slow.out, "it has been told")

    def test_stuck_shows_them(self):
        program = self.started(Traced(env={"WAITPROBE_TRACK": "1"}))
        program.play("before", "hold")
        found = run(TOOL, "stuck", "-p", program.pid, "--older", "0", "--json")
        self.assertEqual([(wait["key"], wait["trace_id"]) for wait in json.loads(found.out)["open"]], [("trace.held", trace("o"))])
        self.assertIn(f"\n       trace {trace('o')}\n", run(TOOL, "stuck", "-p", program.pid, "--older", "0").out)


if __name__ == "__main__":
    harness.main()
