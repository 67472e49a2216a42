// SPDX-License-Identifier: MIT
#pragma once

namespace waitprobe::detail {

// Tells the tool that started this process where the armed word of this instance of the library is, and waits, two seconds at
// most, until it has attached. Does nothing unless the environment names the tool's socket (WAITPROBE_ATTACH). Keeps errno.
void meet_tool() noexcept;

}  // namespace waitprobe::detail
