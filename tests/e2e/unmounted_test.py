# SPDX-License-Identifier: MIT
"""Nobody has mounted tracefs: the tool works all the same, and mounts nothing that anybody could see."""

import json
import os
import tempfile

import harness
from harness import TOOL, TestCase, run

# What follows these words has mounts of its own, and none of tracefs.
UNMOUNTED = ("unshare", "-m", "sh", "-c",
             'while umount -l /sys/kernel/tracing || umount -l /sys/kernel/debug; do :; done 2>/dev/null; exec "$@"', "sh")
WORKLOAD = (os.path.abspath(harness.built("waitprobe-workload")), "--threads", 1, "--keys", 1)


def mounts(text):
    """Without the numbers of mounts, which each namespace has of its own."""
    return sorted(" ".join(line.split()[2:]) for line in text.splitlines())


def of_tracefs(text):
    return sorted(line for line in text.splitlines() if " - tracefs " in line or " - debugfs " in line)


def own_mounts():
    with open("/proc/self/mountinfo", encoding="ascii") as file:
        return file.read()


class Unmounted(TestCase):
    def setUp(self):
        super().setUp()
        self.outside = of_tracefs(own_mounts())  # others may mount other things meanwhile
        self.inside = mounts(run(*UNMOUNTED, "cat", "/proc/self/mountinfo").out)
        self.assertFalse([mount for mount in self.inside if "tracefs" in mount or "debugfs" in mount])

    def traced(self, *words, before=()):
        """Runs it on a workload. Who looks at the mounts before and after that is in the same namespace as the tool."""
        look = "cat /proc/self/mountinfo >&2"
        program = run(*UNMOUNTED, *before, "sh", "-c", f'"$@"; status=$?; {look}; exit $status', "sh",
                      TOOL, *words, "--", "sh", "-c", f'{look}; exec "$@"', "sh", *WORKLOAD)
        self.assertEqual(program.process.returncode, 0, program)
        lines = [line for line in program.err.splitlines() if " - " in line]
        self.assertEqual(len(lines), 2 * len(self.inside), "while it is attached, and afterwards")
        half = len(self.inside)
        for part in (lines[:half], lines[half:]):
            self.assertEqual(mounts("\n".join(part)), self.inside)
        self.assertEqual(of_tracefs(own_mounts()), self.outside)
        return program

    def test_hist(self):
        for transport in ((), ("--per-event",)):
            with self.subTest(transport=transport):
                program = self.traced("hist", "--json", *transport)
                snapshot = json.loads(program.out.splitlines()[-1])
                truth = harness.last_truth("\n".join(line for line in program.out.splitlines() if '"keys"' in line))
                self.assertEqual(harness.counts_of(snapshot), truth)
                self.assert_all_seen(snapshot)

    def test_slow(self):
        self.assertIn('"key":"work.0"', self.traced("slow", "--json", "--min", "0").out)

    def test_doctor_says_so(self):
        program = run(*UNMOUNTED, TOOL, "doctor", "--json", "-f", WORKLOAD[0])
        self.assertEqual(program.process.returncode, 0, program)
        machine, file = ({check["name"]: check for check in part["checks"]} for part in json.loads(program.out)["findings"])
        self.assertEqual((machine["tracefs"]["status"], machine["tracefs"]["found"]), ("ok", "it is not mounted; the tool mounts it for itself"))
        self.assertEqual(file["foreign uprobes"]["status"], "ok", "it is read there")

    def test_who_may_not_mount_it_is_told_what_to_do(self):
        with tempfile.TemporaryDirectory() as folder:
            before = (*UNMOUNTED, *harness.refusing("fsopen", folder))
            hist = run(*before, TOOL, "hist", "-a", "-d", "0.1")
            self.assertEqual(hist.process.returncode, 1, hist)
            self.assertRegex(hist.err, r"cannot trace: tracefs is not mounted, and cannot be mounted by this user \(Operation not permitted\)")
            self.assertIn("mount -t tracefs tracefs /sys/kernel/tracing", hist.err)
            doctor = run(*before, TOOL, "doctor", "--json")
        self.assertEqual(doctor.process.returncode, 1, doctor)
        found = {check["name"]: check for check in json.loads(doctor.out)["findings"][0]["checks"]}["tracefs"]
        self.assertEqual((found["status"], found["fix"]), ("missing", "mount -t tracefs tracefs /sys/kernel/tracing"))


if __name__ == "__main__":
    harness.main()
