// SPDX-License-Identifier: MIT
//
// What commands that trace until somebody ends them have in common.
#pragma once

#include <cstdint>

#include "src/cli/stop_signals.h"
#include "src/collect/target_session.h"

namespace waitprobe::cli {

// A moment that is so much later, or never.
std::uint64_t later(std::uint64_t from_ns, std::uint64_t by_ns);

// Prints what went wrong on the way to stderr.
void print_warnings(TargetSession& targets);

// The status that a command ended with; 0 where the targets are none. If it is still running it is asked to end, and waited
// for; a second signal ends the wait.
int finish(TargetSession& targets, TargetSession::Event event, const StopSignals& signals);

// The status of a session: `status`, unless that is 0 and not every target was verified.
int with_verification(int status, const TargetSession& targets);

}  // namespace waitprobe::cli
