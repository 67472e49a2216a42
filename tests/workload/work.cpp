// SPDX-License-Identifier: MIT
#include "tests/workload/work.h"

#include <dlfcn.h>
#include <unistd.h>

#include <atomic>
#include <barrier>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <latch>
#include <mutex>
#include <optional>
#include <thread>

#include "tests/workload/backends.h"
#include "tests/workload/children.h"
#include "tests/workload/ends.h"

using waitprobe::WaitCounterHandle;
using Guard = WaitCounterHandle::WaitGuard;
using Clock = std::chrono::steady_clock;

namespace {

// As the macros make them. Not with the macros: they would spell the key as the formatter leaves it, "work .0".
constinit WaitCounterHandle literal_handles[] = {
    WaitCounterHandle(waitprobe::detail::LiteralKey{"work.0", 6}),
    WaitCounterHandle(waitprobe::detail::LiteralKey{"work.1", 6}),
    WaitCounterHandle(waitprobe::detail::LiteralKey{"work.2", 6}),
};

std::vector<std::string> nasty_names() {
  return {"",
          "quote\"quote",
          "back\\slash",
          "new\nline",
          "\x1b[31mred\x1b[0m",
          "broken\xff\xfe utf-8 \xe2\x82",
          std::string("zero\0byte", 9),
          "wide \u6f22\u5b57 and turned \u202e round",
          std::string(10'000, 'x'),
          std::string(9'999, 'x') + "y"};
}

void hold(const Options& options) {
  if (options.pattern == "none") return;
  const auto time = std::chrono::nanoseconds(options.hold_ns);
  if (options.pattern == "sleep") {
    std::this_thread::sleep_for(time);
    return;
  }
  for (const auto end = Clock::now() + time; Clock::now() < end;) {
  }
}

// Ends guards on a thread of its own.
class Stopper {
 public:
  Stopper() : thread_([this] { run(); }) {}
  ~Stopper() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  void hand_over(Guard guard) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return open_.size() < 100; });
    open_.push_back(std::move(guard));
    changed_.notify_all();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return done_ || !open_.empty(); });
      if (open_.empty()) return;
      open_.front().stop();
      open_.pop_front();
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Guard> open_;
  bool done_ = false;
  std::thread thread_;
};

using PluginWait = void (*)(unsigned key);

PluginWait open_plugin(const std::string& file) {
  if (file.empty()) return nullptr;
  void* plugin = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  void* wait = plugin != nullptr ? dlsym(plugin, "plugin_wait") : nullptr;
  if (wait == nullptr) {
    std::fprintf(stderr, "waitprobe-workload: cannot open plug-in %s: %s\n", file.c_str(), dlerror());
    std::exit(1);
  }
  return reinterpret_cast<PluginWait>(wait);
}

struct Run {
  const Options& options;
  Keys& keys;
  TruthFile& file;
  Children children{options, keys, file};
  PluginWait plugin_wait = nullptr;
  Clock::time_point end = Clock::time_point::max();
  std::vector<std::atomic<std::uint64_t>> counts = std::vector<std::atomic<std::uint64_t>>(keys.size());
};

// The first thread makes the children, and registers a backend in the middle of its work, while a wait is open.
void work(Run& run, std::size_t row) {
  const bool registers = run.options.late_backend && row == 0;
  const std::uint64_t waits = run.options.distinct != 0 ? run.options.waits * run.keys.size() : run.options.waits;
  std::vector<std::uint64_t> counts(run.keys.size());
  {
    std::unique_ptr<Stopper> stopper(run.options.cross_thread ? new Stopper : nullptr);
    for (std::uint64_t i = 0; run.options.loop_s != 0 ? Clock::now() < run.end : i < waits; i++) {
      const std::size_t key = i % run.keys.size();
      Guard guard = run.keys.handle(key).start();
      hold(run.options);
      if (registers && i == waits / 2) register_counting_backend();
      if (stopper != nullptr) {
        stopper->hand_over(std::move(guard));
      } else {
        run.file.begin(row, key);
        guard.stop();
        run.file.done(row, key);
      }
      counts[key]++;
      if (row == 0) run.children.make_due(i, waits, row);
      if (run.plugin_wait != nullptr) run.plugin_wait(static_cast<unsigned>(key));
    }
  }
  for (std::size_t key = 0; key < counts.size(); key++) run.counts[key] += counts[key];
}

}  // namespace

Keys::Keys(const Options& options) {
  if (options.nasty_keys) {
    names_ = nasty_names();
  } else if (!options.names.empty()) {
    names_ = options.names;
  } else {
    const bool distinct = options.distinct != 0;
    for (std::uint32_t i = 0; i < (distinct ? options.distinct : options.keys); i++) {
      names_.push_back((distinct ? "distinct." : "work.") + std::to_string(i));
    }
  }
  const bool literals = !options.nasty_keys && options.names.empty() && options.distinct == 0 && !options.classes;
  for (std::size_t i = 0; i < names_.size(); i++) {
    const bool literal = literals && i < std::size(literal_handles);
    const auto key_class = static_cast<waitprobe_class>(options.classes ? i % 3 : 0);
    if (!literal) made_.push_back(std::make_unique<WaitCounterHandle>(names_[i], key_class));
    handles_.push_back(literal ? &literal_handles[i] : made_.back().get());
  }
}

void wait_once(const Options& options, Keys& keys, TruthFile& file, std::size_t row, std::size_t key) {
  Guard guard = keys.handle(key).start();
  hold(options);
  file.begin(row, key);
  guard.stop();
  file.done(row, key);
}

Truth do_work(const Options& options, Keys& keys, TruthFile& file, void (*ready)(const Options&),
              void (*wait_for_go)(const Options&)) {
  Run run{options, keys, file};
  std::latch standing(options.threads), go(1);
  std::barrier<> steps(options.threads + 1);
  bool over = false;
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < options.threads; i++) {
    threads.emplace_back([&, i] {
      standing.count_down();
      go.wait();
      if (options.step_fd < 0) work(run, i);
      while (options.step_fd >= 0) {
        steps.arrive_and_wait();
        if (over) break;
        work(run, i);
        steps.arrive_and_wait();
      }
      if (options.late_guards) wait_at_thread_exit();
    });
  }
  standing.wait();
  std::optional<Alarm> alarm;
  {
    std::optional<Guard> open;
    if (options.hold_open) open.emplace(keys.handle(0).start());
    ready(options);
    wait_for_go(options);
    run.plugin_wait = open_plugin(options.plugin);
    if (options.loop_s != 0) run.end = Clock::now() + std::chrono::seconds(options.loop_s);
    if (options.alarm_us != 0) alarm.emplace(options.alarm_us);
    go.count_down();
  }
  for (char byte; options.step_fd >= 0 && !over;) {
    over = read(options.step_fd, &byte, 1) != 1;
    steps.arrive_and_wait();
    if (over) break;
    steps.arrive_and_wait();
    if (options.stepped_fd >= 0) (void)!write(options.stepped_fd, "s", 1);
  }
  for (std::thread& thread : threads) thread.join();
  alarm.reset();

  Truth truth;
  if (options.alarm_us != 0) truth["alarm"] = Alarm::waits();
  for (std::size_t key = 0; key < keys.size(); key++) truth[keys.name(key)] += run.counts[key] + run.children.counts()[key];
  if (run.plugin_wait != nullptr) {
    for (std::size_t key = 0; key < keys.size(); key++) truth["plugin." + std::to_string(key)] += run.counts[key];
  }
  return truth;
}
