// SPDX-License-Identifier: MIT
//
// Performs a known number of waits on known keys, and prints the truth as its last line: {"keys":{"work.0":123}}.
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <thread>

#include <nlohmann/json.hpp>

#include "src/view/escape.h"
#include "tests/workload/backends.h"
#include "tests/workload/deaths.h"
#include "tests/workload/ends.h"
#include "tests/workload/options.h"
#include "tests/workload/work.h"

namespace {

void tell_ready(const Options& options) {
  if (options.ready_fd >= 0) (void)!write(options.ready_fd, "r", 1);
}

// A byte, or the end of the pipe; then the tracer.
void wait_for_go(const Options& options) {
  char byte;
  if (options.go_fd >= 0) (void)!read(options.go_fd, &byte, 1);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (options.wait_for_tracer && __atomic_load_n(waitprobe_armed, __ATOMIC_RELAXED) == 0) {
    if (std::chrono::steady_clock::now() > deadline) {
      std::cerr << "waitprobe-workload: cannot begin: no tracer has attached within 30 s" << std::endl;
      _exit(1);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

// Forked from a process that has no threads yet. Returns when all of them stand ready.
std::vector<pid_t> fork_children(const Options& options, Keys& keys, TruthFile& file) {
  int standing[2];
  if (options.fork == 0 || pipe(standing) != 0) return {};
  std::vector<pid_t> children;
  for (std::uint32_t i = 0; i < options.fork; i++) {
    const pid_t child = fork();
    if (child == 0) {
      Options mine = options;
      mine.ready_fd = standing[1];
      do_work(mine, keys, file, tell_ready, wait_for_go);
      _exit(0);
    }
    children.push_back(child);
  }
  close(standing[1]);
  char byte;
  for (std::uint32_t i = 0; i < options.fork; i++) (void)!read(standing[0], &byte, 1);
  close(standing[0]);
  return children;
}

// Whether all of them have done their work.
bool wait_for(const std::vector<pid_t>& children) {
  bool done = true;
  for (const pid_t child : children) {
    int status = 0;
    if (waitpid(child, &status, 0) != child || status != 0) done = false;
  }
  return done;
}

nlohmann::json quantiles() {
  nlohmann::json all = nlohmann::json::object();
  for (const auto& [key, sorted] : recorded_durations()) {
    const auto at = [&, &values = sorted](double q) {
      return values[static_cast<std::size_t>(std::max(std::ceil(q * static_cast<double>(values.size())), 1.0)) - 1];
    };
    all[key] = {{"min", sorted.front()}, {"p50", at(.5)},    {"p90", at(.9)},
                {"p99", at(.99)},        {"p999", at(.999)}, {"max", sorted.back()}};
  }
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  // On the heap, and never freed: threads may still wait when this one has ended, or while the process exits.
  static const Options& options = *new Options(parse_options(argc, argv));
  static Keys& keys = *new Keys(options);
  static TruthFile& file = *new TruthFile(options.truth_file, rows(options), keys.size());
  if (options.true_quantiles) register_recording_backend();
  if (options.late_guards) prepare_late_guards();
  if (options.pin >= 0) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(static_cast<unsigned>(options.pin), &cpus);
    if (sched_setaffinity(0, sizeof cpus, &cpus) != 0) {
      std::perror("waitprobe-workload: cannot stay on this CPU");
      return 1;
    }
  }
  const auto children = fork_children(options, keys, file);
  const bool to_the_end = options.stay || !options.die.empty();
  Truth truth;
  Resident resident;
  if (options.thread_churn != 0) {
    tell_ready(options);
    wait_for_go(options);
    resident = churn_threads(options.thread_churn, keys, truth);
  } else {
    truth = (to_the_end ? work_to_the_end : do_work)(options, keys, file, tell_ready, wait_for_go);
  }
  if (options.late_guards) add_late_guards(options.threads, truth);
  if (children.size() != options.fork || !wait_for(children)) {
    std::cerr << "waitprobe-workload: a child has not done its work" << std::endl;
    return 1;
  }

  nlohmann::json json = {{"keys", nlohmann::json::object()}};
  for (const auto& [key, count] : truth) json["keys"][waitprobe::repair_utf8(key)] = count * (children.size() + 1);
  if (options.thread_churn != 0) json["rss_kib"] = {{"before", resident.before_kib}, {"after", resident.after_kib}};
  if (options.true_quantiles) json["quantiles_ns"] = quantiles();
  std::cout << json.dump() << std::endl;
  if (options.linger || options.stay) pause();
}
