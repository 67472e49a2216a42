// SPDX-License-Identifier: MIT
//
// Compiled by the rules of src/runtime/probes.cpp, for the same reasons.
#include "src/collect/doctor/self_test_probe.h"

#define _SDT_HAS_SEMAPHORES 1
#define STAP_SDT_ARG_CONSTRAINT nr
extern "C" {
__attribute__((section(".probes"), used, visibility("hidden"))) volatile unsigned short waitprobe_doctor_self_test_semaphore =
    0;
}
#include <sys/sdt.h>

namespace waitprobe {

__attribute__((noinline)) void fire_self_test(std::uint64_t number, const std::uint64_t* address) {
  STAP_PROBE2(waitprobe_doctor, self_test, number, address);
}

bool self_test_is_armed() { return waitprobe_doctor_self_test_semaphore != 0; }

}  // namespace waitprobe
