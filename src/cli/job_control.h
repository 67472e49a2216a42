// SPDX-License-Identifier: MIT
#pragma once

namespace waitprobe::cli {

// Call before using the terminal: waits until the tool is in the foreground. In the background, the kernel would stop the tool
// when it writes to, reads from or configures the terminal; then it could not react to the blocked signals that ask it to end,
// and would stay attached. Returns at once if such a signal is pending, or if there is no terminal.
void wait_in_background();

// Whether this process may write to the terminal `fd` now.
bool is_in_foreground(int fd);

}  // namespace waitprobe::cli
