// SPDX-License-Identifier: MIT
//
// Runs a traced child an instruction at a time.
#pragma once

#include <elf.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstring>

namespace test {

class Stepper {
 public:
  // REQUIRES: the child is traced by this thread, is stopped, and has run no other program since it was forked.
  explicit Stepper(pid_t child) : child_(child) {
    std::FILE* maps = std::fopen("/proc/self/maps", "re");
    char line[512];
    while (maps != nullptr && std::fgets(line, sizeof line, maps) != nullptr) {
      if (std::strstr(line, "[vdso]") != nullptr) std::sscanf(line, "%" SCNx64 "-%" SCNx64, &vdso_, &vdso_end_);
    }
    if (maps != nullptr) std::fclose(maps);
  }

  // One instruction, or one call of the vDSO: that begins again when the kernel's clock has ticked meanwhile, so where a step
  // takes as long as a tick it would never end. Returns the child's status; -1: it cannot be run.
  int step() {
    user_regs_struct regs = {};
    iovec to = {&regs, sizeof regs};
    if (ptrace(PTRACE_GETREGSET, child_, NT_PRSTATUS, &to) != 0) return -1;
    if (pc(regs) - vdso_ < vdso_end_ - vdso_) return run_to(return_address(regs));
    return run(PTRACE_SINGLESTEP);
  }

 private:
#if defined(__x86_64__)
  static std::uint64_t pc(const user_regs_struct& regs) { return regs.rip; }
  std::uint64_t return_address(const user_regs_struct& regs) const {  // of a function that has just been called
    return static_cast<std::uint64_t>(ptrace(PTRACE_PEEKDATA, child_, regs.rsp, nullptr));
  }
  static constexpr std::uint64_t breakpoint = 0xcc, breakpoint_mask = 0xff;
  static void set_pc(user_regs_struct& regs, std::uint64_t address) { regs.rip = address; }
#elif defined(__aarch64__)
  static std::uint64_t pc(const user_regs_struct& regs) { return regs.pc; }
  static std::uint64_t return_address(const user_regs_struct& regs) { return regs.regs[30]; }
  static constexpr std::uint64_t breakpoint = 0xd4200000, breakpoint_mask = 0xffffffff;
  static void set_pc(user_regs_struct& regs, std::uint64_t address) { regs.pc = address; }
#endif

  int run(__ptrace_request how) const {
    int status = 0;
    return ptrace(how, child_, nullptr, nullptr) == 0 && waitpid(child_, &status, 0) == child_ ? status : -1;
  }

  int run_to(std::uint64_t address) const {
    const auto word = static_cast<std::uint64_t>(ptrace(PTRACE_PEEKTEXT, child_, address, nullptr));
    ptrace(PTRACE_POKETEXT, child_, address, (word & ~breakpoint_mask) | breakpoint);
    const int status = run(PTRACE_CONT);
    ptrace(PTRACE_POKETEXT, child_, address, word);
    user_regs_struct regs = {};
    iovec io = {&regs, sizeof regs};
    if (ptrace(PTRACE_GETREGSET, child_, NT_PRSTATUS, &io) != 0) return status;  // it has ended
    set_pc(regs, address);
    ptrace(PTRACE_SETREGSET, child_, NT_PRSTATUS, &io);
    return status;
  }

  pid_t child_;
  std::uint64_t vdso_ = 0, vdso_end_ = 0;
};

}  // namespace test
