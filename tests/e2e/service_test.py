# SPDX-License-Identifier: MIT
"""deploy/waitprobe.service and waitprobe.toml: what systemd says of the unit, and that the tool counts everything inside its limits. In a
virtual machine (scripts/test-kernels.sh -s -t service), systemd itself runs it."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import tomllib

import harness
from agent_metrics import fetch
from agents import Agent, Metrics
from harness import TOOL, TestCase, Workload, nobody_with, run, wait_until

DEPLOY = os.path.join(harness.SOURCE, "deploy")
# Runs a command line under what the unit allows: confined "CALL CALL ..." "FAMILY ..." COMMAND... The rest is EPERM.
CONFINED = r"""
#include <errno.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
int main(int argc, char** argv) {
  const int refused = SCMP_ACT_ERRNO(EPERM), write_exec = PROT_WRITE | PROT_EXEC;
  scmp_filter_ctx filter = seccomp_init(refused);
  seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
  for (char* name = strtok(argv[1], " "); name; name = strtok(NULL, " ")) {
    const int call = seccomp_syscall_resolve_name(name);
    if (call < 0 || call == SCMP_SYS(setns) || call == SCMP_SYS(unshare)) continue;
    if (call == SCMP_SYS(mmap)) {
      for (int prot = 0; prot < 8; prot++)
        if ((prot & write_exec) != write_exec)
          seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1, SCMP_A2(SCMP_CMP_MASKED_EQ, 7, prot));
    } else if (call == SCMP_SYS(mprotect)) {
      seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    } else if (call == SCMP_SYS(socket)) {
      for (char* family = argv[2]; *family; family = strchr(family, ' ') ? strchr(family, ' ') + 1 : "")
        seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1, SCMP_A0(SCMP_CMP_EQ, atoi(family)));
    } else {
      seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);
    }
  }
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || seccomp_load(filter) != 0 || execvp(argv[3], argv + 3);
}
"""


def systemd(*words):
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, timeout=60, check=False)


def systemctl(*words):
    return subprocess.run(["systemctl", "--no-pager", *words], capture_output=True, text=True, timeout=harness.DEADLINE_S, check=False)


class UnitTestCase(TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        with open(os.path.join(DEPLOY, "waitprobe.service"), encoding="utf-8") as file:
            self.text = file.read()
        self.settings = re.findall(r"^(\w+)=(.*)$", self.text, re.M)

    def values(self, name):
        return [value for key, value in self.settings if key == name]

    def command(self):
        (line,) = self.values("ExecStart")
        return shlex.split(line)


class Unit(UnitTestCase):
    def installed(self):
        """The unit as it stands where its program exists, which systemd asks for."""
        path = os.path.join(self.folder.name, "waitprobe.service")
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.text.replace(self.command()[0], "/bin/true"))
        return path

    def test_systemd_has_nothing_to_say(self):
        verified = systemd("verify", "--man=no", self.installed())
        self.assertEqual((verified.returncode, verified.stderr), (0, ""))

    def test_exposure(self):
        rated = systemd("security", "--offline=true", "--threshold=30", self.installed())
        self.assertEqual(rated.returncode, 0, rated.stdout + rated.stderr)
        print(rated.stdout.splitlines()[-1])

    def test_the_capabilities_are_those_of_the_doctor(self):
        wanted = ["CAP_BPF CAP_PERFMON CAP_SYS_PTRACE CAP_DAC_READ_SEARCH"]
        self.assertEqual(self.values("AmbientCapabilities"), wanted)
        self.assertEqual(self.values("CapabilityBoundingSet"), wanted)

    def allowed_calls(self):
        calls = set()
        for value in self.values("SystemCallFilter"):
            listed = expand(value.lstrip("~").split())
            calls = calls - listed if value.startswith("~") else calls | listed
        return calls | expand(["@default"])

    def confined(self):
        """Words that begin a command line which runs as the service does: its user, capabilities, system calls and sockets."""
        program = os.path.join(self.folder.name, "confined")
        os.chmod(self.folder.name, 0o755)
        subprocess.run(["gcc", "-x", "c", "-", "-o", program, "-lseccomp"], input=CONFINED, check=True, text=True)
        (families,) = self.values("RestrictAddressFamilies")
        numbers = {"AF_UNIX": "1", "AF_INET": "2", "AF_INET6": "10"}
        (capabilities,) = self.values("AmbientCapabilities")
        return [*nobody_with(capabilities.lower().replace("cap_", "").replace(" ", ",")), program, " ".join(sorted(self.allowed_calls())),
                " ".join(numbers[family] for family in families.split())]

    def test_it_counts_every_wait_inside_these_limits(self):
        if not harness.needs_few_rights():
            self.skipTest("this kernel wants CAP_SYS_ADMIN")
        before = self.confined()
        # The limits are there: otherwise this test shows nothing.
        for refused in ("os.setpriority(os.PRIO_PROCESS, 0, 5)", "socket.socket(socket.AF_NETLINK)", "mmap.mmap(-1, 4096, prot=7)"):
            program = run(*before, "python3", "-c", f"import mmap, os, socket; {refused}")
            self.assertIn("Operation not permitted", program.err, program)
        workload = self.started(Workload("--threads", 3, "--waits", 1009, "--keys", 4, "--pattern", "none"))
        agent = self.started(Agent("--all", before=before))
        workload.go()
        self.assertEqual(workload.wait(), 0, workload)
        wait_until(lambda: agent.metrics().counts() == workload.truth(), "it shows every wait")
        agent.signal(signal.SIGTERM)
        self.assertEqual(agent.wait(), 0, agent)


class Boot(UnitTestCase):
    def setUp(self):
        super().setUp()
        # Nowhere else: it installs a unit, and starts it.
        if not os.path.exists("/run/results/systemd"):
            self.skipTest("this is no virtual machine of test-kernels.sh with systemd")
        with open("/proc/sys/kernel/perf_event_paranoid", "w", encoding="ascii") as paranoia:
            paranoia.write("2")
        self.install(TOOL, self.command()[0], 0o755)
        self.install(os.path.join(DEPLOY, "waitprobe.service"), "/etc/systemd/system/waitprobe.service")
        self.install(os.path.join(DEPLOY, "waitprobe.toml"), "/etc/waitprobe/waitprobe.toml")

    @staticmethod
    def install(source, target, mode=0o644):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.exists(target):
            os.unlink(target)
        shutil.copy(source, target)
        os.chmod(target, mode)

    def shown(self, name):
        return systemctl("show", "-P", name, "waitprobe").stdout.strip()

    def start(self):
        systemctl("daemon-reload")
        started = systemctl("start", "waitprobe")
        self.assertEqual(started.returncode, 0, systemctl("status", "waitprobe").stdout + started.stderr)
        self.addCleanup(systemctl, "stop", "waitprobe")

    def counted(self):
        """The truth of a workload that has run, as another user, while it was armed."""
        workload = self.started(Workload("--threads", 3, "--waits", 1009, "--keys", 4, "--pattern", "none", before=["setpriv", "--reuid=33", "--clear-groups"]))
        wait_until(lambda: harness.armed_word(workload.pid), "it is armed")
        workload.go()
        self.assertEqual(workload.wait(), 0, workload)
        return workload.truth()

    def test_it_runs_reloads_starts_again_and_stops(self):
        self.start()
        self.assertEqual(self.shown("ActiveState"), "active")
        truth = self.counted()

        def shown_counts():
            return Metrics(fetch("http://127.0.0.1:9464/metrics")).counts(program="waitprobe-workl")
        wait_until(lambda: shown_counts() == truth, "it shows every wait")
        self.assertEqual(Metrics(fetch("http://127.0.0.1:9464/metrics")).value("waitprobe_coverage_ratio"), 1)

        pid = self.shown("MainPID")
        self.assertEqual(systemctl("reload", "waitprobe").returncode, 0)
        self.assertEqual((self.shown("ActiveState"), self.shown("MainPID")), ("active", pid))
        self.assertEqual(shown_counts(), truth)
        # Killed, it starts again by itself, and counts from zero.
        systemctl("kill", "--signal=KILL", "waitprobe")
        wait_until(lambda: self.shown("ActiveState") == "active" and self.shown("MainPID") not in ("0", pid), "systemd starts it again")
        self.assertEqual(shown_counts(), {})
        self.assertEqual(systemctl("stop", "waitprobe").returncode, 0)
        self.assertEqual((self.shown("ActiveState"), self.shown("Result")), ("inactive", "success"))


class Options(TestCase):
    """The example of a configuration names options that exist, and the commented ones can be used as they stand."""

    def setUp(self):
        super().setUp()
        with open(os.path.join(DEPLOY, "waitprobe.toml"), encoding="utf-8") as file:
            self.text = file.read()

    def all(self):
        return tomllib.loads(re.sub(r"^# (?=[a-z-]+ = )", "", self.text, flags=re.M))

    def test_it_is_toml_and_what_it_sets_are_defaults(self):
        self.assertEqual(tomllib.loads(self.text), {"all": True, "listen": "127.0.0.1:9464", "max-series": 10000})
        self.assertEqual(set(self.all()) - set(tomllib.loads(self.text)), {"web-config", "labels", "otlp"})

    def test_the_agent_takes_it(self):
        agent = self.started(Agent("--config", os.path.join(DEPLOY, "waitprobe.toml")))
        self.assertEqual(agent.metrics().value("waitprobe_series_limit"), 10000)

    def test_the_options_exist(self):
        told = run(TOOL, "help", "serve").out
        for name in self.all():
            self.assertRegex(told, rf"--{name}\b")


def expand(names):
    """The system calls of sets such as @default, and of sets in them."""
    calls = {name for name in names if not name.startswith("@")}
    sets = [name for name in names if name.startswith("@")]
    if not sets:
        return calls
    told = systemd("syscall-filter", *sets)
    assert told.returncode == 0, told.stderr
    return calls | expand(re.findall(r"^ +(@?[\w-]+)$", told.stdout, re.M))


if __name__ == "__main__":
    harness.main()
