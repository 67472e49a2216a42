# SPDX-License-Identifier: MIT
"""`waitprobe top` on a terminal, which tmux stands in for."""

import json
import os
import re
import subprocess
import time
import uuid

import harness
from harness import TOOL, Program, TestCase, Workload, built, run, wait_until
from stepped import Stepped

BUSY = ("--loop", 600, "--pattern", "sleep", "--hold-ns", 200_000)


class Terminal:
    """A window of a tmux of its own, in which a shell runs a command and says how it ended."""

    def __init__(self, *words, columns=80, rows=24, env=None):
        self.name = f"waitprobe-test-{uuid.uuid4().hex}"
        command = " ".join(f"'{word}'" for word in words)
        settings = " ".join(f"{name}={value}" for name, value in {"LC_ALL": "C.UTF-8", **(env or {})}.items())
        # The settings of the terminal before and after; tput would say the same of the cursor.
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows),
                  f"stty -a > /tmp/{self.name}.before; {settings} {command} 2> /tmp/{self.name}.err; echo \"status $?\"; "
                  f"stty -a > /tmp/{self.name}.after; read line")

    def tmux(self, *words):
        ran = subprocess.run(["tmux", "-u", "-L", self.name, *words], capture_output=True, text=True, check=False, timeout=harness.DEADLINE_S)
        if ran.returncode != 0:
            raise AssertionError(f"tmux {words}: {ran.stderr}")
        return ran.stdout

    def screen(self, *options):
        return self.tmux("capture-pane", "-p", *options)

    def lines(self):
        return self.screen().split("\n")

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def resize(self, columns, rows):
        self.tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def read(self, suffix):
        try:
            with open(f"/tmp/{self.name}.{suffix}", encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def wait_for(self, text):
        wait_until(lambda: text in self.screen(), f"the screen shows {text!r}")

    def kill(self):
        subprocess.run(["tmux", "-L", self.name, "kill-server"], capture_output=True, check=False)
        for suffix in ("before", "after", "err"):
            try:
                os.unlink(f"/tmp/{self.name}.{suffix}")
            except FileNotFoundError:
                pass

    def __str__(self):
        return self.screen()


def rows(terminal):
    """The figures on the screen: {key: count}."""
    return {match[1]: int(match[2]) for match in re.finditer(r"^(work\.\d+) +(\d+) ", terminal.screen(), re.M)}


def first_keys(terminal):
    return re.findall(r"^(work\.\d+) ", terminal.screen(), re.M)


class Top(TestCase):
    def top(self, *options, **terminal_options):
        return self.started(Terminal(TOOL, "top", *options, **terminal_options))

    def busy(self, *workload_options):
        workload = self.started(Workload(*workload_options, *BUSY))
        workload.go()
        return workload

    def over(self, *workload_options, options=(), **terminal_options):
        """Over a workload that is busy."""
        workload = self.busy(*workload_options)
        terminal = self.top("-p", workload.pid, *options, **terminal_options)
        terminal.wait_for("coverage 100 %")
        return workload, terminal

    def test_shows_the_truth(self):
        workload = self.started(Stepped("--threads", 3, "--waits", 23, "--keys", 7))
        workload.go()
        terminal = self.top("-p", workload.pid, "-i", "0.1")
        terminal.wait_for("No waits were seen")
        terminal.keys("t")
        for _ in range(3):
            workload.step()
            truth = {key: done for key, (done, _) in workload.truth_now.bounds().items()}
            wait_until(lambda: rows(terminal) == truth, f"the screen shows {truth}")
        self.assertIn(f"{sum(truth.values())} waits in ", terminal.screen())
        workload.finish()

    def test_what_each_key_does(self):
        _, terminal = self.over("--keys", 30, options=("-i", "0.2"))
        lines = terminal.lines()
        self.assertRegex(lines[0], r"^waitprobe top: process \d+ \(waitprobe-workl\)  last \d+ms, by total$")
        self.assertRegex(lines[2], r"^key +count rate/s  TOTAL waiters    p50    p90    p99     max$")
        terminal.keys(">")
        terminal.wait_for("by p50")
        terminal.keys("Left", "Left", "Left", "Left")
        terminal.wait_for("by key")
        wait_until(lambda: (keys := first_keys(terminal)) == sorted(keys) and len(keys) == 19, "rows in order of their keys")
        terminal.keys("t")
        terminal.wait_for("since attached, ")
        terminal.keys("Space")
        terminal.wait_for("PAUSED")
        still = terminal.screen()
        time.sleep(0.5)
        self.assertEqual(terminal.screen(), still)
        terminal.keys("p")
        wait_until(lambda: terminal.screen() != still, "it goes on")
        terminal.keys("/", "2", "9")
        terminal.wait_for("filter: 29_")
        wait_until(lambda: first_keys(terminal) == ["work.29"], "one row is left")
        terminal.keys("Enter", "Enter")
        terminal.wait_for("244us .. 488us")
        terminal.keys("b", "Escape")
        wait_until(lambda: len(first_keys(terminal)) == 19, "all rows are back")
        terminal.keys("End")
        terminal.wait_for("work.9 ")
        terminal.keys("?")
        terminal.wait_for("select a row")
        terminal.keys("x", "q")
        terminal.wait_for("status 0")

    def test_the_selected_row_is_shown(self):
        _, terminal = self.over("--keys", 5, options=("--sort", "key"))
        reversed_rows = lambda: re.findall(r"\033\[[0-9;]*7m(?:\033\[[0-9;]*m)*(work\.\d)", terminal.screen("-e"))  # noqa: E731
        self.assertEqual(reversed_rows(), ["work.0"])
        terminal.keys("Down", "Down")
        wait_until(lambda: reversed_rows() == ["work.2"], "the third row is selected")
        terminal.keys("Up")
        wait_until(lambda: reversed_rows() == ["work.1"], "the second row is selected")

    def test_follows_the_size_of_its_window(self):
        _, terminal = self.over("--keys", 50, options=("--sort", "key", "-i", "60"))
        for columns, window_rows in ((120, 40), (60, 10), (33, 6), (20, 3), (1, 1), (200, 50), (80, 24)):
            terminal.resize(columns, window_rows)
            shown = min(max(window_rows - 5, 0), 50)
            wait_until(lambda: len(first_keys(terminal)) == shown or columns < 16, f"{shown} rows at {columns} x {window_rows}")
            self.assertTrue(all(len(line) <= columns for line in terminal.lines()), terminal)
        terminal.wait_for("q quit")

    def test_the_end_of_its_target_is_told_and_its_figures_stay(self):
        workload = self.started(Workload("--threads", 2, "--waits", 499, "--keys", 3, "--pattern", "sleep", "--hold-ns", 100_000))
        terminal = self.top("-p", workload.pid, "-i", "0.1")
        terminal.wait_for("No waits were seen")
        workload.go()
        self.assertEqual(workload.wait(), 0)
        terminal.wait_for(f"process {workload.pid} (waitprobe-workl) has ended at ")
        self.assertEqual(rows(terminal), workload.truth())
        self.assertRegex(terminal.screen(), r"has ended at \d\d:\d\d:\d\d; q quits")
        terminal.resize(100, 30)
        terminal.keys(">")
        terminal.wait_for("by p50")
        self.assertEqual(rows(terminal), workload.truth())
        terminal.keys("q")
        terminal.wait_for("status 0")

    def test_its_time_is_up_also_when_its_target_has_ended_before(self):
        workload = self.started(Workload("--threads", 1, "--waits", 5))
        terminal = self.top("-p", workload.pid, "-d", "3")
        terminal.wait_for("No waits were seen")
        workload.go()
        terminal.wait_for("has ended at ")
        terminal.wait_for("status 0")

    def test_of_a_command_the_status_is_its_own_and_its_output_is_not_shown(self):
        program = built("waitprobe-workload")
        terminal = self.top("--", "sh", "-c", f"expr 654 + 321; {program} --waits 23; expr 654 + 321 >&2; exit 7")
        terminal.wait_for("has ended at")
        self.assertIn("with status 7; q quits", terminal.screen())
        self.assertEqual(rows(terminal), {"work.0": 23})
        self.assertNotIn("975", terminal.screen())
        terminal.keys("q")
        terminal.wait_for("status 7")

    def ends_well(self, terminal, status):
        terminal.wait_for(f"status {status}")
        wait_until(lambda: terminal.read("after"), "the settings are known")
        self.assertEqual(terminal.read("after"), terminal.read("before"))
        self.assertEqual(terminal.read("err"), "")
        self.assertEqual(terminal.tmux("display-message", "-p", "#{cursor_flag} #{alternate_on}"), "1 0\n", "the cursor is back")

    def test_the_terminal_is_given_back_however_it_ends(self):
        for end in ("q", "C-c"):
            with self.subTest(end=end):
                _, terminal = self.over()
                terminal.keys(end)
                self.ends_well(terminal, 0)
        terminal = self.top("-p", self.busy().pid, "-d", "0.5")
        self.ends_well(terminal, 0)
        workload, terminal = self.over()
        (pid,) = [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and self.is_top_of(pid, workload.pid)]
        os.kill(pid, 15)
        self.ends_well(terminal, 0)

    @staticmethod
    def is_top_of(pid, target):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                return file.read().split(b"\0")[:4] == [TOOL.encode(), b"top", b"-p", str(target).encode()]
        except OSError:
            return False

    def test_colours_unless_nobody_wants_them(self):
        _, terminal = self.over()
        self.assertRegex(terminal.screen("-e"), r"\033\[36m")
        _, terminal = self.over(env={"NO_COLOR": "1"})
        self.assertNotRegex(terminal.screen("-e"), r"\033\[([0-9;]*;)?3[0-7]m")

    def test_nothing_that_a_key_holds_reaches_the_terminal(self):
        workload = self.started(Workload("--nasty-keys", *BUSY))
        workload.go()
        terminal = self.top("-p", workload.pid, "-i", "0.1")
        terminal.wait_for(r"\x1b[31mred")
        self.assertNotIn("\033[31m", terminal.screen("-e"))
        self.assertIn("漢字", terminal.screen())

    def test_several_processes_stand_apart(self):
        workloads = [self.started(Workload("--keys", 2, *BUSY)) for _ in range(2)]
        for workload in workloads:
            workload.go()
        terminal = self.top("-p", workloads[0].pid, "-p", workloads[1].pid, "-i", "0.1")
        terminal.wait_for("2 processes")
        for workload in workloads:
            wait_until(lambda: len(re.findall(rf"^work\.[01] +\S+ +{workload.pid} ", terminal.screen(), re.M)) == 2, "two rows of each")


class Plain(TestCase):
    """Without a terminal."""

    def test_a_table_each_interval_until_its_target_ends(self):
        workload = self.started(Workload("--waits", 23))
        tool = self.started(Program([TOOL, "top", "-i", "0.1", "-p", workload.pid]))
        wait_until(lambda: tool.out.count("No waits were seen in ") >= 2, "two tables")
        workload.go()
        workload.wait()
        self.assertEqual(tool.wait(), 0, tool)
        self.assertRegex(tool.out, r"work\.0 +23 ")
        self.assertNotIn("\033", tool.out)

    def test_json_as_hist_prints_it(self):
        ran = run(TOOL, "top", "--json", "--", built("waitprobe-workload"), "--waits", 23)
        lines = [json.loads(line) for line in ran.out.splitlines() if line.startswith('{"waitprobe"')]
        self.assertEqual(sum(series["count"] for line in lines for series in line["series"]), 23)

    def test_a_reader_that_leaves_ends_it(self):
        ran = subprocess.run(["bash", "-c", f"{TOOL} top -a -i 0.01 | head -1; echo ${{PIPESTATUS[0]}}"], capture_output=True, text=True,
                             timeout=harness.DEADLINE_S, check=False)
        self.assertEqual((ran.stdout.splitlines()[-1], ran.stderr), ("0", ""))

    def test_a_terminal_that_nothing_is_known_of(self):
        for terminal_name in ("dumb", "nonsense"):
            terminal = self.started(Terminal(TOOL, "top", "-a", "-i", "0.1", "-d", "0.3",
                                             # ncurses loses what it had allocated when it finds that it knows nothing.
                                             env={"TERM": terminal_name, "ASAN_OPTIONS": "detect_leaks=0"}))
            terminal.wait_for("status 0")
            self.assertRegex(terminal.screen(), r"waits? (were seen )?in \d+")


class Background(TestCase):
    """In the background of its terminal, which refuses it, the tool still ends when it is asked to."""

    def setUp(self):
        super().setUp()
        self.workload = self.started(Workload(*BUSY))
        self.workload.go()

    def shell(self, script, *words):
        # A shell with job control, which it has where its standard error is the terminal.
        return self.started(Terminal("bash", "-c", 'exec bash -mc "$@" 2>/dev/tty', "bash", script, TOOL, *words, "-p", self.workload.pid))

    def test_a_signal_ends_it(self):
        for words in (("top",), ("hist", "-i", "0.05")):
            for name in ("TERM", "INT", "HUP"):
                with self.subTest(words=words, signal=name):
                    terminal = self.shell(f'stty tostop; "$0" "$@" --ready-fd 9 9>/tmp/$$.ready & until [ -s /tmp/$$.ready ]; do sleep 0.02; done; '
                                          f'rm /tmp/$$.ready; kill -{name} %1; wait %1; echo "ended with $?"', *words)
                    terminal.wait_for("ended with 0")
                    self.assertFalse(harness.armed_word(self.workload.pid))

    def test_timeout_ends_it(self):
        terminal = self.shell('timeout -k 60 1 "$0" "$@"; echo "ended with $?"', "top")
        terminal.wait_for("ended with 124")

    def test_it_shows_its_screen_once_it_is_in_the_foreground(self):
        terminal = self.shell('"$0" "$@" & sleep 0.2; fg >/dev/null; echo "ended with $?"', "top")
        terminal.wait_for("work.0")
        terminal.keys("q")
        terminal.wait_for("ended with 0")

    def test_after_ctrl_z(self):
        terminal = self.shell('"$0" "$@"; bg; kill -TERM %1; wait %1; echo "ended with $?"', "top")
        terminal.wait_for("work.0")
        terminal.keys("C-z")
        terminal.wait_for("ended with 0")
        self.assertFalse(harness.armed_word(self.workload.pid))


if __name__ == "__main__":
    harness.main()
