// SPDX-License-Identifier: MIT
//
// What PyTorch (2.6 and later) looks for once in each process, by dlsym(RTLD_DEFAULT, ...), when its first wait counter is
// made.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

// How a backend follows the waits of one key.
struct WaitCounterDynamicBackend {
  void* self;  // null: the key is ignored, and none of the others is called
  // A wait began. What it returns comes back in the stop of the same wait. Units: microseconds of CLOCK_MONOTONIC.
  std::intptr_t (*start)(void* self, std::int64_t now_us);
  // The wait ended, perhaps on another thread.
  void (*stop)(void* self, std::int64_t now_us, std::intptr_t ctx);
  void (*destroy)(void* self);
};

// Fills in `backend`, which comes zeroed. Called once for each key, under the lock of PyTorch's table of counters and perhaps
// with the GIL held: it must not wait, make a counter of PyTorch's, or throw. `key` may be any bytes; what ends it is its
// length.
__attribute__((visibility("default"))) void c10_monitor_wait_counter_dynamic_backend_init_v1(WaitCounterDynamicBackend* backend,
                                                                                             const char* key,
                                                                                             std::size_t key_len) noexcept;
}
