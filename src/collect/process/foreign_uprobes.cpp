// SPDX-License-Identifier: MIT
#include "src/collect/process/foreign_uprobes.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <sstream>

#include "src/collect/machine/tracefs_folder.h"
#include "src/collect/process/fast_nop.h"

namespace waitprobe {
namespace {

std::optional<FileId> file_at(const std::string& path) {
  struct stat status;
  if (stat(path.c_str(), &status) != 0) return std::nullopt;
  return FileId{status.st_dev, status.st_ino};
}

bool same_file(const std::string& a, const std::string& b) {
  const auto file = file_at(a);
  return file && file == file_at(b);
}

// Only CAP_SYS_ADMIN may ask. What is asked for here is not there, which is found out later.
bool may_ask_for_programs() {
  __u32 length = 0, prog_id = 0, kind = 0;
  __u64 offset = 0, address = 0;
  return bpf_task_fd_query(getpid(), -1, 0, nullptr, &length, &prog_id, &kind, &offset, &address) == 0 || errno != EPERM;
}

// What this descriptor of a process, seen through a thread of it, is, if that is a BPF program on a uprobe.
std::optional<UprobePrograms::Program> program_of(std::uint32_t pid, std::uint32_t tid, int fd) {
  char name[4096] = {};
  __u32 length = sizeof name, prog_id = 0, kind = 0;
  __u64 offset = 0, address = 0;
  if (bpf_task_fd_query(static_cast<int>(tid), fd, 0, name, &length, &prog_id, &kind, &offset, &address) != 0)
    return std::nullopt;
  const auto file = kind == BPF_FD_TYPE_UPROBE ? file_at(name) : std::nullopt;
  if (!file) return std::nullopt;
  return UprobePrograms::Program{pid, *file, offset};
}

// "p:group/event /path/to/file:0x1234 key=%di", or nothing: it has a semaphore ("file:0x1234(0x5678)").
std::optional<TracefsUprobes::Uprobe> without_semaphore(const std::string& line) {
  std::istringstream words(line);
  std::string name, place;
  words >> name >> place;
  const std::size_t colon = place.rfind(":0x");
  if (colon == std::string::npos || place.find('(', colon) != std::string::npos) return std::nullopt;
  TracefsUprobes::Uprobe uprobe{name.substr(name.find(':') + 1), place.substr(0, colon), 0};
  std::from_chars(place.data() + colon + 3, place.data() + place.size(), uprobe.offset, 16);
  return uprobe;
}

TracefsUprobes read_tracefs_uprobes() {
  TracefsUprobes found;
  const auto events = TracefsFolder::open().read("uprobe_events");
  found.are_all_seen = events.has_value();
  std::istringstream lines(events.value_or(""));
  for (std::string line; std::getline(lines, line);) {
    if (auto uprobe = without_semaphore(line)) found.all.push_back(std::move(*uprobe));
  }
  return found;
}

}  // namespace

ForeignUprobes TracefsUprobes::on(const std::string& path, const UsdtSite& site) const {
  ForeignUprobes found;
  found.are_all_seen = are_all_seen;
  for (const Uprobe& uprobe : all) {
    if (uprobe.offset == attach_offset(site) && same_file(uprobe.path, path))
      found.names.push_back("the uprobe " + uprobe.name + " of tracefs");
  }
  return found;
}

UprobePrograms read_uprobe_programs() {
  UprobePrograms programs;
  programs.of_tracefs = read_tracefs_uprobes();
  programs.are_all_seen = may_ask_for_programs();
  for (const std::uint32_t pid : all_pids()) {
    std::error_code unreadable, error;
    const std::uint32_t tid = living_thread_of(pid);
    for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(tid) + "/fd", unreadable)) {
      const std::string target = std::filesystem::read_symlink(entry.path(), error).string();
      if (target != "anon_inode:[perf_event]") continue;
      if (const auto program = program_of(pid, tid, std::stoi(entry.path().filename()))) programs.all.push_back(*program);
    }
    if (unreadable == std::errc::permission_denied) programs.are_all_seen = false;
  }
  return programs;
}

ForeignUprobes UprobePrograms::on(const std::string& path, const UsdtSite& site) const {
  ForeignUprobes found;
  found.are_all_seen = are_all_seen;
  const auto file = file_at(path);
  for (const Program& program : all) {
    if (program.offset == attach_offset(site) && file == program.file) found.names.push_back(describe_process(program.pid));
  }
  return found;
}

void explain_foreign_uprobe(const std::string& path, const UsdtSite& site, Error& error) {
  const UprobePrograms programs = read_uprobe_programs();
  std::vector<std::string> found = programs.of_tracefs.on(path, site).names;
  for (const std::string& one : programs.on(path, site).names) found.push_back("a uprobe of " + one);
  if (found.empty()) {
    error.hint = "another tracer may have set a uprobe without a semaphore on the same instruction; end it and try again";
    return;
  }
  std::string names = found.front();
  for (std::size_t i = 1; i < found.size(); i++) names += " or " + found[i];
  error.why = names + " is set on the same instruction without a semaphore; the kernel does not allow both";
  error.hint = "end it or remove that uprobe, then try again";
}

}  // namespace waitprobe
