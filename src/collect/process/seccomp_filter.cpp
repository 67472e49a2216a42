// SPDX-License-Identifier: MIT
#include "src/collect/process/seccomp_filter.h"

#include <array>
#include <cstddef>
#include <cstring>

namespace waitprobe {
namespace {

// Programs only jump forward, so each ends after as many steps as it is long.
class Machine {
 public:
  Machine(const SeccompProgram& program, const seccomp_data& call) : program_(program), call_(call) {}

  std::optional<std::uint32_t> run() {
    while (at_ < program_.size() && !is_malformed_) {
      const sock_filter& step = program_[at_++];
      if (BPF_CLASS(step.code) == BPF_RET) return answer_of(step);
      execute(step);
      if (has_divided_by_zero_) return SECCOMP_RET_KILL_THREAD;
    }
    return std::nullopt;
  }

 private:
  std::optional<std::uint32_t> answer_of(const sock_filter& step) const {
    switch (step.code) {
      case BPF_RET | BPF_K:
        return step.k;
      case BPF_RET | BPF_A:
        return a_;
      default:
        return std::nullopt;
    }
  }

  void execute(const sock_filter& step) {
    switch (BPF_CLASS(step.code)) {
      case BPF_LD:
        return load(step, a_);
      case BPF_LDX:
        return load(step, x_);
      case BPF_ST:
        return store(step, a_, BPF_ST);
      case BPF_STX:
        return store(step, x_, BPF_STX);
      case BPF_ALU:
        return calculate(step);
      case BPF_JMP:
        return jump(step);
      default:
        return move(step);
    }
  }

  void load(const sock_filter& step, std::uint32_t& to) {
    const auto kind = step.code & ~0x07U;
    if (kind == BPF_IMM) {
      to = step.k;
    } else if (kind == BPF_MEM && step.k < memory_.size()) {
      to = memory_[step.k];
    } else if (kind == (BPF_W | BPF_LEN)) {
      to = sizeof call_;
    } else if (step.code == (BPF_LD | BPF_W | BPF_ABS) && step.k % sizeof to == 0 && step.k < sizeof call_) {
      std::memcpy(&to, reinterpret_cast<const char*>(&call_) + step.k, sizeof to);
    } else {
      is_malformed_ = true;
    }
  }

  void store(const sock_filter& step, std::uint32_t value, unsigned code) {
    is_malformed_ = step.code != code || step.k >= memory_.size();
    if (!is_malformed_) memory_[step.k] = value;
  }

  void calculate(const sock_filter& step) {
    const bool by_x = BPF_SRC(step.code) == BPF_X;
    const std::uint32_t by = by_x ? x_ : step.k;
    switch (step.code & ~(BPF_X | 0x07U)) {
      case BPF_ADD:
        a_ += by;
        break;
      case BPF_SUB:
        a_ -= by;
        break;
      case BPF_MUL:
        a_ *= by;
        break;
      case BPF_DIV:
        divide(by, by_x);
        break;
      case BPF_AND:
        a_ &= by;
        break;
      case BPF_OR:
        a_ |= by;
        break;
      case BPF_XOR:
        a_ ^= by;
        break;
      case BPF_LSH:
        shift(by, by_x, [](std::uint32_t a, std::uint32_t n) { return a << n; });
        break;
      case BPF_RSH:
        shift(by, by_x, [](std::uint32_t a, std::uint32_t n) { return a >> n; });
        break;
      case BPF_NEG:
        a_ = 0U - a_;
        break;
      default:
        is_malformed_ = true;
    }
  }

  void divide(std::uint32_t by, bool by_x) {
    is_malformed_ = by == 0 && !by_x;
    has_divided_by_zero_ = by == 0 && by_x;
    if (by != 0) a_ /= by;
  }

  template <class Shift>
  void shift(std::uint32_t by, bool by_x, Shift how) {
    is_malformed_ = by >= 32 && !by_x;
    a_ = how(a_, by % 32);
  }

  void jump(const sock_filter& step) {
    const std::uint32_t with = BPF_SRC(step.code) == BPF_X ? x_ : step.k;
    bool holds = false;
    switch (step.code & ~(BPF_X | 0x07U)) {
      case BPF_JA:
        is_malformed_ = BPF_SRC(step.code) == BPF_X || step.k >= program_.size() - at_;
        at_ += is_malformed_ ? 0 : step.k;
        return;
      case BPF_JEQ:
        holds = a_ == with;
        break;
      case BPF_JGT:
        holds = a_ > with;
        break;
      case BPF_JGE:
        holds = a_ >= with;
        break;
      case BPF_JSET:
        holds = (a_ & with) != 0;
        break;
      default:
        is_malformed_ = true;
        return;
    }
    at_ += holds ? step.jt : step.jf;
  }

  void move(const sock_filter& step) {
    if (step.code == (BPF_MISC | BPF_TAX)) {
      x_ = a_;
    } else if (step.code == (BPF_MISC | BPF_TXA)) {
      a_ = x_;
    } else {
      is_malformed_ = true;
    }
  }

  const SeccompProgram& program_;
  const seccomp_data& call_;
  std::size_t at_ = 0;
  std::uint32_t a_ = 0, x_ = 0;
  std::array<std::uint32_t, BPF_MEMWORDS> memory_ = {};
  bool is_malformed_ = false, has_divided_by_zero_ = false;
};

// The kernel compares answers as numbers with a sign: to kill the process is the least.
std::int32_t severity(std::uint32_t answer) { return static_cast<std::int32_t>(answer & SECCOMP_RET_ACTION_FULL); }

}  // namespace

std::optional<std::uint32_t> run_filter(const SeccompProgram& program, const seccomp_data& call) {
  return Machine(program, call).run();
}

std::optional<std::uint32_t> run_filters(const std::vector<SeccompProgram>& filters, const seccomp_data& call) {
  std::uint32_t worst = SECCOMP_RET_ALLOW;
  for (const SeccompProgram& filter : filters) {
    const auto answer = run_filter(filter, call);
    if (!answer) return std::nullopt;
    if (severity(*answer) < severity(worst)) worst = *answer;
  }
  return worst;
}

bool is_deadly(std::uint32_t answer) {
  switch (answer & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ALLOW:
    case SECCOMP_RET_LOG:
    case SECCOMP_RET_TRACE:
    case SECCOMP_RET_USER_NOTIF:
    case SECCOMP_RET_ERRNO:
      return false;
    default:  // the kernel kills for what it does not know, too
      return true;
  }
}

}  // namespace waitprobe
