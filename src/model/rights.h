// SPDX-License-Identifier: MIT
#pragma once

namespace waitprobe {

// The hint of every error and check that says a right is missing. Shape: two lines, of which the second can be pasted. The first
// is enough to read processes of others on every kernel, and to trace where there are uprobe_multi links; the other is enough to
// trace on every kernel.
#define WP_RIGHTS_FIX(capabilities)                                              \
  "run it as root (sudo waitprobe ...), or give the program the capabilities:\n" \
  "sudo setcap " capabilities "cap_sys_ptrace,cap_dac_read_search+ep $(command -v waitprobe)"
inline constexpr const char* rights_fix = WP_RIGHTS_FIX("cap_bpf,cap_perfmon,");
inline constexpr const char* old_kernel_rights_fix = WP_RIGHTS_FIX("cap_sys_admin,");
#undef WP_RIGHTS_FIX

}  // namespace waitprobe
