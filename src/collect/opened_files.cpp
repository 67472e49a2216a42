// SPDX-License-Identifier: MIT
#include "src/collect/opened_files.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace waitprobe {
namespace {

constexpr std::size_t most_files = 32'768;
constexpr std::size_t most_programs = 65'536;

}  // namespace

bool OpenedFiles::add(OpenedFile opened) {
  const auto [first, last] = waiting_.equal_range(opened.pid);
  for (auto entry = first; entry != last; ++entry) {
    const Mapping &known = entry->second.mapping, &now = opened.mapping;
    if (known.file != now.file) continue;
    if (known.offset == now.offset && known.start != now.start) entry->second.is_second = true;
    return true;
  }
  if (waiting_.size() + ended_.size() >= most_files) return false;
  // CPUs tell each for itself: that another program had started may have been heard first.
  if (opened.time_ns < program_of(opened.pid).since_ns) {
    ended_.push_back(std::move(opened));
  } else {
    waiting_.emplace(opened.pid, std::move(opened));
  }
  return true;
}

OpenedFiles::Program& OpenedFiles::program(std::uint32_t pid) {
  if (programs_.size() >= most_programs) {
    std::erase_if(programs_, [](const auto& known) { return known.second.ended_ns != UINT64_MAX; });
  }
  // It is a help, and no more: whoever lives is asked directly.
  if (programs_.size() >= most_programs) programs_.clear();
  return programs_[pid];
}

void OpenedFiles::is_there(std::uint32_t pid, std::uint32_t parent_pid, std::string comm) {
  Program& known = program(pid);
  known.parent_pid = parent_pid;
  known.comm = std::move(comm);
}

// What is heard of late may be of a process that had the number before.
void OpenedFiles::program_started(std::uint32_t pid, std::string comm, std::uint64_t time_ns) {
  end_before(pid, time_ns);
  Program& started = program(pid);
  if (time_ns < started.since_ns) return;
  started.comm = std::move(comm);
  started.since_ns = time_ns;
}

void OpenedFiles::process_began(std::uint32_t pid, std::uint32_t parent_pid, std::string comm, std::uint64_t time_ns) {
  end_before(pid, time_ns);
  program(pid) = {std::move(comm), time_ns, UINT64_MAX, parent_pid};
}

void OpenedFiles::process_ended(std::uint32_t pid, std::string comm, std::uint64_t time_ns) {
  end_before(pid, time_ns);
  Program& ended = program(pid);
  ended.comm = std::move(comm);
  ended.ended_ns = time_ns;
}

bool OpenedFiles::knows(std::uint32_t pid, std::uint64_t time_ns) const {
  const auto found = programs_.find(pid);
  return found != programs_.end() && time_ns <= found->second.ended_ns;
}

OpenedFiles::Program OpenedFiles::program_of(std::uint32_t pid) const {
  const auto found = programs_.find(pid);
  return found != programs_.end() ? found->second : Program{};
}

std::optional<std::uint64_t> OpenedFiles::found(const Copy& copy) {
  const auto [first, last] = waiting_.equal_range(copy.pid);
  auto entry = std::find_if(first, last, [&](const auto& waiting) { return waiting.second.mapping.file == copy.file; });
  if (entry == last) {
    entry = std::find_if(first, last, [&](const auto& waiting) {
      const Mapping& mapping = waiting.second.mapping;
      return mapping.holds(copy.code_address) && file_name_of(mapping.path) == file_name_of(copy.path);
    });
  }
  if (entry == last) return std::nullopt;
  const std::uint64_t time_ns = entry->second.time_ns;
  waiting_.erase(entry);
  return time_ns;
}

void OpenedFiles::end_before(std::uint32_t pid, std::uint64_t time_ns) {
  const auto [first, last] = waiting_.equal_range(pid);
  for (auto entry = first; entry != last;) {
    const auto next = std::next(entry);
    if (entry->second.time_ns < time_ns) {
      ended_.push_back(std::move(entry->second));
      waiting_.erase(entry);
    }
    entry = next;
  }
}

std::vector<std::uint32_t> OpenedFiles::waiting_since(std::uint64_t time_ns) const {
  std::vector<std::uint32_t> pids;
  for (const auto& [pid, opened] : waiting_) {
    if (opened.time_ns < time_ns && (pids.empty() || pids.back() != pid)) pids.push_back(pid);
  }
  return pids;
}

void OpenedFiles::give_up_before(std::uint64_t time_ns) {
  for (auto entry = waiting_.begin(); entry != waiting_.end();) {
    const auto next = std::next(entry);
    OpenedFile& opened = entry->second;
    if (opened.time_ns < time_ns) {
      if (opened.probes != nullptr) ended_.push_back(std::move(opened));
      waiting_.erase(entry);
    }
    entry = next;
  }
}

std::vector<OpenedFile> OpenedFiles::take_ended() { return std::exchange(ended_, {}); }

}  // namespace waitprobe
