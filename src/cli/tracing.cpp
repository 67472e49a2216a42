// SPDX-License-Identifier: MIT
#include "src/cli/tracing.h"

#include <signal.h>

#include <iostream>
#include <utility>

#include "src/cli/exit_status.h"
#include "src/cli/output.h"
#include "src/collect/machine/clock.h"

namespace waitprobe::cli {

std::uint64_t later(std::uint64_t from_ns, std::uint64_t by_ns) {
  return by_ns > UINT64_MAX - from_ns ? UINT64_MAX : from_ns + by_ns;
}

void print_warnings(TargetSession& targets) {
  for (const Error& warning : targets.take_warnings()) report(std::cerr, warning, "warning: cannot");
}

SessionEnd::SessionEnd(TargetSession& targets, const StopSignals& signals, std::uint64_t duration_ns, Telling telling)
    : targets_(targets), signals_(signals), end_ns_(later(now_ns(), duration_ns)), telling_(telling) {}

void SessionEnd::ask(Event reason, std::optional<int> signal) {
  constexpr std::uint64_t patience_ns = 2'000'000'000;
  if (!is_asked_) {
    reason_ = reason;
    end_ns_ = UINT64_MAX;
    if (telling_ == Telling::on_stderr) tell_ns_ = now_ns() + patience_ns;
  }
  is_asked_ = true;
  if (targets_.command() == nullptr) {
    is_over_ = true;
  } else if (signal) {
    targets_.command()->ask_to_end(*signal);
  }
}

bool SessionEnd::is_over(Event event) {
  if (event == Event::ended) return is_over_ = true;
  if (event == Event::stopped) {
    const auto signal = signals_.take();
    if (!signal) return false;
    if (std::exchange(was_signalled_, true)) {
      gave_up_ = 128 + signal->number;
      return is_over_ = true;
    }
    ask(Event::stopped, signal->sent_to_all ? std::nullopt : std::optional(signal->number));
  }
  if (now_ns() >= end_ns_) ask(Event::deadline, SIGTERM);
  if (!is_over_ && now_ns() >= tell_ns_) {
    tell_ns_ = UINT64_MAX;
    std::cerr << "waitprobe: waiting for the command to end, still counting; send a second signal to stop waiting\n";
  }
  return is_over_;
}

int SessionEnd::finish() {
  if (!is_over_) ask(Event::deadline, SIGTERM);
  while (!is_over_) is_over(targets_.run_until(deadline_ns()));
  if (targets_.command() == nullptr) return 0;
  if (gave_up_ != 0) return gave_up_;
  const int status = targets_.command()->wait();
  if (status == 128 + SIGTRAP) {
    const Error died{"trace", "the command",
                     "it died of SIGTRAP; programs that move or translate their code do so while traced",
                     "start it without that (BOLT: without --hugify)"};
    report(std::cerr, died, "warning: cannot");
  }
  return reason_ == Event::deadline ? 0 : status;
}

int with_verification(int status, const TargetSession& targets) {
  return status == 0 && !targets.caveats().empty() ? not_verified : status;
}

}  // namespace waitprobe::cli
