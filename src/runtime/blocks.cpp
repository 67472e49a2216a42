// SPDX-License-Identifier: MIT
#include "src/runtime/blocks.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>

#include "src/runtime/clock.h"
#include "src/runtime/counter.h"
#include "src/runtime/probes.h"
#include "src/runtime/thread_state.h"
#include "src/runtime/wiped_memory.h"

namespace waitprobe::detail {

__attribute__((tls_model("initial-exec"))) constinit thread_local ThreadState this_thread = {};

namespace {

constexpr std::uint64_t tag_mask = sizeof(wp_open_wait) - 1;  // slots are aligned to their size
constexpr unsigned seq_bits = 40;

// The tag of the newest incarnation. Not in wiped memory: a child has to know what its parent's was.
constinit std::atomic<std::uint64_t> newest_tag{0};

std::uint64_t load_tag() noexcept { return incarnation() & tag_mask; }

// The thread's blocks. None in the child of a fork: what the parent had is wiped, and may by now belong to another thread.
wp_block* own_blocks() noexcept {
  return this_thread.block != nullptr && this_thread.incarnation == static_cast<std::uint32_t>(incarnation())
             ? this_thread.block
             : nullptr;
}

// Gives this process an incarnation, if it has none yet: at its first block, and at the first after a fork.
void ensure_incarnation(wp_arena* page) noexcept {
  __u64 known = __atomic_load_n(&page->incarnation, __ATOMIC_ACQUIRE);
  if (known == 0) {
    std::uint64_t random = 0;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != static_cast<ssize_t>(sizeof random)) {
      random = monotonic_ns() * 0x9e3779b97f4a7c15ULL ^ static_cast<std::uint64_t>(getpid());
    }
    const std::uint64_t tag = (newest_tag.load(std::memory_order_relaxed) + 1) & tag_mask;
    const std::uint64_t fresh = (random & ~tag_mask) | (tag_mask + 1) | tag;
    if (__atomic_compare_exchange_n(&page->incarnation, &known, fresh, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
      known = fresh;
    }
  }
  newest_tag.store(known & tag_mask, std::memory_order_relaxed);
  __atomic_store_n(&page->magic, WP_ARENA_MAGIC, __ATOMIC_RELEASE);
}

bool has_open_waits(const wp_block& block) noexcept {
  for (const wp_open_wait& slot : block.open) {
    if (__atomic_load_n(&slot.wait_id, __ATOMIC_ACQUIRE) != 0) return true;
  }
  return false;
}

wp_block* chunk_at(unsigned index) noexcept {
  __u64 address = __atomic_load_n(&waitprobe_root.chunks[index], __ATOMIC_ACQUIRE);
  if (address != 0) return reinterpret_cast<wp_block*>(address);
  const std::size_t bytes = (std::size_t{WP_FIRST_CHUNK_BLOCKS} << index) * sizeof(wp_block);
  void* fresh = map_wiped_memory(bytes);
  if (fresh == nullptr) return nullptr;
  if (__atomic_compare_exchange_n(&waitprobe_root.chunks[index], &address, reinterpret_cast<std::uint64_t>(fresh), false,
                                  __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
    return static_cast<wp_block*>(fresh);
  }
  munmap(fresh, bytes);
  return reinterpret_cast<wp_block*>(address);
}

bool take_block(wp_block& block, std::uint64_t number, std::uint32_t tid) noexcept {
  std::uint32_t nobody = 0;
  if (__atomic_load_n(&block.owner_tid, __ATOMIC_RELAXED) != 0 || has_open_waits(block)) return false;
  if (!__atomic_compare_exchange_n(&block.owner_tid, &nobody, tid, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) return false;
  // Another owner may have come and gone between the two looks, and left a wait open.
  if (has_open_waits(block)) {
    __atomic_store_n(&block.owner_tid, 0U, __ATOMIC_RELEASE);
    return false;
  }
  block.number = number;
  __atomic_store_n(&block.next, std::uint64_t{0}, __ATOMIC_RELAXED);
  __atomic_store_n(&block.magic, WP_BLOCK_MAGIC, __ATOMIC_RELEASE);
  return true;
}

wp_block* acquire_block() noexcept {
  wp_arena* page = arena();
  if (page == nullptr) return nullptr;
  ensure_incarnation(page);
  const auto tid = static_cast<std::uint32_t>(syscall(SYS_gettid));
  std::uint64_t number = 1;
  for (unsigned i = 0; i < WP_CHUNKS; i++) {
    wp_block* chunk = chunk_at(i);
    if (chunk == nullptr) return nullptr;
    for (std::size_t k = 0; k < (std::size_t{WP_FIRST_CHUNK_BLOCKS} << i); k++, number++) {
      if (take_block(chunk[k], number, tid)) return &chunk[k];
    }
  }
  return nullptr;
}

// Gives back the blocks of a thread that ends. A pthread key rather than a thread_local destructor: those run earlier, and
// guards in the destructors of other thread_locals are still to come.
void release_blocks() noexcept {
  this_thread.ending = true;  // first: a signal handler may wait in between
  std::atomic_signal_fence(std::memory_order_seq_cst);
  wp_block* block = own_blocks();
  this_thread.block = nullptr;
  while (block != nullptr) {
    auto* next = reinterpret_cast<wp_block*>(block->next);
    __atomic_store_n(&block->owner_tid, 0U, __ATOMIC_RELEASE);
    block = next;
  }
}

// 0: not made yet; key_gone: deleted; otherwise the key plus 1.
constinit std::atomic<std::uint64_t> exit_key{0};
constexpr std::uint64_t key_gone = UINT64_MAX;

// False when nobody will hear of this thread's end: it is past the hand-over of its blocks, this copy of the library is being
// unloaded, or there is no room for one more key.
bool release_at_thread_exit() noexcept {
  if (this_thread.ending) return false;
  std::uint64_t key = exit_key.load(std::memory_order_acquire);
  if (key == 0) {
    pthread_key_t fresh;
    if (pthread_key_create(&fresh, [](void*) { release_blocks(); }) != 0) return false;
    if (exit_key.compare_exchange_strong(key, std::uint64_t{fresh} + 1, std::memory_order_acq_rel)) {
      key = std::uint64_t{fresh} + 1;
    } else {
      pthread_key_delete(fresh);
    }
  }
  return key != key_gone && pthread_setspecific(static_cast<pthread_key_t>(key - 1), &this_thread) == 0;
}

#ifndef WAITPROBE_SHARED  // which is never unloaded
// A plug-in that carries the library may be unloaded before the threads that used it end: then nobody must call into it. The
// number of the key may be given to somebody else at once, so it is not used again; threads may still run when a process exits.
__attribute__((destructor)) void forget_thread_exits() noexcept {
  const std::uint64_t key = exit_key.exchange(key_gone, std::memory_order_acq_rel);
  if (key != 0 && key != key_gone) pthread_key_delete(static_cast<pthread_key_t>(key - 1));
}
#endif

wp_open_wait* free_slot(wp_block& block) noexcept {
  for (std::uint32_t i = 0; i < WP_BLOCK_SLOTS; i++) {
    const std::uint32_t index = (this_thread.last_slot + i) % WP_BLOCK_SLOTS;
    wp_open_wait& slot = block.open[index];
    if (__atomic_load_n(&slot.wait_id, __ATOMIC_ACQUIRE) != 0) continue;
    this_thread.last_slot = static_cast<std::uint8_t>(index);
    const std::uint64_t id = block.number << seq_bits | (++block.last_seq & ((std::uint64_t{1} << seq_bits) - 1));
    __atomic_store_n(&slot.wait_id, id, __ATOMIC_RELAXED);
    return &slot;
  }
  return nullptr;
}

}  // namespace

NoReentry::NoReentry() noexcept : entered_(!this_thread.inside) {
  if (entered_) {
    this_thread.inside = true;
    std::atomic_signal_fence(std::memory_order_seq_cst);
  } else {
    __atomic_fetch_add(&waitprobe_root.lost_reentered, 1U, __ATOMIC_RELAXED);
  }
}

NoReentry::~NoReentry() {
  if (!entered_) return;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  this_thread.inside = false;
}

std::uint64_t incarnation() noexcept {
  const auto* page = reinterpret_cast<const wp_arena*>(__atomic_load_n(&waitprobe_root.arena, __ATOMIC_RELAXED));
  return __atomic_load_n(&page->incarnation, __ATOMIC_RELAXED);
}

wp_open_wait* take_slot() noexcept {
  wp_block* first = own_blocks();
  for (wp_block* block = first; block != nullptr; block = reinterpret_cast<wp_block*>(block->next)) {
    wp_open_wait* slot = free_slot(*block);
    if (slot != nullptr) return slot;
  }
  wp_block* fresh = acquire_block();
  if (fresh == nullptr) {
    __atomic_fetch_add(&waitprobe_root.lost_memory, 1U, __ATOMIC_RELAXED);
    return nullptr;
  }
  wp_open_wait* slot = free_slot(*fresh);
  if (first != nullptr || release_at_thread_exit()) {
    __atomic_store_n(&fresh->next, reinterpret_cast<std::uint64_t>(first), __ATOMIC_RELAXED);
    this_thread.block = fresh;
    this_thread.incarnation = static_cast<std::uint32_t>(incarnation());
  } else {
    // Nobody would give the block back. So it is given back now; nobody takes it before this wait has ended.
    __atomic_store_n(&fresh->owner_tid, 0U, __ATOMIC_RELEASE);
  }
  return slot;
}

void give_back(wp_open_wait* slot) noexcept {
  __atomic_store_n(&slot->counter, std::uint64_t{0}, __ATOMIC_RELAXED);
  __atomic_store_n(&slot->wait_id, std::uint64_t{0}, __ATOMIC_RELEASE);
}

waitprobe_wait* to_guard(wp_open_wait* slot) noexcept {
  return reinterpret_cast<waitprobe_wait*>(reinterpret_cast<std::uint64_t>(slot) | load_tag());
}

wp_open_wait* from_guard(waitprobe_wait* guard) noexcept {
  const auto address = reinterpret_cast<std::uint64_t>(guard);
  if ((address & tag_mask) != load_tag()) return nullptr;
  auto* slot = reinterpret_cast<wp_open_wait*>(address & ~tag_mask);
  return __atomic_load_n(&slot->wait_id, __ATOMIC_RELAXED) != 0 ? slot : nullptr;
}

}  // namespace waitprobe::detail
