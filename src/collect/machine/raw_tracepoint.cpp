// SPDX-License-Identifier: MIT
#include "src/collect/machine/raw_tracepoint.h"

#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace waitprobe {
namespace {

// As union bpf_attr begins for BPF_RAW_TRACEPOINT_OPEN.
struct RawTracepoint {
  std::uint64_t name;
  std::uint32_t program;
  std::uint32_t unused;
  std::uint64_t cookie;
};

int open_raw_tracepoint(RawTracepoint attributes) {
  return static_cast<int>(syscall(SYS_bpf, BPF_RAW_TRACEPOINT_OPEN, &attributes, sizeof attributes));
}

}  // namespace

// Older kernels refuse what they do not know before they look for the program.
bool has_raw_tracepoint_cookies() { return open_raw_tracepoint({0, ~0U, 0, 1}) < 0 && errno == EBADF; }

FileDescriptor attach_raw_tracepoint(int program, const char* name, std::uint64_t cookie) {
  return FileDescriptor(
      open_raw_tracepoint({reinterpret_cast<std::uint64_t>(name), static_cast<std::uint32_t>(program), 0, cookie}));
}

}  // namespace waitprobe
