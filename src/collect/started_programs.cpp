// SPDX-License-Identifier: MIT
#include "src/collect/started_programs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cstring>
#include <iterator>

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
  ended(start.sighting.pid);
  if (harmless_.contains(file)) return true;
  if (running_.size() + ended_.size() >= most_started) return false;
  running_[start.sighting.pid] = {file, start.parent_pid, std::string(start.comm, strnlen(start.comm, sizeof start.comm)),
                                  std::string(start.path, strnlen(start.path, sizeof start.path)), start.time_ns};
  return true;
}

// Hits come in the order in which they happened: while it is not known to have ended, what comes is of the program that runs.
void StartedPrograms::seen(std::uint32_t pid) {
  if (running_.erase(pid) != 0) return;
  const auto later = ended_.upper_bound(pid);
  if (later != ended_.begin() && std::prev(later)->first == pid) ended_.erase(std::prev(later));
}

void StartedPrograms::carries_nothing(std::uint32_t pid) {
  const auto found = running_.find(pid);
  if (found == running_.end()) return;
  if (harmless_.size() >= most_harmless) harmless_.clear();
  harmless_.insert(found->second.file);
  running_.erase(found);
}

void StartedPrograms::ended(std::uint32_t pid) {
  const auto found = running_.find(pid);
  if (found == running_.end()) return;
  ended_.emplace(pid, std::move(found->second));
  running_.erase(found);
}

std::vector<std::uint32_t> StartedPrograms::older_than(std::uint64_t start_ns) const {
  std::vector<std::uint32_t> pids;
  for (const auto& [pid, started] : running_) {
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
  for (const auto& [pid, started] : ended_) {
    EndedProgram ended = judge(pid, started);
    if (ended.carries != Carries::no) {
      all.push_back(std::move(ended));
    } else if (harmless_.size() < most_harmless) {
      harmless_.insert(started.file);
    }
  }
  ended_.clear();
  return all;
}

}  // namespace waitprobe
