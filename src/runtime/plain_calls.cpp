// SPDX-License-Identifier: MIT
//
// The guard as plain functions, for languages that cannot use macros and inline functions.
#include <string_view>

#include <waitprobe/c.h>

#include "src/runtime/counter.h"

extern "C" {

waitprobe_handle* waitprobe_make_handle(const char* key, std::size_t key_len, waitprobe_class key_class) noexcept {
  waitprobe::detail::Counter* counter =
      waitprobe::detail::find_counter(key_len != 0 ? std::string_view(key, key_len) : std::string_view(), key_class);
  return counter != nullptr ? &counter->plain : nullptr;
}

waitprobe_wait* waitprobe_begin(waitprobe_handle* handle) noexcept {
  return handle != nullptr ? waitprobe_start(handle) : nullptr;
}

void waitprobe_end(waitprobe_wait* wait) noexcept { waitprobe_stop(wait); }

int waitprobe_is_armed() noexcept { return __atomic_load_n(waitprobe_armed, __ATOMIC_RELAXED) != 0; }

}  // extern "C"
