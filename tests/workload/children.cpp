// SPDX-License-Identifier: MIT
#include "tests/workload/children.h"

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <optional>

namespace {

// Whether one of `cnt`, spread evenly over `waits`, falls to wait i.
bool is_due(std::uint64_t i, std::uint64_t waits, std::uint64_t cnt) {
  return cnt != 0 && (i + 1) * cnt / waits != i * cnt / waits;
}

}  // namespace

void Children::make_due(std::uint64_t i, std::uint64_t waits, std::size_t row) {
  if (is_due(i, waits, options_.fork_in_block)) fork_one(row, forked_++ % 2 != 0);
  if (is_due(i, waits, options_.vfork_exec)) vfork_one();
  if (is_due(i, waits, options_.raw_clone)) clone_one();
}

void Children::wait_in_child() {
  for (std::uint64_t i = 0; i < options_.child_waits; i++) {
    wait_once(options_, keys_, truth_, row_of_children(options_), i % keys_.size());
  }
}

// `open`: while a wait is open, which ends in the parent; what its child does with it counts for nothing.
void Children::fork_one(std::size_t row, bool open) {
  std::optional<waitprobe::WaitCounterHandle::WaitGuard> guard;
  if (open) guard.emplace(keys_.handle(0).start());
  const pid_t child = fork();
  if (child == 0) {
    guard.reset();
    wait_in_child();
    _exit(0);
  }
  reap(child);
  if (!open) return;
  truth_.begin(row, 0);
  guard.reset();
  truth_.done(row, 0);
  counts_[0]++;
}

void Children::vfork_one() {
  const pid_t child = vfork();
  if (child == 0) {
    wait_in_child();
    execl("/bin/true", "true", nullptr);
    _exit(127);
  }
  reap(child);
}

// As a library does it that wants neither the page tables of a fork nor the rules of a vfork.
void Children::clone_one() {
  alignas(16) static char stack[65536];
  const auto run = [](void* children) {
    static_cast<Children*>(children)->wait_in_child();
    return 0;
  };
  reap(clone(run, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, this));
}

void Children::reap(int child) {
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
    std::perror("waitprobe-workload: a child has not done its work");
    std::exit(1);
  }
  for (std::uint64_t i = 0; i < options_.child_waits; i++) counts_[i % keys_.size()]++;
}
