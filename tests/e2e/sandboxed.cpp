// SPDX-License-Identifier: MIT
//
// Workers in a sandbox, as OpenSSH, Chromium or a judge of programs make them: anything but to read, write, lock and end kills.
//   sandboxed filter|strict|none   the program itself is the worker
//   sandboxed threads N            N threads, which were there before
//   sandboxed server N             N children, which are forked at the first byte of stdin and enter the sandbox themselves
// Each worker writes "s" when it is in the sandbox, reads a byte, waits a hundred times, and writes "d". Ends with stdin.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <string_view>
#include <thread>

#include <waitprobe/wait_counter.h>

namespace {

void say(const char* text) {
  if (write(1, text, 1) != 1) _exit(4);
}

bool got_byte() {
  char byte;
  return read(0, &byte, 1) == 1;
}

void enter_filter() {
#define ALLOW(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
  sock_filter filter[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                          ALLOW(SYS_read),
                          ALLOW(SYS_write),
                          ALLOW(SYS_futex),
                          ALLOW(SYS_exit),
                          ALLOW(SYS_exit_group),
                          ALLOW(SYS_rt_sigreturn),
                          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)};
  const sock_fprog program = {sizeof filter / sizeof *filter, filter};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0) std::abort();
}

void work() {
  say("s");
  got_byte();
  for (int i = 0; i < 100; i++) {
    STATIC_SCOPED_WAIT_COUNTER(box.wait);
  }
  say("d");
}

// A thread that ends as usual gives its stack back, which the sandbox forbids.
[[noreturn]] void end_thread() {
  syscall(SYS_exit, 0);
  __builtin_unreachable();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  const int n = argc > 2 ? std::atoi(argv[2]) : 1;
  if (mode == "server") {
    got_byte();
    for (int i = 0; i < n; i++) {
      if (fork() != 0) continue;
      enter_filter();
      work();
      end_thread();
    }
    int failed = 0;
    for (int status; wait(&status) > 0;) failed += status != 0;
    return failed;
  }
  // Barriers need no call but futex; those of the C++ library and a thread that starts need more.
  static pthread_barrier_t started, closed, never;
  const auto threads = static_cast<unsigned>(mode == "threads" ? n : 0);
  pthread_barrier_init(&started, nullptr, threads + 1);
  pthread_barrier_init(&closed, nullptr, threads + 1);
  pthread_barrier_init(&never, nullptr, 2);
  for (unsigned i = 0; i < threads; i++) {
    std::thread([] {
      pthread_barrier_wait(&started);
      pthread_barrier_wait(&closed);
      work();
      end_thread();
    }).detach();
  }
  pthread_barrier_wait(&started);
  if (mode == "strict") {
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
  } else if (mode != "none") {
    enter_filter();
  }
  if (threads != 0) pthread_barrier_wait(&closed);
  if (mode == "threads") pthread_barrier_wait(&never);  // the test kills it
  work();
  while (got_byte()) {
  }
  end_thread();
}
