// SPDX-License-Identifier: MIT
//
// The counters of this instance of the library: one object for each key, in a hash table that only ever grows. Tools read the
// same table from outside, so there is no second list that could disagree with it.
//
// Threads: everything here may be called by any thread at any time; nothing takes a lock.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include <waitprobe/c.h>

#include "bpf/abi.h"
#include "src/runtime/backends.h"

namespace waitprobe::detail {

// What a counter is inside the process. The part that others read (wp_counter, then the key) comes last.
struct Counter {
  CounterBackends backends;
  std::uint64_t ref = 0;  // what names it in records: WP_REF_...
  wp_counter abi = {};

  const char* key() const noexcept { return reinterpret_cast<const char*>(&abi + 1); }
  std::string_view name() const noexcept { return {key(), abi.key_len}; }
  waitprobe_handle handle() noexcept {
    return {key(), abi.key_len, this, static_cast<waitprobe_class>(abi.flags & WP_FLAGS_CLASS)};
  }

  static Counter* from_address(std::uint64_t address) noexcept;
  static Counter* from_ref(std::uint64_t ref) noexcept { return from_address(ref & WP_REF_ADDRESS); }
};

// For a wait, memory that was prepared comes first: a call of malloc may need the kernel.
enum class CounterMemory { heap, prepared };

// The counter of a key, made if there is none: of this class then, which it keeps whatever the others say who ask for it. Null when
// there is no memory; a key is cut at 4 GiB. Lifetime: for ever.
Counter* find_counter(std::string_view key, waitprobe_class key_class = WAITPROBE_CLASS_WAIT,
                      CounterMemory memory = CounterMemory::heap) noexcept;

// The counter of a handle, remembered in it. Null, and counted, when there is no memory.
//
// The handle may have been filled by another instance of the library: linkers merge the static handles of inline functions
// across an executable and its plug-ins. Then the counter is looked up at each start.
Counter* counter_of(waitprobe_handle* handle) noexcept;

// The arena of this instance, made on first use; null when there is no memory.
wp_arena* arena() noexcept;

// Raises a count of the arena; where there is none, of what found no memory. Never makes one: this may be a guard inside the
// mmap that makes it.
void count(__u64 wp_arena::*what) noexcept;

// A wait, or all of a key, that is not followed for want of memory.
inline void count_no_memory() noexcept { count(&wp_arena::lost_memory); }

constexpr std::size_t arena_bytes = 65536;  // a page of any kernel, at the most

}  // namespace waitprobe::detail
