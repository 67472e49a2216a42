// SPDX-License-Identifier: MIT
#include "src/runtime/thread_state.h"

namespace waitprobe::detail {

__attribute__((tls_model("initial-exec"))) constinit thread_local ThreadState this_thread = {};

}  // namespace waitprobe::detail
