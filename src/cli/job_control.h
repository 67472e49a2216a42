// SPDX-License-Identifier: MIT
#pragma once

namespace waitprobe::cli {

// In the background of a terminal, what is written to it, read from it or set of it waits until the tool is in the foreground.
// It would be stopped otherwise, deaf to the blocked signals that ask it to end, and stay attached. Once one of these is
// pending, what is left to be done is done. No effect where there is no terminal.
void wait_in_background();

// Whether the terminal `fd` is ours to write to at this moment.
bool is_in_foreground(int fd);

}  // namespace waitprobe::cli
