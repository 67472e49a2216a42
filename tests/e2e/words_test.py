# SPDX-License-Identifier: MIT
"""Help, manual pages and completion tell of every command and every option that there is: all of them go over the same table."""

import os
import pty
import re
import select
import subprocess
import tempfile
import time

import harness
from harness import TOOL, TestCase, run, wait_until

ENVIRONMENT = {"PATH": f"{os.path.dirname(TOOL)}:{os.environ['PATH']}", "MANWIDTH": "200", "LC_ALL": "C.UTF-8", "TERM": "xterm"}


def commands():
    """Name and summary of each."""
    text = run(TOOL, "help").out
    return re.findall(r"^  (\w+) {2,}(.+)$", text[text.index("Commands:"):], re.M)


def options(command):
    """All that --help shows."""
    text = run(TOOL, command, "--help").out
    names = [re.findall(r"-[\w-]+", line.split("  ")[0] if "," not in line else line.split()[0])
             for line in re.findall(r"^  (-.*)$", text, re.M)]
    return sorted({name for line in names for name in line})


def shell(*words):
    ran = subprocess.run(words, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True, timeout=60, check=False)
    if ran.returncode != 0 or ran.stderr:
        raise AssertionError(ran)
    return ran.stdout


class EachCommand(TestCase):
    def each(self):
        found = commands()
        self.assertGreaterEqual(len(found), 11)
        for name, summary in found:
            with self.subTest(command=name):
                yield name, summary

    def test_help(self):
        for name, summary in self.each():
            told = run(TOOL, "help", name)
            self.assertEqual(told.process.returncode, 0, told)
            self.assertEqual(told.out, run(TOOL, name, "--help").out)
            self.assertIn(summary, told.out)
            self.assertIn("Examples:\n", told.out)
            self.assertIn("--help", options(name))

    def test_manual_page(self):
        for name, summary in self.each():
            with tempfile.NamedTemporaryFile("w", suffix=".1") as page:
                page.write(run(TOOL, "man", name).out)
                page.flush()
                text = shell("man", "--warnings", "-E", "ascii", "-l", page.name)  # warnings are on stderr
            self.assertRegex(text, rf"NAME\n +waitprobe-{name} - ")
            for section in ("SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES", "EXIT STATUS", "SEE ALSO"):
                self.assertRegex(text, rf"(?m)^{section}$")
            for option in options(name):
                self.assertRegex(text, rf"(?m)^ +(.*, )?{option}\b", option)
            self.assertIn(" ".join(summary.split()[:3]), text)
        self.assertEqual(re.findall(r"waitprobe\\-(\w+)", run(TOOL, "man").out), [name for name, _ in commands()])

    def test_exit_statuses(self):
        without = {"list", "report", "serve", "doctor", "tracefs", "run", "help", "man", "completion", "version"}
        for name, _ in self.each():
            told = re.findall(r"Exit status (\d): \w+", run(TOOL, "help", name).out)
            self.assertEqual("4" in told, name not in without)
            self.assertEqual("3" in told, name in {"stuck", "diff"})
            self.assertEqual(told, re.findall(r"(?m)^\.B ([34])$", run(TOOL, "man", name).out))

    def test_bash(self):
        self.assertEqual(self.bash("waitprobe", ""), sorted(name for name, _ in commands()))
        for name, _ in self.each():
            self.assertEqual([word for word in self.bash("waitprobe", name, "-") if word != "--"], options(name))

    def test_fish(self):
        listed = dict(line.split("\t") for line in self.fish("waitprobe ").splitlines())
        self.assertEqual(listed, dict(commands()))
        for name, _ in self.each():
            self.assertEqual(sorted(line.split("\t")[0] for line in self.fish(f"waitprobe {name} -").splitlines()), options(name))

    def test_zsh(self):
        with Zsh() as zsh:
            seen = zsh.complete("waitprobe ")
            for name, summary in commands():
                self.assertRegex(seen, rf"\b{name} +-- {re.escape(summary)}")
            for name, _ in self.each():
                seen = zsh.complete(f"waitprobe {name} -")
                for option in options(name):
                    self.assertRegex(seen, rf"(^|\s){option}\s", f"{name} {option}")

    def bash(self, *words):
        script = (f"source <(waitprobe completion bash)\nCOMP_WORDS=({' '.join(repr(word) for word in words)})\n"
                  f"COMP_CWORD={len(words) - 1}\n_waitprobe\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"")
        return sorted(shell("bash", "--norc", "-c", script).splitlines())

    def fish(self, line):
        return shell("fish", "--no-config", "-c", f"waitprobe completion fish | source; complete -C '{line}'")

    def test_values(self):
        columns = ["count", "key", "max", "p50", "p90", "p99", "rate", "total"]
        me = str(os.getpid())
        self.assertEqual(self.bash("waitprobe", "hist", "--sort", ""), columns)
        self.assertEqual(self.bash("waitprobe", "hist", "--sort", "=", "p5"), ["p50"])  # as bash splits --sort=p5
        self.assertEqual(self.bash("waitprobe", "hist", "--color", "="), ["always", "auto", "never"])
        self.assertEqual(self.bash("waitprobe", "--v"), ["--version"])
        self.assertIn(me, self.bash("waitprobe", "hist", "-p", ""))
        self.assertIn("/etc/passwd", self.bash("waitprobe", "report", "/etc/pass"))
        self.assertIn("/etc/passwd", self.bash("waitprobe", "hist", "-f", "/etc/pass"))
        self.assertEqual(self.bash("waitprobe", "help", "st"), ["stuck"])
        self.assertEqual(self.bash("waitprobe", "completion", ""), ["bash", "fish", "zsh"])
        self.assertIn("setsid", self.bash("waitprobe", "hist", "--", "sets"))
        with tempfile.TemporaryDirectory() as folder:
            os.mknod(os.path.join(folder, "two words"))
            self.assertEqual(self.bash("waitprobe", "report", f"{folder}/two"), [f"{folder}/two words"])
        self.assertIn("--", self.bash("waitprobe", "hist", "-"))
        self.assertNotIn("--", self.bash("waitprobe", "report", "-"))

        self.assertEqual(sorted(line.split("\t")[0] for line in self.fish("waitprobe hist --sort ").splitlines()), columns)
        self.assertEqual(self.fish("waitprobe --v").split("\t")[0], "--version")
        self.assertRegex(self.fish("waitprobe hist -p "), rf"(?m)^{me}\t")
        self.assertIn("/etc/passwd", self.fish("waitprobe report /etc/pass"))
        self.assertEqual(self.fish("waitprobe man st").split("\t")[0].strip(), "stuck")
        self.assertIn("setsid", self.fish("waitprobe hist -- sets"))
        self.assertIn("/etc/passwd", self.fish("waitprobe hist -- cat /etc/pass"))
        self.assertNotIn("--json", self.fish("waitprobe hist -- cat --j"))

        with Zsh() as zsh:
            for column in columns:
                self.assertRegex(zsh.complete("waitprobe hist --sort "), rf"\b{column}\b")
            self.assertRegex(zsh.complete("waitprobe hist --color=al"), "--color=always")
            self.assertRegex(zsh.complete("waitprobe --ve"), "--version")
            self.assertIn("/etc/passwd", zsh.complete("waitprobe report /etc/passw"))
            self.assertIn("/etc/passwd", zsh.complete("waitprobe hist -f /etc/passw"))
            self.assertIn("setsid", zsh.complete("waitprobe hist -- setsi", "\t"))

    def test_what_cannot_be_understood(self):
        for words in (["help", "hist", "--", "true"], ["help", "hits"], ["man", "hits"], ["completion", "tcsh"], ["completion"], ["help", "hist", "top"]):
            program = run(TOOL, *words)
            self.assertEqual(program.process.returncode, 2, program)
            self.assertEqual(program.out, "")
            self.assertRegex(program.err, rf"^waitprobe {words[0]}: .*\nRun 'waitprobe {words[0]} --help' for the options\.\n$")
        self.assertIn("unknown command 'hits'; did you mean 'hist'?", run(TOOL, "help", "hits").err)
        self.assertIn("unknown completion for 'tcsh', not one of bash, zsh, fish", run(TOOL, "completion", "tcsh").err)

    def test_installed_where_shells_and_man_look(self):
        with tempfile.TemporaryDirectory() as folder:
            shell("cmake", "--install", harness.BUILD, "--prefix", folder)
            for file in ("bin/waitprobe", "share/bash-completion/completions/waitprobe", "share/zsh/site-functions/_waitprobe",
                         "share/fish/vendor_completions.d/waitprobe.fish", "share/man/man1/waitprobe.1",
                         *(f"share/man/man1/waitprobe-{name}.1" for name, _ in commands())):
                self.assertGreater(os.path.getsize(os.path.join(folder, file)), 100, file)
            self.assertEqual(shell(os.path.join(folder, "bin/waitprobe"), "--version"), run(TOOL, "--version").out)


class Zsh:
    """An interactive zsh, which alone completes."""

    def __enter__(self):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe("zsh", ["zsh", "-f", "-i"], {**os.environ, **ENVIRONMENT, "PS1": "> ", "PROMPT_EOL_MARK": ""})
        self.send("stty rows 200 cols 250; unsetopt beep zle_bracketed_paste; LISTMAX=1000; autoload -U compinit; compinit -u -D; "
                  "source <(waitprobe completion zsh); print re''ady\n")
        self.read_until("ready")
        return self

    def __exit__(self, *_):
        os.close(self.fd)
        os.waitpid(self.pid, 0)

    def send(self, text):
        os.write(self.fd, text.encode())

    def read(self, patience_s):
        return os.read(self.fd, 65536).decode(errors="replace") if select.select([self.fd], [], [], patience_s)[0] else ""

    def read_until(self, wanted):
        text = ""

        def is_there():
            nonlocal text
            text += self.read(0.05)
            return wanted in text
        wait_until(is_there, f"zsh prints {wanted!r}")
        return text

    def complete(self, line, tabs="\t\t"):
        """What is on the terminal after the line and these. Nothing says that zsh is done: the next command does."""
        self.send(line + tabs)
        text, quiet_since = "", time.monotonic()
        while time.monotonic() - quiet_since < 0.3:
            more = self.read(0.05)
            if more:
                text, quiet_since = text + more, time.monotonic()
        self.send("\x15print do''ne\n")
        text += self.read_until("done")
        return re.sub(r"\x1b\[[\d;?]*[A-Za-z]|\x1b[=>]|\r", " ", text)


if __name__ == "__main__":
    harness.main()
