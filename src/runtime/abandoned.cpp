// SPDX-License-Identifier: MIT
#include "src/runtime/abandoned.h"

#include <atomic>

#include "src/runtime/counter.h"
#include "src/runtime/nesting.h"

namespace waitprobe::detail {
namespace {

// What is known of waits under suspicion. A forked process goes on with what its parent knew. After a mistake nothing is taken
// back any more, not even what is surely gone: such a program copies its stacks.
enum class Suspects : std::uint8_t { UNDECIDED, GONE, ALIVE, MISTAKEN };
constinit std::atomic<Suspects> suspects_are{Suspects::UNDECIDED};

bool is_open(const wp_open_wait& slot) noexcept { return __atomic_load_n(&slot.wait_id, __ATOMIC_ACQUIRE) != 0; }

bool is_surely_gone(const wp_open_wait& slot, ScopeOfGuard scope, std::uint64_t ref) noexcept {
  return (slot.frame & ~WP_FRAME_SUSPECT) == scope.frame() && (scope.frame() & WP_FRAME_MAY_SUSPEND) == 0 &&
         slot.site == scope.site() && (slot.counter & ~WP_REF_CYCLES) == ref;
}

bool is_suspicious(const wp_open_wait& slot, ScopeOfGuard scope, std::uint64_t ref) noexcept {
  if (slot.frame == 0) return false;
  if ((slot.frame ^ scope.frame()) <= WP_FRAME_FLAGS)
    return slot.site == scope.site() && (slot.counter & ~WP_REF_CYCLES) == ref;
  return has_left(slot.frame & ~WP_FRAME_FLAGS, scope.frame() & ~WP_FRAME_FLAGS);
}

// Too many, and none of them has ended yet: none will.
void count_suspects(std::uint64_t cnt) noexcept {
  wp_arena* page = arena();
  if (page == nullptr || __atomic_add_fetch(&page->suspect_cnt, cnt, __ATOMIC_RELAXED) < most_suspects) return;
  Suspects undecided = Suspects::UNDECIDED;
  suspects_are.compare_exchange_strong(undecided, Suspects::GONE, std::memory_order_relaxed);
}

void take_back(wp_open_wait& slot) noexcept {
  if (suspects_are.load(std::memory_order_relaxed) == Suspects::MISTAKEN) return;
  if (wp_arena* page = arena()) __atomic_fetch_add(&page->abandoned_cnt, 1U, __ATOMIC_RELAXED);
  leave(*block_of(&slot), slot);
  give_back(&slot);
}

std::uint64_t weight_of(const wp_open_wait& slot) noexcept {
  return (slot.frame & WP_FRAME_MAY_SUSPEND) != 0 ? 1 : weight_of_fibre;
}

void suspect(wp_open_wait& slot, std::uint64_t weight) noexcept {
  switch (suspects_are.load(std::memory_order_relaxed)) {
    case Suspects::GONE:
      return take_back(slot);
    case Suspects::UNDECIDED:
      if ((slot.frame & WP_FRAME_SUSPECT) != 0) return;
      slot.frame |= WP_FRAME_SUSPECT;
      return count_suspects(weight);
    case Suspects::ALIVE:
    case Suspects::MISTAKEN:
      return;
  }
}

void judge_block(wp_block& block, ScopeOfGuard scope, std::uint64_t ref) noexcept {
  for (wp_open_wait& slot : block.open) {
    if (!is_open(slot)) continue;
    if (is_surely_gone(slot, scope, ref)) {
      take_back(slot);
    } else if (is_suspicious(slot, scope, ref)) {
      suspect(slot, weight_of(slot));
    }
  }
}

}  // namespace

bool suspects_are_gone() noexcept { return suspects_are.load(std::memory_order_relaxed) == Suspects::GONE; }

void suspect_has_ended() noexcept {
  Suspects before = suspects_are.load(std::memory_order_relaxed);
  while (before != Suspects::MISTAKEN &&
         !suspects_are.compare_exchange_weak(before, Suspects::ALIVE, std::memory_order_relaxed)) {
  }
}

void count_stale() noexcept {
  wp_arena* page = arena();
  if (page == nullptr || __atomic_load_n(&page->abandoned_cnt, __ATOMIC_RELAXED) == 0) return;
  suspects_are.store(Suspects::MISTAKEN, std::memory_order_relaxed);
  __atomic_fetch_add(&page->lost_stale, 1U, __ATOMIC_RELAXED);
}

// Those that were looked at last and those that come next.
std::uint64_t judge_some(wp_block& home, ScopeOfGuard scope, std::uint64_t ref) noexcept {
  if (scope.frame() == 0) return home.next;
  judge_block(home, scope, ref);
  std::uint64_t other = home.next;
  for (int i = 0; i < most_others && other != 0; i++) {
    auto* block = reinterpret_cast<wp_block*>(other);
    judge_block(*block, scope, ref);
    other = block->next;
    if (other == home.next) break;
  }
  return other;
}

void judge_last(wp_block& home, ScopeOfGuard scope, std::uint64_t ref) noexcept {
  wp_open_wait& slot = home.open[this_thread.last_slot];
  if (is_surely_gone(slot, scope, ref)) {
    take_back(slot);
  } else if (suspects_are_gone() && is_suspicious(slot, scope, ref)) {
    home.next = judge_some(home, scope, ref);  // by and by all of them
  }
}

void judge_at_thread_exit(wp_block& block) noexcept {
  for (wp_open_wait& slot : block.open) {
    if (is_open(slot) && slot.frame != 0) suspect(slot, WP_BLOCK_SLOTS * weight_of(slot));
  }
}

void take_back_suspects(wp_block& block) noexcept {
  if (!suspects_are_gone()) return;
  for (wp_open_wait& slot : block.open) {
    if (is_open(slot) && (slot.frame & WP_FRAME_SUSPECT) != 0) take_back(slot);
  }
}

}  // namespace waitprobe::detail
