// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

#include "bpf/tool_abi.h"
#include "src/model/diagnosis.h"
#include "src/model/result.h"

namespace waitprobe {

struct SelfTest {
  bool was_armed = false;  // the semaphore was raised while the program was attached
  wp_self_test sent = {};
  wp_self_test seen = {};  // by the program
};

// Errors: something is not as it was sent; `why` and `hint` say what that means.
Result<void> judge_self_test(const SelfTest& test);

// Loads a small BPF program, attaches it to a probe of the tool itself and fires that; then loads what hist and slow would.
std::vector<Check> run_self_test();

}  // namespace waitprobe
