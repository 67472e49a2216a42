// SPDX-License-Identifier: MIT
#pragma once

namespace waitprobe {

// Lets this process have as many file descriptors as it may. Each attached file takes three, and a shell allows 1,024 at first.
void allow_many_files();

}  // namespace waitprobe
