// SPDX-License-Identifier: MIT
#include "src/collect/trace/slow_session.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "src/collect/machine/clock.h"
#include "src/collect/process/time_namespace.h"
#include "src/model/trace_id.h"

namespace waitprobe {
namespace {

constexpr std::uint64_t look_ns = 1'000'000'000;
constexpr std::size_t most_threads = 1 << 16;  // remembered; then forgotten

std::string text_of(const char* bytes, std::size_t size) { return std::string(bytes, strnlen(bytes, size)); }

}  // namespace

SlowSession::SlowSession(SlowProgram program, bool stacks) : program_(std::move(program)), stacks_(stacks) {}

Result<std::unique_ptr<SlowSession>> SlowSession::open(const TargetChoice& choice, std::uint64_t min_ns, bool stacks,
                                                       int stop_signals) {
  if (auto checked = TargetSession::check(choice); !checked) return checked.error();
  auto program = SlowProgram::load(config_of(choice), min_ns, stacks);
  if (!program) return program.error();
  const auto offsets = own_time_offsets();
  if (!offsets) return unknown_time_error();
  std::unique_ptr<SlowSession> session(new SlowSession(std::move(*program), stacks));
  session->offset_ns_ = offsets->monotonic_ns;
  auto targets = TargetSession::open(choice, *session, stop_signals);
  if (!targets) return targets.error();
  session->targets_ = std::move(*targets);
  session->targets_->count_from(now_ns());
  return session;
}

// The process may end before its first slow wait comes here.
void SlowSession::on_instance(const LibraryInstance& instance, bool is_new) {
  instances_.add(instance, is_new);
  if (stacks_) symbolizer_.look_at(instance.pid);
}

bool SlowSession::serve() {
  return program_.take([this](const wp_slow_wait& wait, const std::uint8_t* stack) { add(wait, stack); });
}

// Two mounts of one file (the layers of an overlay) look like two files, and are attached to twice: such a wait is told of
// twice.
bool SlowSession::is_repeated(const wp_slow_wait& wait) {
  if (last_.size() >= most_threads) last_.clear();
  const LastWait before = std::exchange(last_[wait.tid], {wait.wait_id, wait.stop_ns});
  return before.wait_id == wait.wait_id && before.stop_ns == wait.stop_ns;
}

void SlowSession::add(const wp_slow_wait& wait, const std::uint8_t* stack) {
  if (is_repeated(wait)) return;
  // Until the last probe is detached, waits go on to be told of.
  if (targets_->ended_ns() != 0 && wait.stop_ns + offset_ns_ > targets_->ended_ns()) return;
  SlowWait slow;
  slow.time_unix_ns = clock_ns(CLOCK_REALTIME) - ((now_ns() - offset_ns_) - wait.stop_ns);
  slow.pid = wait.pid;
  slow.tid = wait.tid;
  slow.comm = text_of(wait.comm, sizeof wait.comm);
  slow.thread = text_of(wait.thread, sizeof wait.thread);
  slow.key.assign(wait.key, std::min<std::size_t>(wait.key_len, sizeof wait.key));
  slow.key_len = wait.key_len;
  slow.key_class = class_of_flags(wait.flags);
  slow.duration_ns = wait.duration_ns;
  slow.wait_id = wait.wait_id;
  slow.trace_id = trace_id_text(wait.trace);
  if (stacks_) {
    symbolizer_.look_at(wait.pid);
    StackSample sample;
    sample.registers = wait.regs;
    sample.stack_address = stack_pointer(wait.regs);
    const auto* bytes = reinterpret_cast<const std::byte*>(stack);
    sample.stack.assign(bytes, bytes + wait.stack_bytes);
    slow.stack = symbolizer_.stack_of(wait.pid, sample);
  }
  waits_.push_back(std::move(slow));
}

Losses SlowSession::losses() {
  if (targets_->ended_ns() == 0 && now_ns() >= next_look_ns_) {
    next_look_ns_ = now_ns() + look_ns;
    instances_.look();
    instances_.make_room();
  }
  Snapshot sum;
  sum.losses = program_.losses();
  instances_.add_to(sum);
  return sum.losses;
}

std::vector<SlowWait> SlowSession::take_waits() { return std::exchange(waits_, {}); }

void SlowSession::detach() {
  targets_->verify();
  instances_.look();
  targets_->stop_counting();
  targets_->detach();
  while (serve()) {
  }
}

}  // namespace waitprobe
