// SPDX-License-Identifier: MIT
//
// Registered factories, and the backends they made for a counter. Both lists only grow, so that a start walks them without a
// lock; a wait remembers how many backends saw its start, and its stop calls as many.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

#include "bpf/abi.h"

namespace waitprobe::detail {

struct BackendNode;
class WaitCounterBackendFactoryIf;

struct __attribute__((visibility("hidden"))) FactoryNode {
  std::shared_ptr<WaitCounterBackendFactoryIf> factory;
  std::atomic<FactoryNode*> next{nullptr};
};

// All factories, in the order of their registration.
extern std::atomic<FactoryNode*> first_factory __attribute__((visibility("hidden")));
extern std::atomic<std::uint32_t> factory_cnt __attribute__((visibility("hidden")));

// The backends of one counter.
class CounterBackends {
 public:
  // Starts `wait` on every backend there is, asking new factories first. Allocates only at the first start after a factory was
  // registered, or in a slot that has not yet held so many contexts. Threads: any.
  void start(std::string_view key, std::uint64_t now_ns, wp_open_wait& wait) noexcept;

  // Stops `wait` on every backend that saw its start.
  void stop(std::uint64_t now_ns, const wp_open_wait& wait) const noexcept;

 private:
  void ask_factories(std::string_view key) noexcept;
  bool claim(std::uint32_t index) noexcept;
  void ask(std::uint32_t index, std::string_view key) noexcept;
  bool wait_until_asked(std::uint32_t index) noexcept;

  std::atomic<BackendNode*> first_{nullptr};
  // Factories whose answer is in the list.
  std::atomic<std::uint32_t> asked_{0};
  // In the low half, factories that have been or are being asked: one more than `asked_` at the most. Whoever raises it asks
  // that factory, outside every lock. In the high half, the process that did: a fork leaves an asker behind.
  std::atomic<std::uint64_t> claimed_{0};
  std::atomic<bool> impatient_{false};
};

}  // namespace waitprobe::detail
