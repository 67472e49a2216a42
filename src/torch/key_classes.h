// SPDX-License-Identifier: MIT
//
// What PyTorch's own wait counters measure. It uses many of them as timers, and says so nowhere.
#pragma once

#include <string_view>

#include <waitprobe/c.h>

namespace waitprobe {

// The class of a key of PyTorch (2.6 and later, up to today's); those of others, and new ones, are waits.
waitprobe_class class_of_torch_key(std::string_view key) noexcept;

}  // namespace waitprobe
