// SPDX-License-Identifier: MIT
#include "tests/workload/deaths.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <latch>
#include <string>
#include <thread>
#include <vector>

namespace {

struct Doom {
  const Options& options;
  Keys& keys;
  TruthFile& file;
  std::latch standing{options.threads};
  std::latch go{1};
  std::latch finished{options.threads + 1};
};

void take_all_memory() {
  constexpr std::size_t step = 1 << 20;
  for (int i = 0; i < 1024; i++) {
    void* memory = mmap(nullptr, step, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) break;
    std::memset(memory, 1, step);
  }
}

// As this one was started, and once less.
void execute_again(const Options& options) {
  const auto text = [](auto number) { return std::to_string(number); };
  std::vector<std::string> words = {"workload",          "--threads",    text(options.threads),       "--waits",
                                    text(options.waits), "--keys",       text(options.keys),          "--die",
                                    options.die,         "--exec-again", text(options.exec_again - 1)};
  if (!options.truth_file.empty()) words.insert(words.end(), {"--truth-file", options.truth_file});
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  execv("/proc/self/exe", arguments.data());
}

[[noreturn]] void die(const Options& options) {
  const std::string& how = options.die;
  if (how == "exit") std::exit(0);
  if (how == "exec" || how == "exec-thread") {
    if (options.exec_again != 0) execute_again(options);
    execl("/bin/true", "true", nullptr);
  }
  if (how == "segv") {
    // A fault, and not a null pointer, which compilers turn into something else.
    *static_cast<volatile char*>(mmap(nullptr, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) = 1;
  }
  if (how == "abort") std::abort();
  if (how == "term") raise(SIGTERM);
  if (how == "handled") {
    signal(SIGUSR1, [](int) { _exit(0); });
    raise(SIGUSR1);
  }
  if (how == "oom") take_all_memory();
  if (how == "thread-exit") pthread_exit(nullptr);
  if (how == "raw-exit") syscall(SYS_exit, 0);
  _exit(how == "_exit" ? 0 : 1);
}

void live(Doom& doom, std::size_t row, bool dies) {
  const Options& options = doom.options;
  const auto wait = [&](std::uint64_t i) { wait_once(options, doom.keys, doom.file, row, i % doom.keys.size()); };
  for (std::uint64_t i = 0; i < options.waits; i++) wait(i);
  doom.finished.count_down();
  if (options.stay) return;
  if (options.die == "thread-exit" || options.die == "raw-exit") die(options);
  if (dies) {
    doom.finished.wait();
    die(options);
  }
  for (std::uint64_t i = 0;; i++) wait(i);
}

}  // namespace

Truth work_to_the_end(const Options& options, Keys& keys, TruthFile& file, void (*ready)(const Options&),
                      void (*wait_for_go)(const Options&)) {
  static Doom* const doom = new Doom{options, keys, file};
  const rlimit no_core = {0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  for (std::uint32_t i = 0; i < options.threads; i++) {
    std::thread([i] {
      doom->standing.count_down();
      doom->go.wait();
      live(*doom, i, i == 0 && doom->options.die != "exec");
      for (;;) pause();
    }).detach();
  }
  doom->standing.wait();
  ready(options);
  wait_for_go(options);
  doom->go.count_down();
  live(*doom, row_of_main(options), options.die == "exec");
  doom->finished.wait();

  Truth truth;
  for (std::uint64_t i = 0; i < options.waits; i++) truth[keys.name(i % keys.size())] += options.threads + 1;
  return truth;
}
