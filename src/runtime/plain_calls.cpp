// SPDX-License-Identifier: MIT
//
// The guard as plain functions, for languages that cannot use macros and inline functions.
#include <string_view>

#include <waitprobe/c.h>

#include "src/runtime/counter.h"

using waitprobe::detail::Counter;

extern "C" {

// A key is its counter: a handle in each would make them a third larger.
waitprobe_key* waitprobe_make_key(const char* key, std::size_t key_len, waitprobe_class key_class) noexcept {
  const std::string_view text = key_len != 0 ? std::string_view(key, key_len) : std::string_view();
  return reinterpret_cast<waitprobe_key*>(waitprobe::detail::find_counter(text, key_class));
}

waitprobe_wait* waitprobe_begin(waitprobe_key* key) noexcept {
  if (key == nullptr || !waitprobe_is_armed()) return nullptr;
  waitprobe_handle handle = reinterpret_cast<Counter*>(key)->handle();
  return waitprobe_start_armed(&handle);
}

void waitprobe_end(waitprobe_wait* wait) noexcept { waitprobe_stop(wait); }

int waitprobe_is_armed() noexcept { return __atomic_load_n(waitprobe_armed, __ATOMIC_RELAXED) != 0; }

}  // extern "C"
