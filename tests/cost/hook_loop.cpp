// SPDX-License-Identifier: MIT
//
// hook_loop hook|nothing N: starts and stops a wait N times, with the functions of libwaitprobe_torch.so or with such as do
// nothing.
#include <dlfcn.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "src/torch/dynamic_backend.h"

namespace {

std::intptr_t start_nothing(void*, std::int64_t) { return 0; }
void stop_nothing(void*, std::int64_t, std::intptr_t) {}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  WaitCounterDynamicBackend backend = {nullptr, start_nothing, stop_nothing, nullptr};
  if (argv[1] == std::string_view("hook")) {
    void* const init = dlsym(RTLD_DEFAULT, "c10_monitor_wait_counter_dynamic_backend_init_v1");
    if (init != nullptr)
      reinterpret_cast<decltype(&c10_monitor_wait_counter_dynamic_backend_init_v1)>(init)(&backend, "cost.hook", 9);
    if (backend.self == nullptr) {
      std::fputs("hook_loop: libwaitprobe_torch.so is not preloaded\n", stderr);
      return 1;
    }
  }
  for (long n = std::atol(argv[2]); n != 0; n--) backend.stop(backend.self, 1, backend.start(backend.self, 1));
  return 0;
}
