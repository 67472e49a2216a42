// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace waitprobe {

// The probe waitprobe_doctor:self_test, which stands in the tool so that it can attach to itself.
void fire_self_test(std::uint64_t number, const std::uint64_t* address);
// Whether somebody is attached to it, as its semaphore says.
bool self_test_is_armed();

}  // namespace waitprobe
