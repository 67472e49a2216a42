// SPDX-License-Identifier: MIT
#include "src/runtime/blocks.h"

#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <bit>

#include "src/runtime/abandoned.h"
#include "src/runtime/clock.h"
#include "src/runtime/counter.h"
#include "src/runtime/errno_keeper.h"
#include "src/runtime/identity.h"
#include "src/runtime/long_rings.h"
#include "src/runtime/nesting.h"
#include "src/runtime/preparation.h"
#include "src/runtime/probes.h"
#include "src/runtime/thread_state.h"
#include "src/runtime/wiped_memory.h"

namespace waitprobe::detail {

namespace {

// Of a wait_id: the block's number stands above these bits, which a thread that does nothing but wait uses up in twelve days.
constexpr unsigned sequence_bits = 44;

// The tag of the newest incarnation. Not in wiped memory: a child has to know what its parent's was.
constinit std::atomic<std::uint64_t> newest_tag{0};

// Gives this process an incarnation, if it has none yet: at its first block, and at the first after a fork. Its tag is never 0,
// which is that of a wiped block.
std::uint64_t ensure_incarnation(wp_arena* page) noexcept {
  __u64 known = __atomic_load_n(&page->incarnation, __ATOMIC_ACQUIRE);
  if (known == 0) {
    const std::uint64_t tag = newest_tag.load(std::memory_order_relaxed) % tag_mask + 1;
    const std::uint64_t fresh = (random_bits(page) & ~tag_mask) | tag;
    if (__atomic_compare_exchange_n(&page->incarnation, &known, fresh, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
      known = fresh;
    }
  }
  newest_tag.store(known & tag_mask, std::memory_order_relaxed);
  return known;
}

// Those that keep a block whose thread has ended from being used again.
bool has_open_waits(const wp_block& block) noexcept {
  const bool suspects_too = !suspects_are_gone();
  for (const wp_open_wait& slot : block.open) {
    if (__atomic_load_n(&slot.wait_id, __ATOMIC_ACQUIRE) == 0) continue;
    if (suspects_too || (slot.frame & WP_FRAME_SUSPECT) == 0) return true;
  }
  return false;
}

// Mapped if it is not there, where that is asked for or may be.
wp_block* chunk_at(unsigned index, bool is_asked_for = false) noexcept {
  __u64 address = __atomic_load_n(&waitprobe_root.chunks[index], __ATOMIC_ACQUIRE);
  if (address != 0 || (!is_asked_for && !may_map())) return reinterpret_cast<wp_block*>(address);
  const std::size_t bytes = bytes_of_chunk(index);
  void* fresh = map_wiped_memory(bytes, sizeof(wp_block));
  if (fresh == nullptr) return nullptr;
  if (__atomic_compare_exchange_n(&waitprobe_root.chunks[index], &address, reinterpret_cast<std::uint64_t>(fresh), false,
                                  __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
    if (index == 1) map_more_long_rings();
    return static_cast<wp_block*>(fresh);
  }
  munmap(fresh, bytes);
  return reinterpret_cast<wp_block*>(address);
}

bool take_block(wp_block& block, std::uint64_t number, wp_arena* page, std::uint64_t process, std::uint32_t tid) noexcept {
  std::uint32_t nobody = 0;
  if (__atomic_load_n(&block.owner_tid, __ATOMIC_RELAXED) != 0 || has_open_waits(block)) return false;
  if (!__atomic_compare_exchange_n(&block.owner_tid, &nobody, tid, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) return false;
  take_back_suspects(block);
  // Another owner may have come and gone between the two looks, and left a wait open.
  if (has_open_waits(block)) {
    __atomic_store_n(&block.owner_tid, 0U, __ATOMIC_RELEASE);
    return false;
  }
  if (block.last_wait_id == 0) block.last_wait_id = number << sequence_bits;
  block.arena = reinterpret_cast<std::uint64_t>(page);
  __atomic_store_n(&block.owner, reinterpret_cast<std::uint64_t>(&this_thread), __ATOMIC_RELAXED);
  block.next = 0;
  // BPF programs read the whole ring, and cannot have its second page made for them.
  __atomic_store_n(&block.own_ring[WP_RING_RECORDS - 1].counter, block.own_ring[WP_RING_RECORDS - 1].counter, __ATOMIC_RELAXED);
  use_own_ring(block);
  forget_nesting(block);
  block.tag = static_cast<std::uint32_t>(process & tag_mask);
  __atomic_store_n(&block.incarnation, process, __ATOMIC_RELEASE);
  __u64 known = __atomic_load_n(&page->block_cnt, __ATOMIC_RELAXED);
  while (known < number &&
         !__atomic_compare_exchange_n(&page->block_cnt, &known, number, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
  }
  return true;
}

// Of block number 1, 2, 3, ...
unsigned chunk_of(std::uint64_t number) noexcept {
  return static_cast<unsigned>(std::bit_width((number - 1) / WP_FIRST_CHUNK_BLOCKS + 1)) - 1;
}

// Null when there is no memory for it.
wp_block* block_at(std::uint64_t number) noexcept {
  const unsigned chunk = chunk_of(number);
  if (chunk >= WP_CHUNKS) return nullptr;
  wp_block* first = chunk_at(chunk);
  return first != nullptr ? first + (number - 1 - WP_FIRST_CHUNK_BLOCKS * ((std::uint64_t{1} << chunk) - 1)) : nullptr;
}

// Of the blocks that were taken before, one that is free. Looks at a few, and the next time at those that follow them: a search
// through all would take ever longer where waits are left open.
template <typename Take>
wp_block* take_known_block(wp_arena& page, Take take) noexcept {
  constexpr std::uint64_t most_looked_at = 64;
  const std::uint64_t known = __atomic_load_n(&page.block_cnt, __ATOMIC_ACQUIRE);
  std::uint64_t number = __atomic_load_n(&page.searched, __ATOMIC_RELAXED);
  wp_block* found = nullptr;
  for (std::uint64_t left = std::min(known, most_looked_at); left != 0 && found == nullptr; left--) {
    number = number < known ? number + 1 : 1;
    found = take(number);
  }
  __atomic_store_n(&page.searched, number, __ATOMIC_RELAXED);
  return found;
}

// The first one that was never taken: or, when there is no memory for more, any.
template <typename Take>
wp_block* take_new_block(const wp_arena& page, Take take) noexcept {
  const std::uint64_t known = __atomic_load_n(&page.block_cnt, __ATOMIC_ACQUIRE);
  for (std::uint64_t number = known + 1; block_at(number) != nullptr; number++) {
    if (wp_block* fresh = take(number)) return fresh;
  }
  for (std::uint64_t number = 1; number <= known; number++) {
    if (wp_block* free = take(number)) return free;
  }
  return nullptr;
}

wp_block* acquire_block() noexcept {
  wp_arena* page = arena();
  if (page == nullptr) return nullptr;
  // In the child of a fork, the home that its parent had is wiped. Taken again, it would pass for a home that stands beside
  // itself.
  if (home_block() == nullptr) this_thread.block = nullptr;
  const std::uint64_t process = ensure_incarnation(page);
  choose_clock();
  const auto tid = thread_number(page);
  const auto take = [&](std::uint64_t number) noexcept {
    wp_block* block = block_at(number);
    return block != nullptr && take_block(*block, number, page, process, tid) ? block : nullptr;
  };
  wp_block* block = take_known_block(*page, take);
  if (block == nullptr) block = take_new_block(*page, take);
  // Only the first block of a thread holds records, which are what a tracer wants to know of.
  if (block != nullptr && home_block() == nullptr) waitprobe_fire_block(block, tid, process);
  return block;
}

void release_block(wp_block& block) noexcept {
  if (block.flushed != block.written) flush(block);
  give_back_long_ring(block);
  forget_nesting(block);
  // Before it is free: it is the one to be taken next, so that as few blocks as possible are ever used.
  wp_arena* page = arena();
  const std::uint64_t before = (block.last_wait_id >> sequence_bits) - 1;
  if (before < __atomic_load_n(&page->searched, __ATOMIC_RELAXED)) {
    __atomic_store_n(&page->searched, before, __ATOMIC_RELAXED);
  }
  __atomic_store_n(&block.owner, std::uint64_t{0}, __ATOMIC_RELAXED);
  __atomic_store_n(&block.owner_tid, 0U, __ATOMIC_RELEASE);
}

void leave_block(wp_block& block) noexcept {
  judge_at_thread_exit(block);
  release_block(block);
}

// Gives back the blocks of a thread that ends. A pthread key rather than a thread_local destructor: those run earlier, and
// guards in the destructors of other thread_locals are still to come.
void release_blocks() noexcept {
  const ErrnoKeeper keeper;
  wp_block* block = home_block();
  this_thread.ending = true;  // first: a signal handler may wait in between
  this_thread.block = nullptr;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  if (block == nullptr) return;
  auto* const first = reinterpret_cast<wp_block*>(block->next);
  leave_block(*block);
  for (wp_block* other = first; other != nullptr;) {
    auto* next = reinterpret_cast<wp_block*>(other->next);
    leave_block(*other);
    other = next != first ? next : nullptr;
  }
}

// 0: not made yet; key_gone: deleted; otherwise the key plus 1.
constinit std::atomic<std::uint64_t> exit_key{0};
constexpr std::uint64_t key_gone = UINT64_MAX;

// False when nobody will hear of this thread's end: it has already given back its blocks, this instance of the library is being
// unloaded, or there is no room for one more key.
bool release_at_thread_exit() noexcept {
  if (this_thread.ending || !exit_key_ready()) return false;
  const std::uint64_t key = exit_key.load(std::memory_order_acquire);
  return key != key_gone && pthread_setspecific(static_cast<pthread_key_t>(key - 1), &this_thread) == 0;
}

#ifdef WAITPROBE_BUILDING_STATIC  // the shared library is never unloaded
// A plug-in that carries the library may be unloaded before the threads that used it end: then nobody must call into it. The
// number of the key may be given to somebody else at once, so it is not used again; threads may still run when a process exits.
__attribute__((destructor)) void forget_thread_exits() noexcept {
  const std::uint64_t key = exit_key.exchange(key_gone, std::memory_order_acq_rel);
  if (key != 0 && key != key_gone) pthread_key_delete(static_cast<pthread_key_t>(key - 1));
}
#endif

// Makes a block the thread's own: its home, or one more beside it. When nobody would give it back, it is given back at once:
// nobody takes it while it has open waits.
bool keep_block(wp_block& fresh) noexcept {
  wp_block* home = home_block();
  if (home != nullptr) {
    __atomic_store_n(&fresh.owner, std::uint64_t{0}, __ATOMIC_RELAXED);  // holds no records, whoever wants to know of those
    auto* before = home->next != 0 ? reinterpret_cast<wp_block*>(home->next) : &fresh;
    fresh.next = before->next;
    before->next = reinterpret_cast<std::uint64_t>(&fresh);
    home->next = reinterpret_cast<std::uint64_t>(&fresh);
    return true;
  }
  if (!release_at_thread_exit()) return false;
  this_thread.block = &fresh;
  return true;
}

}  // namespace

void keep_traces(wp_block& block) noexcept {
  if (has_traces(block)) return;
  const unsigned chunk = chunk_of(block.last_wait_id >> sequence_bits);
  const auto* const first = reinterpret_cast<const wp_block*>(__atomic_load_n(&waitprobe_root.chunks[chunk], __ATOMIC_RELAXED));
  const auto index = static_cast<std::uint64_t>(&block - first);
  begin_traces(block, reinterpret_cast<std::uint64_t>(first + blocks_of_chunk(chunk)) + index * sizeof(wp_traces));
}

bool chunk_ready(unsigned index) noexcept { return chunk_at(index, true) != nullptr; }

bool exit_key_ready() noexcept {
  std::uint64_t key = exit_key.load(std::memory_order_acquire);
  if (key != 0) return key != key_gone;
  pthread_key_t fresh;
  if (pthread_key_create(&fresh, [](void*) { release_blocks(); }) != 0) return false;
  if (exit_key.compare_exchange_strong(key, std::uint64_t{fresh} + 1, std::memory_order_acq_rel)) return true;
  pthread_key_delete(fresh);
  return key != key_gone;
}

bool NoReentry::was_left(std::uint32_t here) noexcept {
  count(&wp_arena::lost_reentered);
  return has_left(this_thread.inside, here);
}

void count_clamped() noexcept { count(&wp_arena::clamped_cnt); }

std::uint64_t incarnation() noexcept {
  const auto* page = reinterpret_cast<const wp_arena*>(__atomic_load_n(&waitprobe_root.arena, __ATOMIC_RELAXED));
  return __atomic_load_n(&page->incarnation, __ATOMIC_RELAXED);
}

namespace {

// A slot of one block that is now taken, or null.
wp_open_wait* take_free_slot(wp_block& block) noexcept {
  wp_open_wait* slot = find_free_slot(block);
  if (slot == nullptr) return nullptr;
  take(block, *slot);
  if (is_said(this_thread.trace_id)) keep_traces(block);
  keep_trace_of_start(block, *slot);
  return slot;
}

// A free slot of the home or of some others. These stand in a ring, and the home says which of them comes next.
wp_open_wait* find_slot(wp_block& home) noexcept {
  if (wp_open_wait* slot = take_free_slot(home)) return slot;
  const std::uint64_t first = home.next;
  for (int i = 0; i < most_others && home.next != 0; i++) {
    auto* other = reinterpret_cast<wp_block*>(home.next);
    if (wp_open_wait* slot = take_free_slot(*other)) return slot;
    if (other->next == first) break;
    home.next = other->next;
  }
  return nullptr;
}

}  // namespace

wp_open_wait* find_free_slot(wp_block& block) noexcept {
  std::uint32_t index = this_thread.last_slot;
  for (std::uint32_t left = WP_BLOCK_SLOTS; left != 0; left--) {
    wp_open_wait& slot = block.open[index];
    if (__atomic_load_n(&slot.wait_id, __ATOMIC_ACQUIRE) == 0) {
      this_thread.last_slot = static_cast<std::uint8_t>(index);
      if (slot.outer != 0) leave(block, slot);  // its wait has ended elsewhere
      return &slot;
    }
    if (++index == WP_BLOCK_SLOTS) index = 0;
  }
  return nullptr;
}

wp_open_wait* take_slot(ScopeOfGuard scope, std::uint64_t ref) noexcept {
  if (wp_block* home = home_block()) {
    if (wp_open_wait* slot = find_slot(*home)) return slot;
    judge_some(*home, scope, ref);
    if (wp_open_wait* slot = find_slot(*home)) return slot;
  }
  wp_block* fresh = acquire_block();
  if (fresh == nullptr) {
    count_no_memory();
    return nullptr;
  }
  wp_open_wait* slot = take_free_slot(*fresh);
  if (!keep_block(*fresh)) release_block(*fresh);
  return slot;
}

void flush(wp_block& home) noexcept {
  const std::uint64_t first = home.flushed, written = home.written;
  waitprobe_fire_batch(&home, first, written - first, home.incarnation);
  __atomic_store_n(&home.flushed, written, __ATOMIC_RELEASE);
  check_clock(home.incarnation);
  if (written - first == WP_RING_RECORDS) lengthen_ring_if_busy(home);
}

void write_first_record(const wp_record& record, TraceId trace) noexcept {
  wp_block* fresh = acquire_block();
  if (fresh == nullptr) {
    count(&wp_arena::lost_late);
    return;
  }
  if (is_said(trace)) keep_traces(*fresh);
  write_record(*fresh, record, trace);
  if (!keep_block(*fresh)) release_block(*fresh);
}

}  // namespace waitprobe::detail
