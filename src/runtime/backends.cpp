// SPDX-License-Identifier: MIT
#include "src/runtime/backends.h"

#include <sched.h>
#include <sys/mman.h>

#include <chrono>
#include <cstdlib>
#include <new>

#include <waitprobe/wait_counter.h>

#include "src/runtime/blocks.h"
#include "src/runtime/clock.h"
#include "src/runtime/preparation.h"
#include "src/runtime/probes.h"
#include "src/runtime/thread_state.h"

namespace waitprobe::detail {

struct __attribute__((visibility("hidden"))) BackendNode {
  WaitCounterBackendIf* backend;
  std::atomic<BackendNode*> next{nullptr};
};

// Never destroyed: guards may be the last thing that a process runs.
constinit std::atomic<FactoryNode*> first_factory{nullptr};
constinit std::atomic<std::uint32_t> factory_cnt{0};

namespace {

constexpr std::uint64_t process_mask = 0xffffffff00000000ULL;  // of claimed_

std::uint64_t claim_of(std::uint32_t index) noexcept { return (incarnation() & process_mask) | (index + 1); }

WaitCounterBackendFactoryIf* factory_at(std::uint32_t index) noexcept {
  const FactoryNode* node = first_factory.load(std::memory_order_acquire);
  while (node != nullptr && index-- != 0) node = node->next.load(std::memory_order_acquire);
  return node != nullptr ? node->factory.get() : nullptr;
}

std::chrono::steady_clock::time_point time_point(std::uint64_t ns) noexcept {
  return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(ns));
}

// So many contexts are in the slot itself. Where a wait has more, `backend_cnt` is `has_more`, and their number is at `more`, which
// begins on a page, before the contexts of the others.
constexpr std::uint32_t in_slot = sizeof(wp_open_wait::ctx) / sizeof(wp_open_wait::ctx[0]);
constexpr std::uint8_t has_more = in_slot + 1;
constexpr std::uint64_t log2_mask = 63;
__u64* more_of(const wp_open_wait& wait) noexcept { return reinterpret_cast<__u64*>(wait.more & ~log2_mask); }
unsigned log2_room(const wp_open_wait& wait) noexcept { return static_cast<unsigned>(wait.more & log2_mask); }

// Where the context of backend `index` is kept, or null when there is no memory for so many. Grows by whole pages, which no
// allocator knows of: a guard may stand inside malloc.
__u64* context_at(wp_open_wait& wait, std::uint32_t index) noexcept {
  if (index < in_slot) return &wait.ctx[index];
  index -= in_slot - 1;
  if (wait.more == 0 || index >> log2_room(wait) != 0) {
    const unsigned log2_grown = wait.more != 0 ? log2_room(wait) + 1 : 9;
    const NoReentry section;  // there may be a guard in mmap
    if (!section.entered() || !may_map()) return nullptr;
    void* pages = mmap(nullptr, sizeof(__u64) << log2_grown, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) return nullptr;
    auto* fresh = static_cast<__u64*>(pages);
    if (wait.more != 0) {
      const std::size_t room = std::size_t{1} << log2_room(wait);
      for (std::size_t i = 0; i < room; i++) fresh[i] = more_of(wait)[i];
      munmap(more_of(wait), room * sizeof(__u64));
    }
    wait.more = reinterpret_cast<std::uint64_t>(fresh) | log2_grown;
  }
  return more_of(wait) + index;
}

std::intptr_t context_of(const wp_open_wait& wait, std::uint32_t index) noexcept {
  return static_cast<std::intptr_t>(index < in_slot ? wait.ctx[index] : more_of(wait)[index - in_slot + 1]);
}

void set_backend_cnt(wp_open_wait& wait, std::uint32_t cnt) noexcept {
  wait.backend_cnt = cnt <= in_slot ? static_cast<std::uint8_t>(cnt) : has_more;
  if (cnt > in_slot) *more_of(wait) = cnt;
}

std::uint32_t backend_cnt_of(const wp_open_wait& wait) noexcept {
  return wait.backend_cnt <= in_slot ? wait.backend_cnt : static_cast<std::uint32_t>(*more_of(wait));
}

}  // namespace

