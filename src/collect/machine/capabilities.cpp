// SPDX-License-Identifier: MIT
#include "src/collect/machine/capabilities.h"

#include <sys/stat.h>

#include <charconv>

#include "src/collect/machine/proc_file.h"
#include "src/model/rights.h"

namespace waitprobe {

std::string field(const std::string& text, const std::string& name) {
  const std::size_t line = ("\n" + text).find("\n" + name + ":");
  if (line == std::string::npos) return "";
  const std::size_t from = text.find_first_not_of(" \t", line + name.size() + 1);
  if (from == std::string::npos) return "";
  return text.substr(from, text.find('\n', from) - from);
}

std::uint64_t inode_of(const char* path) {
  struct stat status;
  return stat(path, &status) == 0 ? status.st_ino : 0;
}

std::uint64_t effective_capabilities(const std::string& proc_status) {
  const std::string digits = field(proc_status, "CapEff");
  std::uint64_t bits = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), bits, 16);
  return bits;
}

std::uint64_t counted_capabilities(std::uint64_t effective, std::uint64_t user_namespace) {
  return user_namespace == 0 || user_namespace == first_user_namespace ? effective : 0;
}

std::uint64_t own_capabilities() {
  const std::string status = read_proc_file("/proc/self/status").value_or("");
  return counted_capabilities(effective_capabilities(status), inode_of("/proc/self/ns/user"));
}

bool has(std::uint64_t capabilities, int capability) { return (capabilities >> capability & 1) != 0; }

// CAP_SYS_ADMIN stands for the newer ones.
std::string lacking(std::uint64_t capabilities, std::span<const Capability> wanted) {
  std::string names;
  for (const Capability& one : wanted) {
    const bool is_newer = one.number == CAP_BPF || one.number == CAP_PERFMON || one.number == CAP_CHECKPOINT_RESTORE;
    if (has(capabilities, one.number) || (is_newer && has(capabilities, CAP_SYS_ADMIN))) continue;
    names += (names.empty() ? "" : ", ") + std::string(one.name);
  }
  return names;
}

bool has_reading_rights() { return lacking(own_capabilities(), reading_rights).empty(); }

const char* reading_rights_fix() { return has_reading_rights() ? "" : rights_fix; }

const char* opening_rights_fix() {
  if (!has_reading_rights()) return rights_fix;
  return lacking(own_capabilities(), deleted_file_rights).empty()
             ? ""
             : "a library that was deleted or replaced can be opened with CAP_CHECKPOINT_RESTORE, or as root";
}

}  // namespace waitprobe
