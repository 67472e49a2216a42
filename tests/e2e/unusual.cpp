// SPDX-License-Identifier: MIT
//
// A program in which probes do harm, or cannot be hit: unusual MODE [old]. When it is in its mode it writes a line; then each
// byte that it reads is one wait on key box.wait, and it ends with them. "old": its library has not prepared anything yet.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include <waitprobe/wait_counter.h>

#include "src/runtime/probes.h"

namespace {

void say(const char* text) { (void)!write(1, text, std::strlen(text)); }

// Everything but a few calls gets this answer. `goes_on`: more filters may be added.
void enter_filter(std::uint32_t answer, bool goes_on = false) {
#define ALLOW(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
  sock_filter steps[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                         ALLOW(SYS_read),
                         ALLOW(SYS_write),
                         ALLOW(SYS_futex),
                         ALLOW(SYS_clock_nanosleep),
                         ALLOW(SYS_exit),
                         ALLOW(SYS_exit_group),
                         ALLOW(SYS_rt_sigreturn),
                         ALLOW(SYS_restart_syscall),
                         ALLOW(static_cast<__u32>(goes_on ? SYS_prctl : SYS_read)),
                         BPF_STMT(BPF_RET | BPF_K, answer)};
  const sock_fprog program = {sizeof steps / sizeof *steps, steps};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) std::abort();
}

// A second filter, which allows all: the answers of all filters count.
void enter_allowing_filter() {
  sock_filter all[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog program = {1, all};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) std::abort();
}

// As those do who want their code on huge pages: it goes on at the same addresses, in memory of no file.
void move_code() {
  std::FILE* const maps = std::fopen("/proc/self/maps", "re");
  char line[4096];
  unsigned long start = 0, end = 0, from = 0, to = 0;
  char* self = realpath("/proc/self/exe", nullptr);
  while (std::fgets(line, sizeof line, maps) != nullptr) {
    char access[8] = {};
    if (std::sscanf(line, "%lx-%lx %7s", &start, &end, access) == 3 && access[2] == 'x' && std::strstr(line, self) != nullptr) {
      from = start;
      to = end;
    }
  }
  std::fclose(maps);
  std::free(self);
  const std::size_t bytes = to - from;
  void* const copy = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  std::memcpy(copy, reinterpret_cast<void*>(from), bytes);
  mprotect(copy, bytes, PROT_READ | PROT_EXEC);
  if (mremap(copy, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, reinterpret_cast<void*>(from)) == MAP_FAILED) std::abort();
}

void enter(const std::string& mode) {
  if (mode == "kill") {
    enter_filter(SECCOMP_RET_KILL_PROCESS);
  } else if (mode == "kill-below") {
    enter_filter(SECCOMP_RET_KILL_PROCESS, true);
    enter_allowing_filter();
  } else if (mode == "trap") {
    enter_filter(SECCOMP_RET_TRAP);
  } else if (mode == "refuse") {
    enter_filter(SECCOMP_RET_ERRNO | 1);
  } else if (mode == "allow") {
    enter_allowing_filter();
  } else if (mode == "strict") {
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
  } else if (mode == "move") {
    move_code();
  }
}

void wait_for_bytes() {
  for (char byte = 0;;) {
    STATIC_SCOPED_WAIT_COUNTER(box.wait);
    if (read(0, &byte, 1) != 1) break;
  }
}

}  // namespace

int main(int, char** words) {
  const std::string mode = words[1];
  if (words[2] != nullptr && std::string(words[2]) == "old") {
    waitprobe_root.prepared = WP_PREPARED_NOTHING;
    waitprobe_root.arena = 0;
    waitprobe_root.clock = WP_CLOCK_UNDECIDED;
    waitprobe_root.chunks[0] = 0;
  }
  if (mode == "thread") {
    // The main thread is free, and ends with the other.
    std::thread([] {
      enter_filter(SECCOMP_RET_KILL_PROCESS);
      say("ready\n");
      wait_for_bytes();
      syscall(SYS_exit_group, 0);
    }).join();
  }
  enter(mode);
  say("ready\n");
  wait_for_bytes();
  syscall(SYS_exit, 0);
}
