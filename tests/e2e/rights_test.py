#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The few capabilities that are enough: with just these, all is counted exactly, and the doctor says so."""

import json
import os
import re
import select
import shutil
import signal
import tempfile

import harness
from harness import Hist, Program, TOOL, TestCase, Workload, counts_of, nobody_with, run, wait_until

WITH_MULTI = "bpf,perfmon,sys_ptrace,dac_read_search"
WITHOUT_MULTI = WITH_MULTI + ",checkpoint_restore"
WORK = ("--threads", 3, "--waits", 1009, "--keys", 4, "--pattern", "none")


def checks(before, *words):
    """Of the machine, by name."""
    program = run(*before, TOOL, "doctor", "--json", *words)
    return program, {check["name"]: check for check in json.loads(program.out)["findings"][0]["checks"]}


class Rights(TestCase):
    def test_four_capabilities_are_enough_where_the_kernel_has_uprobe_multi(self):
        before = nobody_with(WITH_MULTI)
        program, found = checks(before)
        if not harness.needs_few_rights():
            self.assertEqual(program.process.returncode == 0, found["capabilities"]["status"] == "ok", program)
            return
        self.assertEqual(program.process.returncode, 0, program)
        self.assertIn("attached by uprobe_multi links", found["uprobes"]["found"])
        self.assertEqual((found["capabilities"]["status"], found["rights to read"]["status"]), ("ok", "ok"))
        # A process of another user, one that is started, and everything.
        for options in ([], ["--per-event"]):
            with self.subTest(options=options):
                workload = self.started(Workload(*WORK))
                tools = [self.started(Hist(*options, *target, before=before)) for target in (["-p", workload.pid], ["-a"])]
                workload.go()
                self.assertEqual(workload.wait(), 0, workload)
                self.assertIn(tools[1].stop(), (0, 4), "others may start programs meanwhile")
                self.assertEqual(tools[0].wait(), 0, tools[0])
                for tool in tools:
                    self.assertEqual(counts_of(tool.last(), workload.pid), workload.truth())
                    self.assertEqual(tool.err, "")
                started = run(*before, TOOL, "hist", "--json", *options, "--", harness.built("waitprobe-workload"), *WORK)
                self.assertEqual(counts_of(json.loads(started.out.splitlines()[-1])), harness.last_truth(started.out.splitlines()[0]))
        slow = run(*before, TOOL, "slow", "--json", "--min", "0", "--", harness.built("waitprobe-workload"), *WORK)
        self.assertEqual(slow.process.returncode, 0, slow)
        self.assertEqual(slow.out.count('"key":"work.'), 3 * 1009)

    def test_stuck_arms_with_them(self):
        if not harness.needs_few_rights():
            return
        workload = self.started(Workload("--threads", 2, "--waits", 1, "--pattern", "sleep", "--hold-ns", 3_600_000_000_000))
        read_end, write_end = os.pipe()
        words = [*nobody_with(WITH_MULTI), TOOL, "stuck", "--watch", "--json", "-i", "0.05", "--older", "0", "--ready-fd", write_end, "-p", workload.pid]
        tool = self.started(Program(words, pass_fds=(write_end,)))
        os.close(write_end)
        self.assertTrue(select.select([read_end], [], [], harness.DEADLINE_S)[0], tool)
        os.close(read_end)
        self.assertTrue(harness.armed_word(workload.pid))
        workload.go()
        wait_until(lambda: tool.out.count('"key":"work.0"') >= 2, "it sees both")
        tool.signal(signal.SIGINT)
        tool.wait()
        self.assertEqual(tool.err, "")

    def test_what_the_doctor_says_to_be_enough_is_enough(self):
        nobody = ["setpriv", "--reuid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]
        _, found = checks(nobody)
        wanted = re.search(r"setcap (\S+)\+ep", found["capabilities"]["fix"]).group(1)
        self.assertEqual(wanted, "cap_bpf,cap_perfmon,cap_sys_ptrace,cap_dac_read_search" if harness.needs_few_rights() else
                         "cap_sys_admin,cap_sys_ptrace,cap_dac_read_search")
        before = nobody_with(wanted.replace("cap_", ""))
        program, _ = checks(before)
        self.assertTrue(json.loads(program.out)["will_work"], program)
        self.assert_counts(before)

    def test_rights_that_do_on_some_kernels_alone(self):
        before = nobody_with(WITHOUT_MULTI)
        program, found = checks(before)
        if program.process.returncode == 0:
            return self.assert_counts(before)
        self.assertFalse(harness.needs_few_rights())
        self.assertIn("lacks CAP_SYS_ADMIN", found["capabilities"]["found"])
        hist = run(*before, TOOL, "hist", "-a", "-d", "0.1")
        self.assertEqual(hist.process.returncode, 1, hist)
        return self.assertIn("cannot trace: this user lacks CAP_SYS_ADMIN", hist.err)

    def test_a_deleted_library_needs_another(self):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(harness.built("libwaitprobe.so"), os.path.join(folder, "libwaitprobe.so.0"))
            workload = self.started(Workload("--threads", 1, program=harness.built("waitprobe-workload-shared"), env={"LD_LIBRARY_PATH": folder}))
        listed = run(*nobody_with("sys_ptrace,dac_read_search"), TOOL, "tracefs", "-p", workload.pid)
        self.assertIn("can be opened with CAP_CHECKPOINT_RESTORE", listed.err, listed)
        self.assertEqual(run(*nobody_with("sys_ptrace,dac_read_search,checkpoint_restore"), TOOL, "list", "-p", workload.pid).process.returncode, 0)

    def assert_counts(self, before):
        hist = run(*before, TOOL, "hist", "--json", "--", harness.built("waitprobe-workload"), "--threads", 1, "--waits", 1009, "--keys", 1)
        self.assertEqual(counts_of(json.loads(hist.out.splitlines()[-1])), {"work.0": 1009}, hist)


if __name__ == "__main__":
    harness.main()
