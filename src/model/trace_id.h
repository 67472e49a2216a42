// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "bpf/abi.h"

namespace waitprobe {

// 32 hexadecimal digits, as W3C Trace Context writes it; empty where nothing was said.
std::string trace_id_text(const wp_trace_id& id);

}  // namespace waitprobe
