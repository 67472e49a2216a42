// SPDX-License-Identifier: MIT
#include "tests/runtime/allocations.h"

#include <cstddef>

namespace {

constinit thread_local int allocation_cnt = 0;
constinit thread_local test::OnAllocation::Call on_allocation = nullptr;

void allocated() noexcept {
  allocation_cnt++;
  const auto call = on_allocation;
  if (call == nullptr) return;
  on_allocation = nullptr;
  call();
  on_allocation = call;
}

}  // namespace

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifdef SANITIZED
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*)(const volatile void*, std::size_t),
                                                         void (*)(const volatile void*));
namespace {
__attribute__((constructor)) void install() {
  __sanitizer_install_malloc_and_free_hooks([](const volatile void*, std::size_t) { allocated(); },
                                            [](const volatile void*) {});
}
}  // namespace
#else
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* malloc(std::size_t size) {
  allocated();
  return __libc_malloc(size);
}
void* calloc(std::size_t n, std::size_t size) {
  allocated();
  return __libc_calloc(n, size);
}
}
#endif

namespace test {

int allocations() noexcept { return allocation_cnt; }

OnAllocation::OnAllocation(Call call) noexcept { on_allocation = call; }
OnAllocation::~OnAllocation() { on_allocation = nullptr; }

}  // namespace test
