// SPDX-License-Identifier: MIT
#include "src/collect/process/thread_info.h"

#include <seccomp.h>

#include <charconv>
#include <cstdlib>
#include <memory>

#include "src/collect/process/process.h"

namespace waitprobe {
namespace {

// "202 0x7f12 ...", "-1 0x7f12 ..." outside of every call, or "running".
std::string name_of_call(const std::string& text) {
  int number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 0) return "";
  const std::unique_ptr<char, decltype(&std::free)> name(seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number), std::free);
  return name != nullptr ? name.get() : std::to_string(number);
}

}  // namespace

std::optional<ThreadInfo> thread_info(std::uint32_t pid, std::uint32_t tid) {
  const std::string folder = "/proc/" + std::to_string(pid) + "/task/" + std::to_string(tid) + "/";
  const auto stat = parse_stat(read_proc_file(folder + "stat").value_or(""));
  if (!stat) return std::nullopt;
  ThreadInfo info{stat->name, stat->state, stat->start_ticks, read_proc_file(folder + "wchan").value_or(""),
                  name_of_call(read_proc_file(folder + "syscall").value_or(""))};
  if (info.wchan == "0") info.wchan.clear();
  return info;
}

}  // namespace waitprobe
