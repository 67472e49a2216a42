// SPDX-License-Identifier: MIT
#include "src/cli/tracing.h"

#include <signal.h>

#include <iostream>

#include "src/cli/exit_status.h"
#include "src/cli/output.h"

namespace waitprobe::cli {

using Event = TargetSession::Event;

std::uint64_t later(std::uint64_t from_ns, std::uint64_t by_ns) {
  return by_ns > UINT64_MAX - from_ns ? UINT64_MAX : from_ns + by_ns;
}

void print_warnings(TargetSession& targets) {
  for (const Error& warning : targets.take_warnings()) report(std::cerr, warning, "warning: cannot");
}

int finish(TargetSession& targets, Event event, const StopSignals& signals) {
  if (targets.command() == nullptr) return 0;
  const bool time_is_up = event == Event::deadline;
  if (time_is_up) targets.command()->signal(SIGTERM);
  for (int asked = 0; event != Event::ended; event = targets.run_until(UINT64_MAX)) {
    const auto signal = signals.take();
    if (!signal) continue;
    if (++asked > 1) return 128 + signal->number;
    if (!signal->sent_to_all) targets.command()->signal(signal->number);
  }
  const int status = targets.command()->wait();
  if (status == 128 + SIGTRAP) {
    const Error died{"trace", "the command",
                     "it died of SIGTRAP, as programs do that move or translate their code while traced",
                     "start it without that (BOLT: without --hugify)"};
    report(std::cerr, died, "warning: cannot");
  }
  return time_is_up ? 0 : status;
}

int with_verification(int status, const TargetSession& targets) {
  return status == 0 && !targets.caveats().empty() ? not_verified : status;
}

}  // namespace waitprobe::cli
