// SPDX-License-Identifier: MIT
#include "tests/runtime/child.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <unistd.h>

#include <cerrno>

// A child of a process with threads may start threads of its own.
extern "C" const char* __tsan_default_options() { return "die_after_fork=0"; }

namespace test {
namespace {

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (std::string& s : strings) result.push_back(s.data());
  result.push_back(nullptr);
  return result;
}

}  // namespace

Program::Program(const std::string& file, const std::vector<std::string>& args, const std::vector<std::string>& env) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return;
  std::vector<std::string> all_args = {file};
  all_args.insert(all_args.end(), args.begin(), args.end());
  std::vector<std::string> all_env = env;
  for (char** entry = environ; *entry != nullptr; entry++) all_env.emplace_back(*entry);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
  if (posix_spawn(&pid_, file.c_str(), &actions, nullptr, pointers(all_args).data(), pointers(all_env).data()) != 0) pid_ = -1;
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  output_ = ends[0];
}

Program::~Program() {
  if (output_ >= 0) finish();
}

bool Program::says_something(int timeout_ms) const {
  pollfd waited = {output_, POLLIN, 0};
  return poll(&waited, 1, timeout_ms) == 1;
}

Ended Program::finish() {
  Ended ended;
  char buffer[4096];
  for (ssize_t n = 0; (n = read(output_, buffer, sizeof buffer)) != 0;) {
    if (n > 0) ended.output.append(buffer, static_cast<std::size_t>(n));
    if (n < 0 && errno != EINTR) break;
  }
  close(output_);
  output_ = -1;
  if (pid_ > 0) waitpid(pid_, &ended.status, 0);
  return ended;
}

}  // namespace test
