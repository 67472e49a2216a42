// SPDX-License-Identifier: MIT
#include "src/collect/process/opened_files.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace waitprobe {
namespace {

constexpr std::size_t most_files = 32'768;
constexpr std::size_t most_programs = 262'144;
constexpr std::uint64_t kept_ns = 2'000'000'000;  // of processes that have ended: some of what they did may not have been read

}  // namespace

bool OpenedFiles::add(OpenedFile opened) {
  const auto [first, last] = waiting_.equal_range(opened.pid);
  for (auto entry = first; entry != last; ++entry) {
    const Mapping &known = entry->second.mapping, &now = opened.mapping;
    if (known.file != now.file) continue;
    if (known.offset == now.offset) (known.start != now.start ? entry->second.is_second : entry->second.is_again) = true;
    return true;
  }
  if (waiting_.size() + ended_.size() >= most_files) return false;
  waiting_.emplace(opened.pid, std::move(opened));
  return true;
}

// Nothing of a process comes after the end of its last thread.
void OpenedFiles::forget_ended(std::uint64_t now_ns) {
  std::erase_if(programs_, [&](const auto& entry) {
    const auto& [pid, known] = entry;
    return known.thread_ended_ns != 0 && known.thread_ended_ns + kept_ns < now_ns && !has_memory(pid);
  });
}

bool OpenedFiles::is_there(std::uint32_t pid, std::uint32_t parent_pid, std::string comm, std::uint64_t since_ns) {
  end_before(pid, since_ns);
  programs_.erase(pid);
  if (programs_.size() >= next_forgetting_) {
    forget_ended(since_ns);
    next_forgetting_ = programs_.size() + most_programs / 4;
  }
  if (programs_.size() >= most_programs) return false;
  programs_[pid] = {std::move(comm), since_ns, 0, parent_pid};
  return true;
}

void OpenedFiles::is_another(std::uint32_t pid, std::uint64_t time_ns) {
  end_before(pid, time_ns);
  programs_.erase(pid);
}

void OpenedFiles::program_started(std::uint32_t pid, std::string comm, std::uint64_t time_ns) {
  end_before(pid, time_ns);
  const auto known = programs_.find(pid);
  if (known == programs_.end()) return;
  known->second.comm = std::move(comm);
  known->second.since_ns = time_ns;
}

void OpenedFiles::is_named(std::uint32_t pid, std::string comm) {
  const auto known = programs_.find(pid);
  if (known != programs_.end()) known->second.comm = std::move(comm);
}

void OpenedFiles::thread_ended(std::uint32_t pid, std::uint64_t time_ns) {
  const auto known = programs_.find(pid);
  if (known != programs_.end()) known->second.thread_ended_ns = time_ns;
}

OpenedFiles::Program OpenedFiles::program_of(std::uint32_t pid) const {
  const auto found = programs_.find(pid);
  return found != programs_.end() ? found->second : Program{};
}

std::optional<OpenedFile> OpenedFiles::found(const LibraryInstance& instance) {
  const auto [first, last] = waiting_.equal_range(instance.pid);
  auto entry = std::find_if(first, last, [&](const auto& waiting) { return waiting.second.mapping.file == instance.file; });
  if (entry == last) {
    entry = std::find_if(first, last, [&](const auto& waiting) {
      const Mapping& mapping = waiting.second.mapping;
      return mapping.holds(instance.code_address) && file_name_of(mapping.path) == file_name_of(instance.path);
    });
  }
  if (entry == last) return std::nullopt;
  OpenedFile opened = std::move(entry->second);
  waiting_.erase(entry);
  return opened;
}

void OpenedFiles::end_before(std::uint32_t pid, std::uint64_t time_ns) {
  const auto [first, last] = waiting_.equal_range(pid);
  for (auto entry = first; entry != last;) {
    const auto next = std::next(entry);
    if (entry->second.time_ns < time_ns) {
      entry->second.ended_ns = std::min(entry->second.ended_ns, time_ns);
      ended_.push_back(std::move(entry->second));
      waiting_.erase(entry);
    }
    entry = next;
  }
}

void OpenedFiles::looked_at(std::uint32_t pid, std::uint64_t time_ns) {
  const auto [first, last] = waiting_.equal_range(pid);
  for (auto entry = first; entry != last; ++entry) {
    if (entry->second.time_ns < time_ns) entry->second.ended_ns = std::min(entry->second.ended_ns, time_ns);
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
