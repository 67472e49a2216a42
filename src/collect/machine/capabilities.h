// SPDX-License-Identifier: MIT
//
// Which capabilities this process has, and which it lacks.
#pragma once

#include <linux/capability.h>

#include <cstdint>
#include <span>
#include <string>

namespace waitprobe {

struct Capability {
  int number;
  const char* name;
};

inline constexpr Capability tracing_rights[] = {{CAP_BPF, "CAP_BPF"}, {CAP_PERFMON, "CAP_PERFMON"}};
// For processes of others, and for files of containers.
inline constexpr Capability reading_rights[] = {{CAP_SYS_PTRACE, "CAP_SYS_PTRACE"},
                                                {CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH"}};
// For libraries that were deleted or replaced while a process has them mapped (/proc/PID/map_files).
inline constexpr Capability deleted_file_rights[] = {{CAP_CHECKPOINT_RESTORE, "CAP_CHECKPOINT_RESTORE"}};

// The number that the kernel gives the first user namespace.
inline constexpr std::uint64_t first_user_namespace = 0xEFFFFFFD;

// Of /proc/self/status: which capabilities are in force, bit by bit.
std::uint64_t effective_capabilities(const std::string& proc_status);
// What the kernel counts of them where tracing is concerned: none outside of the first user namespace.
std::uint64_t counted_capabilities(std::uint64_t effective, std::uint64_t user_namespace);
// Those of this process that count.
std::uint64_t own_capabilities();

bool has(std::uint64_t capabilities, int capability);
// "CAP_BPF, CAP_PERFMON"; empty: none is missing.
std::string lacking(std::uint64_t capabilities, std::span<const Capability> wanted);

// Whether none of reading_rights is missing.
bool has_reading_rights();
// The hint of an error that may come from a missing right to read: empty where none is missing.
const char* reading_rights_fix();
// The same of an error that may come from a missing right to open a file that a process has mapped.
const char* opening_rights_fix();

// The value of "NAME:" in a text of lines; empty: there is none.
std::string field(const std::string& text, const std::string& name);

// 0: there is none.
std::uint64_t inode_of(const char* path);

}  // namespace waitprobe
