// SPDX-License-Identifier: MIT
#include "tests/workload/options.h"

#include <cstdlib>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace {

// What --die knows. By a thread that is not the main one, while all others wait on, unless it says otherwise.
const std::vector<std::string> ways_to_die = {
    "exit",        "_exit",
    "exec",  // of /bin/true, by the main thread
    "exec-thread", "segv",  "abort",
    "term",         // a signal's default action
    "handled",      // a signal whose handler ends the process
    "oom",          // takes memory until somebody ends it; gives up at 1 GiB
    "thread-exit",  // each thread for itself, the main thread too
    "raw-exit",     // so too, without the C library
};

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

}  // namespace

Options parse_options(int argc, char** argv) {
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
  app.add_flag("--classes", o.classes, "Keys that are waits, idle and work in turn");
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
                 "How the process ends when all threads, the main one too, have waited: tests/workload/options.cpp")
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