void CounterBackends::start(std::string_view key, std::uint64_t now_ns, wp_open_wait& wait) noexcept {
  if (factory_cnt.load(std::memory_order_acquire) != asked_.load(std::memory_order_acquire)) ask_factories(key);
  std::uint32_t started = 0;
  for (BackendNode* node = first_.load(std::memory_order_acquire); node != nullptr;
       node = node->next.load(std::memory_order_acquire)) {
    __u64* context = context_at(wait, started);
    if (context == nullptr) break;
    *context = static_cast<std::uint64_t>(node->backend->start(time_point(now_ns)));
    started++;
  }
  set_backend_cnt(wait, started);
}

void CounterBackends::stop(std::uint64_t now_ns, const wp_open_wait& wait) const noexcept {
  const BackendNode* node = first_.load(std::memory_order_acquire);
  const std::uint32_t cnt = backend_cnt_of(wait);
  for (std::uint32_t i = 0; i < cnt; i++) {
    node->backend->stop(time_point(now_ns), context_of(wait, i));
    node = node->next.load(std::memory_order_acquire);
  }
}

void CounterBackends::ask_factories(std::string_view key) noexcept {
  const bool nested = this_thread.asking;
  this_thread.asking = true;
  for (;;) {
    const std::uint32_t index = asked_.load(std::memory_order_acquire);
    if (factory_at(index) == nullptr) break;
    if (claim(index)) {
      ask(index, key);
    } else if (nested || !wait_until_asked(index)) {
      break;
    }
  }
  this_thread.asking = nested;
}

// True when it is now this thread that asks the factory: nobody does, or somebody in the process that this one was forked from.
bool CounterBackends::claim(std::uint32_t index) noexcept {
  const std::uint64_t mine = claim_of(index);
  std::uint64_t seen = claimed_.load(std::memory_order_acquire);
  while (static_cast<std::uint32_t>(seen) <= index || (seen & process_mask) != (mine & process_mask)) {
    if (claimed_.compare_exchange_weak(seen, mine, std::memory_order_acq_rel)) {
      return asked_.load(std::memory_order_acquire) == index;
    }
  }
  return false;
}

// REQUIRES: the caller has claimed the factory, so it alone appends.
void CounterBackends::ask(std::uint32_t index, std::string_view key) noexcept {
  const std::uint64_t claim = claim_of(index);
  std::unique_ptr<WaitCounterBackendIf> backend = factory_at(index)->create(key);
  // A factory may fork, and in the child another thread may have asked it since.
  if (claimed_.load(std::memory_order_acquire) != claim) return;
  // malloc: libwaitprobe_torch.so is linked without libstdc++.
  void* memory = backend != nullptr ? std::malloc(sizeof(BackendNode)) : nullptr;
  if (memory != nullptr) {
    auto* node = new (memory) BackendNode{backend.release()};
    std::atomic<BackendNode*>* link = &first_;
    while (BackendNode* last = link->load(std::memory_order_relaxed)) link = &last->next;
    link->store(node, std::memory_order_release);
  }
  impatient_.store(false, std::memory_order_relaxed);
  asked_.store(index + 1, std::memory_order_release);
}

// Another thread is asking: its answer is worth waiting for, so that a start after a registration misses no backend. But not
// for ever: the factory may need a lock that this thread holds. A thread inside a factory never comes here, so two
// factories cannot wait for each other. Returns false when the answer is not to be waited for.
bool CounterBackends::wait_until_asked(std::uint32_t index) noexcept {
  constexpr std::uint64_t patience_ns = 100'000'000;
  const std::uint64_t deadline = monotonic_ns() + patience_ns;
  while (asked_.load(std::memory_order_acquire) == index) {
    if (impatient_.load(std::memory_order_relaxed)) return false;
    if (monotonic_ns() > deadline) impatient_.store(true, std::memory_order_relaxed);
    sched_yield();
  }
  return true;
}

}  // namespace waitprobe::detail
