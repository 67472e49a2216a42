// SPDX-License-Identifier: MIT
//
// A process whose blocks lie: wild pointers, endless lists, huge counts, blocks that are none. It waits a little, lies in the
// way that its argument names, says so on stdout, and stays until its stdin ends.
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include <waitprobe/wait_counter.h>

#include "bpf/tool_abi.h"
#include "src/runtime/blocks.h"
#include "src/runtime/counter.h"
#include "src/runtime/probes.h"

namespace {

constexpr std::uint64_t wild = 0x0000666600000000;

wp_block* home = nullptr;
wp_arena* arena = nullptr;

void honest_waits(int cnt) {
  for (int i = 0; i < cnt; i++) {
    STATIC_SCOPED_WAIT_COUNTER(liar.honest);
  }
  home = waitprobe::detail::home_block();
  arena = reinterpret_cast<wp_arena*>(waitprobe_root.arena);
}

void lie_wild_counters() {
  for (wp_record& record : home->own_ring) record.counter = wild;
  home->written += 200;
}

// As if they were in an empty cache.
void lie_null_counters() {
  for (wp_record& record : home->own_ring) record.counter = 0;
  home->written += 200;
}

// A full ring of what an empty entry of the cache looks like, flushed as it should be.
void lie_ones_counters() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  const std::uint64_t now_ns = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
  for (int i = 0; i < 50; i++) {
    for (wp_record& record : home->own_ring) record = {WP_REF_ADDRESS, 7, now_ns};
    home->written = home->flushed + WP_RING_RECORDS;
    waitprobe_fire_batch(home, home->flushed, WP_RING_RECORDS, home->incarnation);
    home->flushed = home->written;
  }
}

// Records that are nowhere, and more of them than the ring has.
void lie_wild_ring() {
  home->ring = wild;
  home->written += 200;
}
void lie_long_ring() {
  home->ring_records = WP_LONG_RING_RECORDS;
  home->written += WP_LONG_RING_RECORDS - 23;
}

void lie_huge_counts() {
  home->written = UINT64_MAX / 2;
  arena->block_cnt = UINT64_MAX;
  arena->lost_reentered = UINT64_MAX / 2;
  waitprobe_root.counter_cnt = UINT32_MAX;
}

void lie_wild_chunks() {
  arena->block_cnt = UINT64_MAX;
  for (int i = 1; i < WP_CHUNKS; i++) waitprobe_root.chunks[i] = wild + static_cast<std::uint64_t>(i);
}

// All chunks are the first one: the same blocks, over and over.
void lie_endless_chunks() {
  arena->block_cnt = UINT64_MAX;
  for (int i = 1; i < WP_CHUNKS; i++) waitprobe_root.chunks[i] = waitprobe_root.chunks[0];
}

// A hundred thousand waits that have been open for ever.
void lie_open_slots() {
  for (wp_open_wait& slot : home->open) {
    slot.wait_id = 1;
    slot.start = 1;
    slot.counter = home->own_ring[0].counter & ~WP_REF_CYCLES;
  }
  constexpr int chunks = 8, largest = WP_FIRST_CHUNK_BLOCKS << (chunks - 1);
  auto* blocks = static_cast<wp_block*>(std::malloc(largest * sizeof(wp_block)));
  for (int i = 0; i < largest; i++) std::memcpy(&blocks[i], home, sizeof *home);
  for (int i = 0; i < chunks; i++) waitprobe_root.chunks[i] = reinterpret_cast<std::uint64_t>(blocks);
  arena->block_cnt = UINT64_MAX;
}

void lie_counter_ring() {
  auto* counter = reinterpret_cast<wp_counter*>(home->own_ring[0].counter & WP_REF_ADDRESS);
  counter->next = reinterpret_cast<std::uint64_t>(counter);
  counter->key_len = UINT32_MAX;
  waitprobe_root.counter_cnt = UINT32_MAX;
}

// Batches of blocks that are none, or never were: more than the kernel has room for.
void lie_many_blocks() {
  waitprobe_fire_batch(reinterpret_cast<const wp_block*>(wild), 0, 256, 1);
  waitprobe_fire_batch(nullptr, UINT64_MAX, UINT64_MAX, 0);
  static wp_block fake;
  std::memcpy(&fake, home, sizeof fake);
  fake.written = fake.flushed + 3;
  for (std::uint64_t i = 1; i <= 2 * WP_BLOCKS_MAX; i++) {
    fake.incarnation = i;
    waitprobe_fire_batch(&fake, 0, 3, i);
  }
}

// Blocks that are elsewhere at each look: one page of fake heads, mapped over and over, and seen from another place each time.
constexpr std::uint64_t rotating_blocks = 2048;
char* pages = nullptr;

void rotate() {
  static std::uint64_t turn = 0;
  const std::uint64_t base =
      reinterpret_cast<std::uint64_t>(pages) + WP_BLOCK_HEADER * (turn++ % (sizeof(wp_block) / WP_BLOCK_HEADER));
  for (std::uint64_t i = 0, at = 0; i < WP_CHUNKS && at < rotating_blocks; at += WP_FIRST_CHUNK_BLOCKS << i, i++) {
    __atomic_store_n(&waitprobe_root.chunks[i], base + at * sizeof(wp_block), __ATOMIC_RELAXED);
  }
}

void lie_rotating() {
  const std::size_t bytes = (2 * rotating_blocks + 1) * sizeof(wp_block);
  const int fd = memfd_create("heads", 0);
  (void)!ftruncate(fd, sizeof(wp_block));
  pages = static_cast<char*>(mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  for (std::size_t at = 0; at < bytes; at += sizeof(wp_block)) {
    mmap(pages + at, sizeof(wp_block), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
  }
  wp_block head;
  std::memcpy(&head, home, WP_BLOCK_HEADER);
  head.flushed = home->written;
  head.written = head.flushed + 3;
  for (std::size_t at = 0; at < sizeof(wp_block); at += WP_BLOCK_HEADER) std::memcpy(pages + at, &head, WP_BLOCK_HEADER);
  arena->block_cnt = rotating_blocks;
  rotate();
}

constexpr struct {
  const char* name;
  void (*tell)();
} lies[] = {
    {"wild-counters", lie_wild_counters}, {"null-counters", lie_null_counters},   {"huge-counts", lie_huge_counts},
    {"wild-chunks", lie_wild_chunks},     {"endless-chunks", lie_endless_chunks}, {"counter-ring", lie_counter_ring},
    {"many-blocks", lie_many_blocks},     {"open-slots", lie_open_slots},         {"rotating", lie_rotating},
    {"wild-ring", lie_wild_ring},         {"long-ring", lie_long_ring},           {"ones-counters", lie_ones_counters},
};

}  // namespace

int main(int argc, char** argv) {
  std::puts("ready");
  std::fflush(stdout);
  while (__atomic_load_n(waitprobe_armed, __ATOMIC_RELAXED) == 0) usleep(1000);
  usleep(100'000);  // so that everything is attached
  honest_waits(23);
  for (const auto& lie : lies) {
    if (argc > 1 && std::strcmp(lie.name, argv[1]) == 0) lie.tell();
  }
  std::puts("lied");
  std::fflush(stdout);
  for (pollfd input = {STDIN_FILENO, POLLIN, 0}; poll(&input, 1, pages != nullptr ? 1 : -1) == 0;) rotate();
  _exit(0);
}
