// SPDX-License-Identifier: MIT
//
// What of the C++ interface throws: a file of its own, since libwaitprobe_torch.so is built without exceptions.
#include <new>

#include <waitprobe/wait_counter.h>

#include "src/runtime/counter.h"

namespace waitprobe {

WaitCounterHandle::WaitCounterHandle(std::string_view key, waitprobe_class key_class)
    : handle_{nullptr, 0, nullptr, key_class} {
  detail::Counter* counter = detail::find_counter(key, key_class);
  if (counter == nullptr) throw std::bad_alloc();
  handle_ = counter->handle();
}

}  // namespace waitprobe
