# SPDX-License-Identifier: MIT
"""deploy/kubernetes/: the objects are those of the published schemas, and the tool counts everything in such a container."""

import copy
import json
import os
import shutil
import subprocess
import tempfile

import yaml

import harness
import typescript
from agents import Agent, Metrics
from harness import TOOL, TestCase, Workload, run, wait_until

FOLDER = os.path.join(harness.SOURCE, "deploy/kubernetes")
MODULES = {"v1": "kubernetes-models/v1", "apps/v1": "kubernetes-models/apps/v1", "networking.k8s.io/v1": "kubernetes-models/networking.k8s.io/v1",
           "monitoring.coreos.com/v1": "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1"}
# Lays mounts as a runtime does over a folder, and ends in its program: root, in namespaces of its own but for that of pids.
CONTAINER = """
set -e
ip link set lo up
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount -t sysfs -o ro sysfs "$1/sys"
mount --bind /sys/kernel/tracing "$1/sys/kernel/tracing"
mount -o remount,bind,ro "$1/sys/kernel/tracing"
mount -o remount,bind,ro "$1/proc/sys" 2>/dev/null || { mount --bind "$1/proc/sys" "$1/proc/sys"; mount -o remount,bind,ro "$1/proc/sys"; }
mount -o remount,bind,ro "$1"
root=$1
shift
exec chroot "$root" "$@"
"""


def objects(name):
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        return list(yaml.safe_load_all(file))


def everything():
    return objects("daemonset.yaml") + objects("podmonitor.yaml")


def invalid(checked):
    told = subprocess.run(["node", os.path.join(os.path.dirname(__file__), "kubernetes.mjs"), typescript.packages()], input=json.dumps(checked),
                          capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 0, told
    return told.stdout.splitlines()


def mistyped(checked):
    kinds = {(item["apiVersion"], item["kind"]) for item in checked}
    imports = [f'import type {{ I{kind} }} from "{MODULES[version]}/{kind}";' for version, kind in sorted(kinds)]
    return typescript.complaints(imports, [(f"I{item['kind']}", item) for item in checked])


class Schemas(TestCase):
    def test_the_objects_are_valid(self):
        self.assertEqual(sorted(item["kind"] for item in everything()), ["DaemonSet", "Namespace", "NetworkPolicy", "PodMonitor", "ServiceAccount"])
        self.assertEqual(invalid(everything()), [])
        self.assertEqual(mistyped(everything()), [])

    def test_mistakes_are_found(self):
        (fine,) = [item for item in everything() if item["kind"] == "DaemonSet"]

        def broken(change):
            item = copy.deepcopy(fine)
            change(item["spec"]["template"]["spec"])
            return [item]
        self.assertRegex(invalid(broken(lambda pod: pod.update(hostPID="yes")))[0], "hostPID must be boolean")
        self.assertRegex(mistyped(broken(lambda pod: pod.update(hostPid=True)))[0], "hostPid")
        self.assertRegex(mistyped(broken(lambda pod: pod["containers"][0]["securityContext"].update(seccomp={})))[0], "seccomp")


class Pod(TestCase):
    def setUp(self):
        super().setUp()
        (self.daemon_set,) = [item for item in everything() if item["kind"] == "DaemonSet"]
        self.spec = self.daemon_set["spec"]["template"]["spec"]
        (self.agent,) = self.spec["containers"]

    def test_it_may_do_what_the_doctor_asks_for_and_no_more(self):
        context = self.agent["securityContext"]
        self.assertEqual(context["capabilities"], {"drop": ["ALL"], "add": ["BPF", "PERFMON", "SYS_PTRACE", "DAC_READ_SEARCH"]})
        self.assertEqual([context[name] for name in ("privileged", "allowPrivilegeEscalation", "readOnlyRootFilesystem")], [False, False, True])
        self.assertTrue(self.spec["hostPID"])
        self.assertFalse(self.spec["automountServiceAccountToken"])
        self.assertEqual({"hostNetwork", "hostIPC"} & set(self.spec), set())
        self.assertTrue(all(mount["readOnly"] for mount in self.agent["volumeMounts"]))
        self.assertEqual({mount["name"] for mount in self.agent["volumeMounts"]}, {volume["name"] for volume in self.spec["volumes"]})

    def test_ports_and_selectors_fit_each_other(self):
        labels = self.daemon_set["spec"]["template"]["metadata"]["labels"]
        policy, monitor = ([item for item in everything() if item["kind"] == kind][0]["spec"] for kind in ("NetworkPolicy", "PodMonitor"))
        for selector in (self.daemon_set["spec"]["selector"], policy["podSelector"], monitor["selector"]):
            self.assertEqual(selector["matchLabels"], labels)
        (port,) = self.agent["ports"]
        self.assertIn(f"--listen=:{port['containerPort']}", self.agent["args"])
        self.assertEqual(policy["ingress"][0]["ports"][0]["port"], port["containerPort"])
        self.assertEqual(monitor["podMetricsEndpoints"][0]["port"], port["name"])
        for probe in ("livenessProbe", "readinessProbe"):
            self.assertEqual(self.agent[probe]["httpGet"]["port"], port["name"])

    def container(self):
        """Words that begin a command line which runs in such a container, with the program at /usr/bin/waitprobe."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        for program in (TOOL, shutil.which("setpriv")):
            subprocess.run([os.path.join(FOLDER, "image.sh"), program, folder.name], check=True)
        for name in ("proc", "sys"):
            os.mkdir(os.path.join(folder.name, name))
        bounds = ",".join(f"+{name.lower()}" for name in self.agent["securityContext"]["capabilities"]["add"])
        return ["unshare", "--mount", "--uts", "--ipc", "--net", "--cgroup", "sh", "-c", CONTAINER, "sh", folder.name,
                "/usr/bin/setpriv", "--no-new-privs", f"--bounding-set=-all,{bounds}", "--inh-caps=-all", "--clear-groups"]

    def test_the_tool_counts_every_wait_in_such_a_container(self):
        before = self.container()
        version = run(*before, "/usr/bin/waitprobe", "version")
        self.assertEqual(version.out, run(TOOL, "version").out, version)
        if not harness.needs_few_rights():
            self.skipTest("this kernel wants CAP_SYS_ADMIN")
        workload = self.started(Workload("--threads", 3, "--waits", 1009, "--keys", 4, "--pattern", "none"))
        # The port is in the network of the container.
        agent = self.started(Agent(*(word for word in self.agent["args"][1:] if "--listen" not in word), before=before, tool="/usr/bin/waitprobe"))
        inside = ["nsenter", "--net", "--target", agent.pid]
        workload.go()
        self.assertEqual(workload.wait(), 0, workload)

        def counts():
            return Metrics(run(*inside, "curl", "-s", f"http://127.0.0.1:{agent.port}/metrics").out).counts(program="waitprobe-workl")
        wait_until(lambda: counts() == workload.truth(), "it shows every wait")


if __name__ == "__main__":
    harness.main()
