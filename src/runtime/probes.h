// SPDX-License-Identifier: MIT
//
// The probes of provider `waitprobe`, and the root that stands beside their semaphores. Probe names, argument order and units
// are an ABI (docs/design.md): they change only by a new name.
#pragma once

#include <cstdint>

#include "bpf/abi.h"

extern "C" {

// One for each instance of the library. Never named outside the library: see waitprobe_armed.
extern wp_root waitprobe_root __attribute__((visibility("hidden")));

// Each fires its probe if a tracer is attached, and costs a call if not. `key` is zero-terminated and resident.
__attribute__((visibility("hidden"))) void waitprobe_fire_start(const char* key, std::uint64_t timestamp_ns,
                                                                std::uint64_t wait_id) noexcept;
// wait_stop, and each wait_slow_* whose threshold the duration reaches. `trace_id` is an address (wp_trace_id), or 0.
__attribute__((visibility("hidden"))) void waitprobe_fire_stop(const char* key, std::uint64_t timestamp_ns,
                                                               std::uint64_t duration_ns, std::uint64_t wait_id,
                                                               std::uint64_t trace_id) noexcept;
// wait_block: a thread has taken a block. `tid` is that of its own pid namespace.
__attribute__((visibility("hidden"))) void waitprobe_fire_block(const wp_block* block, std::uint64_t tid,
                                                                std::uint64_t incarnation) noexcept;
// wait_batch: records [first, first + count) of the block are flushed.
__attribute__((visibility("hidden"))) void waitprobe_fire_batch(const wp_block* block, std::uint64_t first, std::uint64_t count,
                                                                std::uint64_t incarnation) noexcept;
}
