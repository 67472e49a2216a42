// SPDX-License-Identifier: MIT
#pragma once

namespace waitprobe {

// The hint of every error and check that says a right is missing: enough on every kernel, although some need less. Shape:
// two lines, of which the second can be pasted.
inline constexpr const char* rights_fix =
    "run it as root (sudo waitprobe ...), or give the program the capabilities:\n"
    "sudo setcap cap_sys_admin,cap_sys_ptrace,cap_dac_read_search+ep $(command -v waitprobe)";

}  // namespace waitprobe
