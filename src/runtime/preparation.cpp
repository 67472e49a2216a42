// SPDX-License-Identifier: MIT
#include "src/runtime/preparation.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>

#include <waitprobe/c.h>

#include "src/runtime/blocks.h"
#include "src/runtime/clock.h"
#include "src/runtime/counter.h"
#include "src/runtime/errno_keeper.h"
#include "src/runtime/identity.h"
#include "src/runtime/long_rings.h"
#include "src/runtime/probes.h"

// Of LeakSanitizer, where the program has it: what is mapped and no allocation may point to allocations all the same.
extern "C" __attribute__((weak)) void __lsan_register_root_region(const void* begin, std::size_t size);

namespace waitprobe::detail {
namespace {

// One mapping: the arena, the first chunk of blocks and long rings, which a fork wipes, and memory for counters, which it does not.
constexpr std::size_t counters_bytes = std::size_t{256} << 10;  // more than two thousand keys of the usual length
constexpr std::size_t chunk_bytes = bytes_of_chunk(0);
constexpr std::size_t rings_bytes = prepared_long_rings * long_ring_bytes;
constexpr std::size_t wiped_bytes = arena_bytes + chunk_bytes + rings_bytes;

// Its address, 0 if there is none. Never unmapped: an instance of the library that is closed cannot tell that from the end of a
// process, which may be in a sandbox.
constinit std::atomic<std::uint64_t> prepared{0};

constinit std::atomic<std::size_t> counters_used{0};

constexpr std::size_t mapped_bytes = wiped_bytes + counters_bytes + arena_bytes;  // with what is before and behind it
bool map_prepared() noexcept {
  void* memory = mmap(nullptr, mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return false;
  const auto start = reinterpret_cast<std::uint64_t>(memory);
  const std::uint64_t aligned = (start + arena_bytes - 1) & ~std::uint64_t{arena_bytes - 1};
  if (madvise(memory, aligned - start + wiped_bytes, MADV_WIPEONFORK) != 0) {
    munmap(memory, mapped_bytes);
    return false;
  }
  know_process(reinterpret_cast<const wp_arena*>(aligned));
  if (__lsan_register_root_region != nullptr) {  // counters keep their backends
    __lsan_register_root_region(reinterpret_cast<const void*>(aligned + wiped_bytes), counters_bytes);
  }
  prepared.store(aligned, std::memory_order_release);
  return true;
}

constexpr std::size_t most_threads = std::size_t{WP_FIRST_CHUNK_BLOCKS} * ((std::size_t{1} << WP_CHUNKS) - 1);

// 0 when it is no number. Without strtoull(): glibc 2.38 gives it a name that no other C library has.
std::size_t threads_asked_for() noexcept {
  const char* text = secure_getenv("WAITPROBE_PREPARE");
  if (text == nullptr) return 0;
  std::size_t number = 0;
  for (; *text >= '0' && *text <= '9'; text++)
    number = std::min(number * 10 + static_cast<std::size_t>(*text - '0'), most_threads);
  return *text == '\0' ? number : 0;
}

int prepare_blocks(std::size_t threads) noexcept {
  if (threads > most_threads) return EINVAL;
  const NoReentry section;
  if (!section.entered()) return EBUSY;
  if (arena() == nullptr || prepared.load(std::memory_order_acquire) == 0 || !exit_key_ready()) return ENOMEM;
  std::size_t ready = 0;
  for (unsigned i = 0; i < WP_CHUNKS && ready < threads; i++) {
    if (!chunk_ready(i)) return ENOMEM;
    ready += blocks_of_chunk(i);
  }
  __atomic_store_n(&waitprobe_root.prepared, std::uint32_t{WP_PREPARED_ALL}, __ATOMIC_RELEASE);
  return 0;
}

}  // namespace

void prepare_process() noexcept {
  const ErrnoKeeper keeper;
  {
    const NoReentry section;
    if (!map_prepared()) __atomic_store_n(&waitprobe_root.prepared, std::uint32_t{WP_PREPARED_NOTHING}, __ATOMIC_RELAXED);
    decide_clock();
    exit_key_ready();
  }
  const std::size_t threads = threads_asked_for();
  if (threads != 0) prepare_blocks(threads);
}

void adopt_prepared() noexcept {
  const std::uint64_t address = prepared.load(std::memory_order_acquire);
  if (address == 0) return;
  __u64 none = 0;
  // The arena last: whoever sees it finds the blocks.
  __atomic_compare_exchange_n(&waitprobe_root.chunks[0], &none, address + arena_bytes, false, __ATOMIC_ACQ_REL,
                              __ATOMIC_ACQUIRE);
  none = 0;
  __atomic_compare_exchange_n(&waitprobe_root.arena, &none, address, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

std::uint64_t prepared_long_rings_address() noexcept {
  const std::uint64_t address = prepared.load(std::memory_order_acquire);
  return address != 0 ? address + arena_bytes + chunk_bytes : 0;
}

void* prepared_memory(std::size_t bytes) noexcept {
  const std::uint64_t address = prepared.load(std::memory_order_acquire);
  if (address == 0 || bytes > counters_bytes) return nullptr;
  bytes = (bytes + alignof(std::max_align_t) - 1) & ~(alignof(std::max_align_t) - 1);
  std::size_t used = counters_used.load(std::memory_order_relaxed);
  do {
    if (bytes > counters_bytes - used) return nullptr;
  } while (!counters_used.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
  return reinterpret_cast<void*>(address + wiped_bytes + used);
}

bool may_map() noexcept { return __atomic_load_n(&waitprobe_root.prepared, __ATOMIC_ACQUIRE) != WP_PREPARED_ALL; }

}  // namespace waitprobe::detail

int waitprobe_prepare(size_t threads) noexcept {
  const waitprobe::detail::ErrnoKeeper keeper;
  return waitprobe::detail::prepare_blocks(threads);
}
