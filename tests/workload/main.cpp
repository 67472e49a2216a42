// SPDX-License-Identifier: MIT
//
// Performs a known number of waits on known keys, and prints the truth as its last line: {"keys":{"work.0":123}}.
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <thread>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "src/view/escape.h"
#include "tests/workload/backends.h"
#include "tests/workload/deaths.h"
#include "tests/workload/ends.h"
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

// A number up to `most`. CLI11 would take -1 for the largest of all.
CLI::Range up_to(std::uint64_t most) { return CLI::Range(std::uint64_t{0}, most); }

// Children that the first thread makes in the middle of its work.
void add_children(CLI::App& app, Options& o, CLI::Option* loop) {
  const auto cnt = up_to(100'000);
  app.add_option("--fork-in-block", o.fork_in_block, "Fork so often, every other time while a wait is open")
      ->check(cnt)
      ->excludes(loop);
  app.add_option("--vfork-exec", o.vfork_exec, "vfork so often; the child waits, then executes /bin/true")
      ->check(cnt)
      ->excludes(loop);
  app.add_option("--raw-clone", o.raw_clone, "So many children in the same memory, on a stack of their own")
      ->check(cnt)
      ->excludes(loop);
  app.add_option("--child-waits", o.child_waits, "By each of these children")->check(cnt);
}

// Where and when it waits.
void add_ends(CLI::App& app, Options& o) {
  app.add_option("--pin", o.pin, "All threads on this CPU")->check(CLI::Range(0, 1023));
  app.add_option("--alarm-us", o.alarm_us, "A signal so often, whose handler waits on `alarm`")->check(up_to(1'000'000));
  app.add_option("--thread-churn", o.thread_churn, "Instead: so many threads, a few at a time, with three waits each");
  app.add_flag("--late-guards", o.late_guards, "Waits on late.tls, late.key and late.atexit when threads and process end");
  const auto step =
      app.add_option("--step-fd", o.step_fd, "All threads do --waits waits for each byte that comes, until its end");
  app.add_option("--stepped-fd", o.stepped_fd, "Gets a byte when all have done so")->needs(step);
}

Options parse(int argc, char** argv) {
  Options o;
  CLI::App app("waitprobe-workload: a known number of waits on known keys", "waitprobe-workload");
  app.add_option("--threads", o.threads)->check(CLI::Range(1, 10'000));
  // By the environment too, for whoever starts it without options.
  app.add_option("--waits", o.waits, "By each thread, spread evenly over the keys")
      ->check(up_to(1'000'000'000'000))
      ->envname("WORKLOAD_WAITS");
  app.add_option("--keys", o.keys, "work.0, work.1, ...")->check(CLI::Range(1, 1'000'000));
  app.add_option("--hold-ns", o.hold_ns, "How long each wait takes at the least")
      ->check(up_to(3'600'000'000'000))
      ->envname("WORKLOAD_HOLD_NS");
  app.add_option("--pattern", o.pattern)->check(CLI::IsMember({"sleep", "spin", "none"}))->envname("WORKLOAD_PATTERN");
  app.add_flag("--cross-thread", o.cross_thread, "Each wait ends on another thread than it began on");
  app.add_flag("--late-backend", o.late_backend, "Register a backend in the middle of the work");
  app.add_flag("--true-quantiles", o.true_quantiles, "Print the quantiles of the durations as well");
  app.add_option("--names", o.names, "These keys instead, with commas between them")->delimiter(',')->envname("WORKLOAD_NAMES");
  app.add_flag("--nasty-keys", o.nasty_keys, "Keys that are hard to print");
  app.add_option("--distinct", o.distinct, "So many keys instead, made at run time, with --waits waits each")
      ->check(up_to(1'000'000));
  app.add_flag("--hold-open", o.hold_open, "One more wait on work.0, begun before --ready-fd and ended after --go-fd");
  app.add_flag("--linger", o.linger, "Stay when the work is done, until a signal comes");
  const auto loop =
      app.add_option("--loop", o.loop_s, "Work for so many seconds, however many waits that makes")->check(up_to(86'400));
  const auto fork = app.add_option("--fork", o.fork, "So many children do the same work, and the truth is the sum")
                        ->check(CLI::Range(0, 1000))
                        ->excludes(loop);
  const auto plugin =
      app.add_option("--plugin", o.plugin, "Open this plug-in, and let it wait on plugin.K after each wait on work.K");
  add_children(app, o, loop);
  add_ends(app, o);
  app.add_option("--truth-file", o.truth_file, "Where the truth is written as it happens: tests/workload/truth_file.h")
      ->excludes(plugin)
      ->excludes("--cross-thread")
      ->excludes("--hold-open");
  const auto stay = app.add_flag("--stay", o.stay, "All threads stay for ever when they have waited; so does the main one")
                        ->excludes(loop)
                        ->excludes(fork);
  app.add_option("--die", o.die,
                 "How the process ends when all threads, the main one too, have waited: tests/workload/deaths.h")
      ->check(CLI::IsMember(ways_to_die))
      ->excludes(loop)
      ->excludes(fork)
      ->excludes(stay);
  app.add_option("--exec-again", o.exec_again, "What --die executes is this program, so often before it is /bin/true");
  app.add_flag("--wait-for-tracer", o.wait_for_tracer, "The work begins when somebody listens, 30 s at most");
  app.add_option("--ready-fd", o.ready_fd, "Gets a byte when all threads stand ready");
  app.add_option("--go-fd", o.go_fd, "The work begins when a byte comes");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error) == 0 ? 0 : 2);
  }
  return o;
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
  static const Options& options = *new Options(parse(argc, argv));
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
