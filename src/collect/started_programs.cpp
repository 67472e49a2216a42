// SPDX-License-Identifier: MIT
#include "src/collect/started_programs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cstring>

namespace waitprobe {
namespace {

constexpr std::size_t most_harmless = 4096;
constexpr std::size_t most_started = 32768;

// The kernel's numbers of devices are not those of stat().
constexpr unsigned kernel_minor_bits = 20;

struct OpenProgram {
  FileDescriptor file;
  std::string root;
};

// The file that exec was given, if it is still there: by its path, as the parent sees it.
OpenProgram open_program(const std::string& path, std::uint32_t parent_pid, std::uint64_t inode) {
  const std::string parent = "/proc/" + std::to_string(parent_pid);
  const bool is_absolute = path.starts_with('/');
  const std::string ways[][2] = {{parent + "/root", is_absolute ? path : ""},
                                 {"", is_absolute ? path : ""},
                                 {"", is_absolute ? "" : parent + "/cwd/" + path},
                                 {"", is_absolute ? "" : path}};
  for (const auto& [root, below] : ways) {
    if (below.empty()) continue;
    FileDescriptor file(open((root + below).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat status;
    if (file.ok() && fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode) && status.st_ino == inode) {
      return {std::move(file), root};
    }
  }
  return {};
}

}  // namespace

bool StartedPrograms::add(const wp_program_start& start) {
  const FileId file{makedev(start.device >> kernel_minor_bits, start.device & ((1U << kernel_minor_bits) - 1)), start.inode};
  if (harmless_.contains(file)) return true;
  if (started_.size() >= most_started) return false;
  started_[start.sighting.pid] = {file,
                                  start.parent_pid,
                                  std::string(start.comm, strnlen(start.comm, sizeof start.comm)),
                                  std::string(start.path, strnlen(start.path, sizeof start.path)),
                                  start.time_ns,
                                  false};
  return true;
}

void StartedPrograms::seen(std::uint32_t pid) { started_.erase(pid); }

void StartedPrograms::carries_nothing(std::uint32_t pid) {
  const auto found = started_.find(pid);
  if (found == started_.end()) return;
  if (harmless_.size() >= most_harmless) harmless_.clear();
  harmless_.insert(found->second.file);
  started_.erase(found);
}

void StartedPrograms::ended(std::uint32_t pid) {
  const auto found = started_.find(pid);
  if (found != started_.end()) found->second.has_ended = true;
}

std::vector<std::uint32_t> StartedPrograms::older_than(std::uint64_t start_ns) const {
  std::vector<std::uint32_t> pids;
  for (const auto& [pid, started] : started_) {
    if (started.start_ns < start_ns) pids.push_back(pid);
  }
  return pids;
}

EndedProgram StartedPrograms::judge(std::uint32_t pid, const Started& started) {
  EndedProgram ended{pid, started.comm, started.path, started.start_ns, {}, Carries::unknown};
  OpenProgram program = open_program(started.path, started.parent_pid, started.file.inode);
  if (!program.file.ok()) return ended;
  ended.carries = files_.carries(program.file, started.path, program.root);
  ended.file = std::move(program.file);
  return ended;
}

std::vector<EndedProgram> StartedPrograms::take_ended() {
  std::vector<EndedProgram> all;
  for (auto entry = started_.begin(); entry != started_.end();) {
    if (!entry->second.has_ended) {
      ++entry;
      continue;
    }
    EndedProgram ended = judge(entry->first, entry->second);
    if (ended.carries != Carries::no) {
      all.push_back(std::move(ended));
    } else if (harmless_.size() < most_harmless) {
      harmless_.insert(entry->second.file);
    }
    entry = started_.erase(entry);
  }
  return all;
}

}  // namespace waitprobe
