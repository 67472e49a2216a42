// SPDX-License-Identifier: MIT
//
// Lets the wait counters of PyTorch be counters of ours. Not by way of a backend of the C++ interface: a handle costs a load
// and a branch while nobody listens, and takes its times itself, in nanoseconds.
#include "src/torch/dynamic_backend.h"

#include <cstdlib>
#include <new>

#include <waitprobe/c.h>

#include "src/runtime/counter.h"
#include "src/runtime/errno_keeper.h"
#include "src/torch/key_classes.h"

namespace waitprobe {
namespace {

std::intptr_t start(void* self, std::int64_t /*now_us*/) noexcept {
  return reinterpret_cast<std::intptr_t>(waitprobe_start(static_cast<waitprobe_handle*>(self)));
}

void stop(void* /*self*/, std::int64_t /*now_us*/, std::intptr_t ctx) noexcept {
  waitprobe_stop(reinterpret_cast<waitprobe_wait*>(ctx));
}

// Waits that are open end without their handle.
void destroy(void* self) noexcept { std::free(self); }

}  // namespace
}  // namespace waitprobe

// The counter is made at once: then the process can be asked for its keys before anybody has listened.
void c10_monitor_wait_counter_dynamic_backend_init_v1(WaitCounterDynamicBackend* backend, const char* key,
                                                      std::size_t key_len) noexcept {
  using namespace waitprobe;
  const detail::ErrnoKeeper keeper;
  const std::string_view name(key, key_len);
  detail::Counter* counter = detail::find_counter(name, class_of_torch_key(name));
  void* memory = counter != nullptr ? std::malloc(sizeof(waitprobe_handle)) : nullptr;
  if (memory == nullptr) {
    detail::count_no_memory();
    return;
  }
  *backend = {new (memory) waitprobe_handle(counter->handle()), start, stop, destroy};
}
