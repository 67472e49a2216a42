// SPDX-License-Identifier: MIT
#include "src/collect/machine/own_cost.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <filesystem>
#include <set>
#include <string>
#include <utility>

#include "bpf/tool_abi.h"
#include "src/collect/machine/capabilities.h"
#include "src/collect/machine/clock.h"
#include "src/collect/machine/proc_file.h"

namespace waitprobe {
namespace {

std::uint64_t number_in(const std::string& text) {
  const std::size_t first = std::min(text.find_first_not_of(" \t"), text.size());
  std::uint64_t number = 0;
  std::from_chars(text.data() + first, text.data() + text.size(), number);
  return number;
}

std::uint64_t ns_of(const timeval& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(time.tv_usec) * 1'000U;
}

void add_open_files(AgentCost& cost) {
  std::set<std::pair<bool, std::string>> seen;  // maps and programs, by number: several descriptors may be of one
  std::error_code failed;
  for (std::filesystem::directory_iterator file("/proc/self/fdinfo", failed), end; !failed && file != end;
       file.increment(failed)) {
    cost.open_fds++;
    const auto text = read_proc_file(file->path().string());
    if (!text || text->find("\nmemlock:") == std::string::npos) continue;
    const std::string map = field(*text, "map_id"), program = field(*text, "prog_id");
    if (seen.emplace(map.empty(), map.empty() ? program : map).second)
      cost.bpf_memory_bytes += number_in(field(*text, "memlock"));
  }
}

}  // namespace

AgentCost own_cost() {
  AgentCost cost;
  rusage usage = {};
  if (getrusage(RUSAGE_SELF, &usage) == 0) cost.cpu_ns = ns_of(usage.ru_utime) + ns_of(usage.ru_stime);
  if (const auto pages = read_proc_file("/proc/self/statm")) {
    const std::size_t second = std::min(pages->find(' '), pages->size());
    cost.resident_bytes = number_in(pages->substr(second)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  }
  rlimit files = {};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY) cost.max_fds = files.rlim_cur;
  add_open_files(cost);
  return cost;
}

std::uint64_t own_start_unix_ns() {
  const auto stat = read_proc_file("/proc/self/stat");
  if (!stat) return 0;
  constexpr int fields_before = 19;  // behind the name, which may have blanks and brackets; then come ticks since boot
  std::size_t at = stat->rfind(')');
  for (int i = 0; i <= fields_before && at != std::string::npos; i++) at = stat->find(' ', at + 1);
  if (at == std::string::npos) return 0;
  const std::uint64_t since_boot_ns = number_in(stat->substr(at)) * WP_CLOCK_TICK_NS;
  return clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME) + since_boot_ns;
}

}  // namespace waitprobe
