// SPDX-License-Identifier: MIT
//
// Child processes of tests.
#pragma once

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

namespace test {

// Runs in the child of a fork, where the framework cannot report: says on stderr what was not so, and returns false.
#define CHILD_EXPECT(condition)                                                              \
  do {                                                                                       \
    if (!(condition)) {                                                                      \
      std::fprintf(stderr, "%s:%d: in the child: not %s\n", __FILE__, __LINE__, #condition); \
      return false;                                                                          \
    }                                                                                        \
  } while (false)

// Waits for a child. True if it ended with status 0.
inline bool succeeded(pid_t child) {
  int status = -1;
  return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// Forks, and calls `body` in the child. True if it returned true there.
template <typename Body>
bool holds_in_child(Body body) {
  const pid_t child = fork();
  if (child == 0) _exit(body() ? 0 : 1);
  return succeeded(child);
}

struct Ended {
  int status = -1;     // of waitpid
  std::string output;  // both outputs
};

// A program that has been started. Its output is read to the end by finish().
class Program {
 public:
  Program(const std::string& file, const std::vector<std::string>& args, const std::vector<std::string>& env = {});
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  pid_t pid() const { return pid_; }
  // True if it writes something within `timeout_ms`.
  bool says_something(int timeout_ms) const;
  Ended finish();

 private:
  pid_t pid_ = -1;
  int output_ = -1;
};

}  // namespace test
