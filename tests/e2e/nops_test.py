# SPDX-License-Identifier: MIT
"""The three nops of a probe: whoever attaches to which of them, each wait is seen, and nothing of the program is harmed."""

import os
import re
import subprocess
import tempfile

import harness
from harness import TOOL, Hist, Program, TestCase, Workload, counts_of, run
from tracers import Tracer, append_events, assert_counted

LEAF = r"""
#include <waitprobe/wait_counter.h>
#include <cstdio>
#include <thread>
#include <vector>
// Variables enough for all registers, across a wait.
__attribute__((noinline)) unsigned long leaf(unsigned long value, bool waits) {
  unsigned long a = value, b = value * 3, c = value ^ 5, d = value + 7, e = ~value, f = value << 1, g = value >> 1, h = value * value;
  for (unsigned long i = 0; i < 50; i++) {
    if (waits) {
      STATIC_SCOPED_WAIT_COUNTER(leaf.wait);
      a += b ^ i;
    } else {
      a += b ^ i;
    }
    b += c; c ^= d; d += e; e ^= f; f += g; g ^= h; h += a;
  }
  return a ^ b ^ c ^ d ^ e ^ f ^ g ^ h;
}
int main() {
  char go;
  std::puts("ready");
  std::fflush(stdout);
  if (std::fread(&go, 1, 1, stdin) != 1) return 1;
  std::vector<std::thread> threads;
  unsigned long wrong = 0;
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([&] {
      for (unsigned long i = 0; i < 200; i++) {
        if (leaf(i, true) != leaf(i, false)) __atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  std::printf("wrong: %lu\n", wrong);
}
"""


class Nops(TestCase):
    def test_tools_at_different_nops_all_see_every_wait(self):
        workload = self.started(Workload("--threads", 4, "--waits", 5000, "--keys", 2, "--pattern", "none"))
        file = os.path.realpath(f"/proc/{workload.pid}/exe")
        events = [line for line in run(TOOL, "tracefs", "-p", workload.pid).out.splitlines() if line.startswith("p:waitprobe/wait_stop ")]
        append_events("\n".join(events).replace("p:waitprobe/", "p:waitprobe_nops/") + "\n")
        self.addCleanup(append_events, "-:waitprobe_nops/wait_stop\n")
        perf = self.started(Tracer(["perf", "stat", "-e", "waitprobe_nops:wait_stop", "-p", workload.pid]))
        plain = self.started(Tracer(["bpftrace", "-B", "line", "-p", workload.pid, "-e", f"usdt:{file}:waitprobe:wait_stop {{ @n[str(arg0)] = count(); }}"]))
        tools = [self.started(Hist("-p", workload.pid, *options)) for options in (["--per-event"], [])]
        workload.go()
        self.assertEqual(workload.wait(), 0, workload)
        truth = workload.truth()
        for tool in tools:
            self.assertEqual(tool.wait(), 0, tool)
            self.assertEqual(counts_of(tool.last(), workload.pid), truth)
        plain.wait()
        assert_counted(self, plain.map("n"), truth, plain)
        perf.wait()
        self.assertEqual(int(re.search(r"^ *([\d,.]+) +waitprobe_nops:wait_stop", perf.err, re.M).group(1).replace(",", "")), sum(truth.values()))

    def test_a_nop_that_was_kept_and_is_none_is_not_used(self):
        file = harness.built("libwaitprobe.so")
        events = run(TOOL, "tracefs", "-f", file).out
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as boot, tempfile.NamedTemporaryFile("w") as kept:
            kept.write(f"{boot.read().strip()} 6\n")
            kept.flush()
            script = 'mount --bind "$1" /run/waitprobe.nop && exec "$2" tracefs -f "$3"'
            self.assertEqual(run("unshare", "--mount", "sh", "-c", script, "sh", kept.name, TOOL, file).out, events)

    def test_functions_that_wait_keep_their_values(self):
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.join(folder, "leaf")
            subprocess.run(["g++", "-std=c++20", "-O2", "-x", "c++", "-", "-x", "none", "-I", os.path.join(harness.SOURCE, "include"), "-o", program,
                            harness.built("libwaitprobe.a"), "-pthread"], check=True, text=True, input=LEAF)
            for options in (["--per-event"], []):
                with self.subTest(options=options):
                    process = self.started(Program([program], stdin=subprocess.PIPE, bufsize=0))
                    harness.wait_until(lambda p=process: "ready" in p.out, "it stands ready")
                    tool = self.started(Hist("-p", process.pid, *options))
                    process.process.stdin.write(b"g")
                    process.process.stdin.close()
                    self.assertEqual(process.wait(), 0, process)
                    self.assertEqual(tool.wait(), 0, tool)
                    self.assertEqual(counts_of(tool.last(), process.pid), {"leaf.wait": 4 * 200 * 50})
                    self.assertIn("wrong: 0\n", process.out)


if __name__ == "__main__":
    harness.main()
