// SPDX-License-Identifier: MIT
//
// What an application calls about backends. It allocates and throws, so it needs libstdc++: a file of its own, which a program
// of C does not link.
#include <new>

#include <waitprobe/wait_counter.h>

#include "src/runtime/backends.h"
#include "src/runtime/probes.h"

namespace waitprobe::detail {

WaitCounterBackendIf::~WaitCounterBackendIf() = default;
WaitCounterBackendFactoryIf::~WaitCounterBackendFactoryIf() = default;

void registerWaitCounterBackend(std::unique_ptr<WaitCounterBackendFactoryIf> factory) {
  if (factory == nullptr) return;
  auto* node = new FactoryNode{std::move(factory)};
  std::atomic<FactoryNode*>* link = &first_factory;
  for (FactoryNode* last = nullptr; !link->compare_exchange_strong(last, node, std::memory_order_acq_rel);) {
    link = &last->next;
    last = nullptr;
  }
  factory_cnt.fetch_add(1, std::memory_order_release);
  // Only whether it is zero counts, so it stays at its highest value rather than wrap.
  std::uint16_t backends = __atomic_load_n(&waitprobe_root.armed.backends, __ATOMIC_RELAXED);
  while (backends != UINT16_MAX &&
         !__atomic_compare_exchange_n(&waitprobe_root.armed.backends, &backends, static_cast<std::uint16_t>(backends + 1),
                                      false, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
  }
}

std::vector<std::shared_ptr<WaitCounterBackendFactoryIf>> getRegisteredWaitCounterBackends() {
  std::vector<std::shared_ptr<WaitCounterBackendFactoryIf>> factories;
  for (const FactoryNode* node = first_factory.load(std::memory_order_acquire); node != nullptr;
       node = node->next.load(std::memory_order_acquire)) {
    factories.push_back(node->factory);
  }
  return factories;
}

}  // namespace waitprobe::detail
