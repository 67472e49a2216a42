// SPDX-License-Identifier: MIT
#include "src/collect/trace/command.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "src/collect/process/process.h"

namespace waitprobe {
namespace {

struct Found {
  int number;
  struct sigaction action = {};
};

Found found_signals[] = {{SIGPIPE}, {SIGXFSZ}};
sigset_t found_mask = {};

struct Pipe {
  FileDescriptor read_end, write_end;
};

Result<Pipe> open_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Error{"open", "a pipe", errno_text(errno), ""};
  return Pipe{FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

void leave_terminal() {
  const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (isatty(fd) == 1) dup2(nothing, fd);
  }
}

// Runs in the child.
[[noreturn]] void become(const std::vector<std::string>& words, const std::string& environment, bool off_terminal, int go,
                         int failed) {
  char byte = 0;
  if (read(go, &byte, 1) != 1) _exit(127);
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  putenv(const_cast<char*>(environment.c_str()));
  if (off_terminal) leave_terminal();
  restore_signals();
  execvp(arguments[0], arguments.data());
  const int why = errno;
  (void)!write(failed, &why, sizeof why);
  _exit(127);
}

}  // namespace

Error start_error(const std::string& name, int why) {
  return {"start", name, errno_text(why), why == ENOENT ? "check its name; a program of this folder is started as ./NAME" : ""};
}

void ignore_signals() {
  sigprocmask(SIG_SETMASK, nullptr, &found_mask);
  for (Found& found : found_signals) {
    struct sigaction ignore = {};
    ignore.sa_handler = SIG_IGN;
    sigaction(found.number, &ignore, &found.action);
  }
}

void restore_signals() {
  for (const Found& found : found_signals) sigaction(found.number, &found.action, nullptr);
  sigprocmask(SIG_SETMASK, &found_mask, nullptr);
}

Result<Command> Command::prepare(const std::vector<std::string>& words, const std::string& environment, bool off_terminal) {
  auto go = open_pipe();
  if (!go) return go.error();
  auto failed = open_pipe();
  if (!failed) return failed.error();
  const pid_t pid = fork();
  if (pid < 0) return Error{"start", words[0], errno_text(errno), ""};
  if (pid == 0) {
    go->write_end.close();
    become(words, environment, off_terminal, go->read_end.get(), failed->write_end.get());
  }
  Command command;
  command.pid_ = static_cast<std::uint32_t>(pid);
  command.name_ = words[0];
  command.go_ = std::move(go->write_end);
  command.failed_ = std::move(failed->read_end);
  return command;
}

Result<void> Command::start() {
  const char byte = 1;
  (void)!write(go_.get(), &byte, 1);
  go_.close();
  int why = 0;
  const ssize_t got = read(failed_.get(), &why, sizeof why);  // ends when the program runs: the pipe is closed on exec
  failed_.close();
  if (got != static_cast<ssize_t>(sizeof why)) return {};
  wait();
  return start_error(name_, why);
}

void Command::ask_to_end(int number) const {
  if (pid_ == 0) return;
  const std::string ignored = status_of(pid_, 0, "SigIgn").value_or("0");
  const bool is_ignored = (std::strtoull(ignored.c_str(), nullptr, 16) >> (number - 1) & 1) != 0;
  kill(static_cast<pid_t>(pid_), is_ignored ? SIGTERM : number);
}

int Command::wait() {
  int status = 0;
  while (waitpid(static_cast<pid_t>(pid_), &status, 0) < 0) {
    if (errno != EINTR) return 1;
  }
  pid_ = 0;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace waitprobe
