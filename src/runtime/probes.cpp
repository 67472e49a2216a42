// SPDX-License-Identifier: MIT
//
// The one file in which every probe stands once. It is compiled by rules of its own (CMakeLists.txt):
//  - never with LTO, which may turn arguments into constants or drop the semaphore aliases;
//  - with -mno-red-zone, because kernels from 6.18 on may turn a nop into a call, which writes below the stack pointer;
//  - optimised even where nothing else is, so that each argument of a probe is where its function got it: in the registers of
//    the calling convention. The BPF programs read them there.
// Arguments are in registers ("nr"): older libbpf cannot decode the other operands that sys/sdt.h would allow.
#include "src/runtime/probes.h"

#if __has_include(<sys/sdt.h>) && !defined(WAITPROBE_OWN_NOTES)
#define _SDT_HAS_SEMAPHORES 1
#define STAP_SDT_ARG_CONSTRAINT nr
#include <sys/sdt.h>
#else
#include "src/runtime/own_sdt.h"
#endif

#include <waitprobe/c.h>

#define WP_STRING_(x) #x
#define WP_STRING(x) WP_STRING_(x)
#define WP_PAGE 4096

// clang-format off
#define WP_ALIAS(probe, semaphore, min_ns, arguments) \
  ".globl waitprobe_" #probe "_semaphore\n"           \
  ".hidden waitprobe_" #probe "_semaphore\n"          \
  ".set waitprobe_" #probe "_semaphore, waitprobe_root + " #semaphore "\n"
// clang-format on

// The root, whose first member is the armed word, and the semaphores as names for parts of that word: in one statement, so that
// no compiler can put them apart. WP_PROBES has the offsets.
//
// Alone in its page of the file: at exec and mmap, the kernel raises a semaphore in the first writable mapping of that page.
// mold and lld give RELRO a segment of its own, which ends in the page where the next one begins and is mapped first; what
// follows may belong to another writable segment too. So the page is filled to its end.
//
// The page is one of the kernel. On arm64 with pages of 16 or 64 KiB two segments of mold or lld can still meet in one; filling
// 64 KiB would cost each program up to 124 KiB more for that. Tools see it in the program headers.
asm(".pushsection .probes,\"aw\",@progbits\n"
    ".balign " WP_STRING(WP_PAGE) "\n"
    ".globl waitprobe_root\n"
    ".hidden waitprobe_root\n"
    ".type waitprobe_root, @object\n"
    ".size waitprobe_root, 192\n"
    "waitprobe_root:\n"
    ".quad 0\n"                                // armed
    ".quad " WP_STRING(WP_ROOT_MAGIC_ASM) "\n"  // magic
    ".long " WP_STRING(WP_ABI_VERSION) "\n"
    ".long 192\n"                         // size
    ".quad waitprobe_counter_table\n"     // counters
    ".long " WP_STRING(WP_COUNTER_BUCKETS) "\n"
    ".long 0\n"      // counter_cnt
    ".quad 0\n"      // arena
    ".long 0\n"      // clock
    ".long " WP_STRING(WP_PREPARED_AT_START_ASM) "\n"
    ".zero 136\n"    // the rest
    WP_PROBES(WP_ALIAS)
    ".balign " WP_STRING(WP_PAGE) "\n"
    ".popsection\n");
static_assert(WP_ROOT_MAGIC == WP_ROOT_MAGIC_ASM);
static_assert(offsetof(wp_root, magic) == 8 && offsetof(wp_root, version) == 16 && offsetof(wp_root, size) == 20 &&
              offsetof(wp_root, counters) == 24 && offsetof(wp_root, counter_buckets) == 32 &&
              offsetof(wp_root, counter_cnt) == 36 && offsetof(wp_root, prepared) == 52 && sizeof(wp_root) == 56 + 136);
static_assert(offsetof(wp_armed, events) == 0 && offsetof(wp_armed, batch) == 2, "what WP_PROBES says");
static_assert(WP_PREPARED_AT_START == WP_PREPARED_AT_START_ASM);

#if defined(__x86_64__)
// The probe instruction is the one-byte nop of sys/sdt.h. Behind it stand one of ten bytes, of which kernels from 7.3 on make a
// call, and one of five, of which kernels from 6.18 on do. A call costs a fraction of a trap, so each kernel has a nop that is best
// for it (src/collect/process/fast_nop.h). The five-byte one is not next to the first: libbpf would take it there without a try,
// and on 6.18 children of a fork die of the call.
#define WP_LONG_NOPS() asm volatile(".byte 0x66,0x2e,0x0f,0x1f,0x84,0x00,0x00,0x00,0x00,0x00, 0x0f,0x1f,0x44,0x00,0x00")
#else
#define WP_LONG_NOPS()
#endif

extern "C" {

// sys/sdt.h wants each semaphore declared before its probe.
#define WP_SEMAPHORE(probe, semaphore, min_ns, arguments) \
  extern __attribute__((visibility("hidden"))) unsigned short waitprobe_##probe##_semaphore;
WP_PROBES(WP_SEMAPHORE)

const std::uint64_t* const waitprobe_armed = reinterpret_cast<const std::uint64_t*>(&waitprobe_root.armed);

#if defined(__clang__)
#define WP_ALONE __attribute__((noinline))
#else
#define WP_ALONE __attribute__((noipa))
#endif

WP_ALONE void waitprobe_fire_start(const char* key, std::uint64_t timestamp_ns, std::uint64_t wait_id) noexcept {
  DTRACE_PROBE3(waitprobe, wait_start, key, timestamp_ns, wait_id);
  WP_LONG_NOPS();
}

WP_ALONE void waitprobe_fire_stop(const char* key, std::uint64_t timestamp_ns, std::uint64_t duration_ns, std::uint64_t wait_id,
                                  std::uint64_t trace_id) noexcept {
  DTRACE_PROBE5(waitprobe, wait_stop, key, timestamp_ns, duration_ns, wait_id, trace_id);
  WP_LONG_NOPS();
#define WP_SLOW(probe, semaphore, min_ns, arguments)                                  \
  if (duration_ns < (min_ns)) return;                                                 \
  DTRACE_PROBE5(waitprobe, probe, key, timestamp_ns, duration_ns, wait_id, trace_id); \
  WP_LONG_NOPS();
  WP_SLOW_PROBES(WP_SLOW)
}

WP_ALONE void waitprobe_fire_block(const wp_block* block, std::uint64_t tid, std::uint64_t incarnation) noexcept {
  DTRACE_PROBE3(waitprobe, wait_block, block, tid, incarnation);
  WP_LONG_NOPS();
}

WP_ALONE void waitprobe_fire_batch(const wp_block* block, std::uint64_t first, std::uint64_t count,
                                   std::uint64_t incarnation) noexcept {
  DTRACE_PROBE4(waitprobe, wait_batch, block, first, count, incarnation);
  WP_LONG_NOPS();
}

}  // extern "C"
