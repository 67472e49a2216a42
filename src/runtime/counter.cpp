// SPDX-License-Identifier: MIT
#include "src/runtime/counter.h"

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>

#include "src/runtime/preparation.h"
#include "src/runtime/probes.h"
#include "src/runtime/wiped_memory.h"

// Heads of the chains; the root carries its address. Accessed with __atomic builtins only.
extern "C" {
__attribute__((visibility("hidden"))) std::uint64_t waitprobe_counter_table[WP_COUNTER_BUCKETS] = {};
}

namespace waitprobe::detail {
namespace {

static_assert(int{WAITPROBE_CLASS_WAIT} == WP_CLASS_WAIT && int{WAITPROBE_CLASS_IDLE} == WP_CLASS_IDLE &&
              int{WAITPROBE_CLASS_WORK} == WP_CLASS_WORK);

std::uint64_t hash(std::string_view key) noexcept {  // FNV-1a
  std::uint64_t h = 0xcbf29ce484222325ULL;
  for (const char c : key) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return h ^ (h >> 32);
}

// The counter of `key` in the chain that starts at `first`, up to but without `end`.
Counter* find_in_chain(std::uint64_t first, std::uint64_t end, std::string_view key) noexcept {
  for (std::uint64_t address = first; address != end;) {
    Counter* counter = Counter::from_address(address);
    if (counter->name() == key) return counter;
    address = counter->abi.next;
  }
  return nullptr;
}

void* allocate(std::size_t bytes, CounterMemory from, bool& of_heap) noexcept {
  void* memory = from == CounterMemory::prepared ? prepared_memory(bytes) : nullptr;
  of_heap = memory == nullptr && (from == CounterMemory::heap || may_map());
  return of_heap ? std::malloc(bytes) : memory;
}

Counter* make_counter(std::string_view key, waitprobe_class key_class, CounterMemory from, bool& of_heap) noexcept {
  const wp_arena* of_this_instance = arena();
  void* memory = of_this_instance != nullptr ? allocate(sizeof(Counter) + key.size() + 1, from, of_heap) : nullptr;
  if (memory == nullptr) return nullptr;
  if ((reinterpret_cast<std::uint64_t>(memory) & ~WP_REF_ADDRESS) != 0) {  // a tagged heap: records have no room for its tags
    std::free(memory);
    return nullptr;
  }
  auto* counter = new (memory) Counter{};
  counter->abi.arena = reinterpret_cast<std::uint64_t>(of_this_instance);
  counter->abi.id = __atomic_fetch_add(&waitprobe_root.counter_cnt, 1U, __ATOMIC_RELAXED);
  counter->abi.key_len = static_cast<std::uint32_t>(key.size());
  // Whoever passes a number may have that of a later header.
  const auto number = static_cast<std::uint32_t>(key_class);
  counter->abi.flags = number <= WAITPROBE_CLASS_WORK ? number : std::uint32_t{WAITPROBE_CLASS_WAIT};
  counter->ref = reinterpret_cast<std::uint64_t>(&counter->abi) | static_cast<std::uint64_t>(counter->abi.id & WP_REF_ID_MASK)
                                                                      << WP_REF_ID_SHIFT;
  char* text = reinterpret_cast<char*>(&counter->abi + 1);
  std::memcpy(text, key.data(), key.size());
  text[key.size()] = '\0';
  return counter;
}

}  // namespace

Counter* Counter::from_address(std::uint64_t address) noexcept {
  return reinterpret_cast<Counter*>(address - offsetof(Counter, abi));
}

wp_arena* arena() noexcept {
  __u64 address = __atomic_load_n(&waitprobe_root.arena, __ATOMIC_ACQUIRE);
  if (address != 0) return reinterpret_cast<wp_arena*>(address);
  adopt_prepared();
  address = __atomic_load_n(&waitprobe_root.arena, __ATOMIC_ACQUIRE);
  if (address != 0) return reinterpret_cast<wp_arena*>(address);
  void* fresh = map_wiped_memory(arena_bytes, arena_bytes);
  if (fresh == nullptr) return nullptr;
  if (__atomic_compare_exchange_n(&waitprobe_root.arena, &address, reinterpret_cast<std::uint64_t>(fresh), false,
                                  __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
    return static_cast<wp_arena*>(fresh);
  }
  munmap(fresh, arena_bytes);
  return reinterpret_cast<wp_arena*>(address);
}

Counter* find_counter(std::string_view key, waitprobe_class key_class, CounterMemory from) noexcept {
  // Not by substr(), which may throw: nothing that a program of C links does.
  if (key.size() > UINT32_MAX) key.remove_suffix(key.size() - UINT32_MAX);
  std::uint64_t* head = &waitprobe_counter_table[hash(key) % WP_COUNTER_BUCKETS];
  std::uint64_t first = __atomic_load_n(head, __ATOMIC_ACQUIRE);
  Counter* found = find_in_chain(first, 0, key);
  if (found != nullptr) return found;

  bool of_heap = false;
  Counter* fresh = make_counter(key, key_class, from, of_heap);
  if (fresh == nullptr) return nullptr;
  const auto address = reinterpret_cast<std::uint64_t>(&fresh->abi);
  for (std::uint64_t searched_up_to = first;;) {
    fresh->abi.next = first;
    if (__atomic_compare_exchange_n(head, &first, address, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) return fresh;
    // Others came in between: `first` is the new head, and only what they added can hold the key. Its id stays unused.
    found = find_in_chain(first, searched_up_to, key);
    if (found != nullptr) {
      fresh->~Counter();
      if (of_heap) std::free(fresh);
      return found;
    }
    searched_up_to = first;
  }
}

// Makes no arena, but takes the one that is prepared: a signal may come while the first wait of the process is about to.
void count(__u64 wp_arena::*what) noexcept {
  adopt_prepared();
  auto* page = reinterpret_cast<wp_arena*>(__atomic_load_n(&waitprobe_root.arena, __ATOMIC_ACQUIRE));
  __atomic_fetch_add(page != nullptr ? &(page->*what) : &waitprobe_root.lost_memory, 1U, __ATOMIC_RELAXED);
}

Counter* counter_of(waitprobe_handle* handle) noexcept {
  void* known = __atomic_load_n(&handle->counter, __ATOMIC_ACQUIRE);
  if (known != nullptr) {
    auto* counter = static_cast<Counter*>(known);
    if (counter->abi.arena == __atomic_load_n(&waitprobe_root.arena, __ATOMIC_RELAXED)) return counter;
  }
  Counter* counter = find_counter({handle->key, handle->key_len}, handle->key_class, CounterMemory::prepared);
  if (counter == nullptr) {
    count_no_memory();
  } else if (known == nullptr) {
    __atomic_store_n(&handle->counter, static_cast<void*>(counter), __ATOMIC_RELEASE);
  }
  return counter;
}

}  // namespace waitprobe::detail
