// SPDX-License-Identifier: MIT
//
// What the tool exits with, besides 0 and the status of a command that it has started.
#pragma once

namespace waitprobe::cli {

inline constexpr int failed = 1;
inline constexpr int will_not_work = 1;
inline constexpr int wrong_usage = 2;
inline constexpr int something_is_stuck = 3;
inline constexpr int gate_failed = 3;
inline constexpr int not_verified = 4;  // done, though not everything could be vouched for

}  // namespace waitprobe::cli
