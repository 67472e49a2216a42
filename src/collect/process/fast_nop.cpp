// SPDX-License-Identifier: MIT
#include "src/collect/process/fast_nop.h"

#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>

#include "src/collect/machine/file_descriptor.h"
#include "src/collect/machine/proc_file.h"
#include "src/collect/process/process.h"

namespace waitprobe {
namespace {

#if defined(__x86_64__)

constexpr std::uint64_t long_nops[] = {6,
                                       1};  // of ten and of five bytes, by how far they are behind the first; the safest first
constexpr std::uint64_t hits = 3;
constexpr unsigned char breakpoint = 0xcc;

// As a probe of the library. A function of its own in assembler, so that nothing is below the stack pointer.
asm(".pushsection .text.waitprobe_trial_site,\"ax\",@progbits\n"
    ".balign 64\n"
    ".globl waitprobe_trial_site\n"
    ".hidden waitprobe_trial_site\n"
    ".type waitprobe_trial_site, @function\n"
    "waitprobe_trial_site:\n"
    "nop\n"
    ".byte 0x0f,0x1f,0x44,0x00,0x00, 0x66,0x2e,0x0f,0x1f,0x84,0x00,0x00,0x00,0x00,0x00\n"
    "ret\n"
    ".size waitprobe_trial_site, .-waitprobe_trial_site\n"
    ".popsection\n");
extern "C" __attribute__((visibility("hidden"))) void waitprobe_trial_site();

std::optional<std::uint64_t> offset_in_program(std::uint64_t address) {
  const auto mappings = file_mappings(static_cast<std::uint32_t>(getpid()));
  if (!mappings) return std::nullopt;
  for (const Mapping& mapping : *mappings) {
    if (mapping.holds(address)) return address - mapping.start + mapping.offset;
  }
  return std::nullopt;
}

// A uprobe that counts its hits in this thread.
FileDescriptor count_hits(std::uint32_t type, std::uint64_t offset) {
  perf_event_attr attributes = {};
  attributes.size = sizeof attributes;
  attributes.type = type;
  attributes.uprobe_path = reinterpret_cast<__u64>("/proc/self/exe");
  attributes.probe_offset = offset;
  return FileDescriptor(static_cast<int>(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC)));
}

std::uint64_t find_fast_nop() {
  const auto type = read_proc_file("/sys/bus/event_source/devices/uprobe/type");
  const auto code = reinterpret_cast<std::uint64_t>(&waitprobe_trial_site);
  const auto site = offset_in_program(code);
  if (!type || !site) return 0;
  for (const std::uint64_t nop : long_nops) {
    const auto* const text = reinterpret_cast<const unsigned char*>(code + nop);
    const unsigned char before[] = {text[0], text[1], text[2], text[3], text[4]};
    const FileDescriptor event = count_hits(static_cast<std::uint32_t>(std::atoi(type->c_str())), *site + nop);
    if (!event.ok()) continue;
    for (std::uint64_t i = 0; i < hits; i++) waitprobe_trial_site();
    std::uint64_t counted = 0;
    if (read(event.get(), &counted, sizeof counted) != sizeof counted || counted != hits) continue;
    const volatile unsigned char* const now = text;  // the kernel has written there
    if (now[0] != breakpoint && now[0] != before[0]) return nop;
  }
  return 0;
}

#else

std::uint64_t find_fast_nop() { return 0; }

#endif

}  // namespace

std::uint64_t fast_nop() {
  static const std::uint64_t found = find_fast_nop();
  return found;
}

std::uint64_t attach_offset(const UsdtSite& site) { return site.offset + (site.has_long_nops ? fast_nop() : 0); }

}  // namespace waitprobe
