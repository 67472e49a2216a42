// SPDX-License-Identifier: MIT
#include "src/collect/process/process.h"

#include <fnmatch.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <optional>
#include <sstream>
#include <string_view>

#include "src/collect/machine/capabilities.h"

namespace waitprobe {
namespace {

// Threads that end while their process is read through them, one after the other.
constexpr int most_moves = 16;

std::string proc(std::uint32_t pid, const char* file) { return "/proc/" + std::to_string(pid) + "/" + file; }

template <class Number>
bool take_number(std::string_view& text, Number& out, int base, std::string_view then) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (!text.starts_with(then)) return false;
  text.remove_prefix(then.size());
  return true;
}

// "7f1c-7f1d r-xp 00001000 fe:00 123   /lib/x.so"
std::optional<Mapping> parse_mapping(std::string_view line) {
  Mapping m;
  unsigned major = 0, minor = 0;
  if (!take_number(line, m.start, 16, "-") || !take_number(line, m.end, 16, " ") || line.size() < 5) return std::nullopt;
  m.writable = line[1] == 'w';
  m.executable = line[2] == 'x';
  m.shared = line[3] == 's';
  line.remove_prefix(5);
  if (!take_number(line, m.offset, 16, " ") || !take_number(line, major, 16, ":") || !take_number(line, minor, 16, " ") ||
      !take_number(line, m.file.inode, 10, " ") || m.file.inode == 0) {
    return std::nullopt;
  }
  m.file.device = makedev(major, minor);
  const std::size_t path = line.find('/');
  if (path != std::string_view::npos) m.path = line.substr(path);
  return m;
}

// The entries of a folder that are numbers, sorted.
std::vector<std::uint32_t> numbers_in(const std::string& folder) {
  std::vector<std::uint32_t> numbers;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename();
    std::string_view rest = name;
    std::uint32_t number = 0;
    if (take_number(rest, number, 10, "") && rest.empty()) numbers.push_back(number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

// What belongs to the process and goes with each thread that ends.
std::string proc_of_living(std::uint32_t pid, const char* file) { return proc(living_thread_of(pid), file); }

bool is_alive(const std::optional<Stat>& stat) { return stat && stat->state != 'Z' && stat->state != 'X'; }

// Whether a thread has what belongs to its process. Without the right to see that, whether it has not ended.
bool has_memory_itself(std::uint32_t tid) {
  char byte;
  return readlink(proc(tid, "exe").c_str(), &byte, 1) >= 0 || (errno == EACCES && is_alive(stat_of(tid)));
}

// The process that a thread belongs to; 0 when there is none of this number.
std::uint32_t process_of(std::uint32_t tid) {
  const std::string status = read_proc_file(proc(tid, "status")).value_or("");
  const std::size_t at = status.find("\nTgid:\t");
  return at != std::string::npos ? static_cast<std::uint32_t>(std::atoll(status.c_str() + at + 7)) : 0;
}

}  // namespace

std::optional<Stat> parse_stat(const std::string& text) {
  const std::size_t name = text.find('('), name_end = text.rfind(')');  // the name itself may hold anything
  if (name == std::string::npos || name_end == std::string::npos || name_end < name) return std::nullopt;
  Stat stat;
  stat.name = text.substr(name + 1, name_end - name - 1);
  constexpr std::size_t start_time = 22 - 3;  // of the fields from the third, the state, on
  std::istringstream words(text.substr(name_end + 1));
  const std::vector<std::string> fields(std::istream_iterator<std::string>(words), {});
  if (fields.size() <= start_time) return std::nullopt;
  stat.state = fields[0][0];
  std::from_chars(fields[1].data(), fields[1].data() + fields[1].size(), stat.parent_pid);
  std::from_chars(fields[start_time].data(), fields[start_time].data() + fields[start_time].size(), stat.start_ticks);
  return stat;
}

std::vector<std::uint32_t> all_pids() { return numbers_in("/proc"); }

std::vector<std::uint32_t> pids_named(const std::string& glob) {
  std::vector<std::uint32_t> pids = all_pids();
  std::erase_if(pids, [&](std::uint32_t pid) {
    return pid == static_cast<std::uint32_t>(getpid()) || fnmatch(glob.c_str(), comm_of(pid).c_str(), 0) != 0;
  });
  return pids;
}

// There is always a first process.
bool hides_processes() { return access("/proc/1", F_OK) != 0; }

std::string comm_of(std::uint32_t pid) {
  std::string comm = read_proc_file(proc(pid, "comm")).value_or("");
  if (!comm.empty() && comm.back() == '\n') comm.pop_back();
  return comm;
}

std::string describe_process(std::uint32_t pid) {
  const std::string comm = comm_of(pid);
  return "process " + std::to_string(pid) + (comm.empty() ? "" : " (" + comm + ")");
}

std::optional<Stat> stat_of(std::uint32_t pid) { return parse_stat(read_proc_file(proc(pid, "stat")).value_or("")); }

Result<void> check_exists(std::uint32_t pid) {
  const std::uint32_t process = process_of(pid);
  if (process != 0 && process != pid) {
    return Error{"trace", "process " + std::to_string(pid), "it is a thread of " + describe_process(process),
                 "give the process: -p " + std::to_string(process)};
  }
  const auto text = read_proc_file(proc(pid, "stat"));
  if (!text && (errno == EPERM || errno == EACCES)) return {};  // hidepid=1
  const auto stat = parse_stat(text.value_or(""));
  if (is_alive(stat)) return {};
  const auto threads = numbers_in(proc(pid, "task"));
  if (std::any_of(threads.begin(), threads.end(), [](std::uint32_t tid) { return is_alive(stat_of(tid)); })) return {};
  return Error{"trace", "process " + std::to_string(pid), stat ? "it has ended" : "there is no such process",
               "`waitprobe list` shows what can be traced"};
}

std::uint64_t start_ticks_of(std::uint32_t pid) {
  const auto stat = stat_of(pid);
  return stat ? stat->start_ticks : 0;
}

bool has_memory(std::uint32_t pid) {
  char byte;
  return readlink(proc_of_living(pid, "exe").c_str(), &byte, 1) >= 0;
}

std::uint32_t living_thread_of(std::uint32_t pid) {
  if (has_memory_itself(pid)) return pid;
  const auto threads = numbers_in(proc(pid, "task"));
  const auto living = std::find_if(threads.begin(), threads.end(), has_memory_itself);
  return living != threads.end() ? *living : pid;
}

std::optional<std::string> read_shared_file(std::uint32_t pid, const char* file, std::size_t most_bytes) {
  auto text = read_proc_file(proc(pid, file), most_bytes);
  int why = errno;
  std::uint32_t tid = pid;
  // That of a thread that has ended is empty, and then gone.
  for (int i = 0; i < most_moves && (text ? text->empty() : why == ENOENT || why == ESRCH); i++) {
    const std::uint32_t next = living_thread_of(pid);
    if (next == tid) break;
    tid = next;
    text = read_proc_file(proc(tid, file), most_bytes);
    why = errno;
  }
  errno = why;
  return text;
}

std::map<std::uint32_t, std::uint32_t> threads_of(std::uint32_t pid) {
  std::map<std::uint32_t, std::uint32_t> threads;
  struct stat ours, theirs;
  const bool same = stat("/proc/self/ns/pid", &ours) != 0 || stat(proc_of_living(pid, "ns/pid").c_str(), &theirs) != 0 ||
                    ours.st_ino == theirs.st_ino;
  for (const std::uint32_t tid : numbers_in(proc(pid, "task"))) {
    std::uint32_t inner = tid;
    if (!same) {
      const std::string status = read_proc_file(proc(pid, ("task/" + std::to_string(tid) + "/status").c_str())).value_or("");
      const std::size_t line = status.find("\nNSpid:\t"), end = status.find('\n', line + 1);
      if (line == std::string::npos || end == std::string::npos) continue;
      inner = static_cast<std::uint32_t>(std::atoll(status.c_str() + status.rfind('\t', end) + 1));  // the innermost comes last
    }
    threads[inner] = tid;
  }
  return threads;
}

std::vector<std::uint32_t> thread_numbers(std::uint32_t pid) { return numbers_in(proc(pid, "task")); }

std::optional<std::string> status_of(std::uint32_t pid, std::uint32_t tid, const std::string& name) {
  const std::string of_thread = "task/" + std::to_string(tid) + "/status";
  const auto text = read_proc_file(proc(pid, tid != 0 ? of_thread.c_str() : "status"));
  if (!text) return std::nullopt;
  const std::size_t line = text->find("\n" + name + ":");
  if (line == std::string::npos) return std::nullopt;
  const std::size_t begin = text->find_first_not_of(" \t", line + name.size() + 2);
  if (begin == std::string::npos) return std::nullopt;
  return text->substr(begin, text->find('\n', begin) - begin);
}

Result<std::vector<Mapping>> file_mappings(std::uint32_t pid) {
  const auto text = read_shared_file(pid, "maps");
  if (!text) {
    const int number = errno;
    return Error{"read the memory map of", describe_process(pid), errno_text(number),
                 number == EACCES ? reading_rights_fix() : ""};
  }
  std::vector<Mapping> mappings;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    if (auto mapping = parse_mapping(line)) mappings.push_back(std::move(*mapping));
  }
  return mappings;
}

std::vector<std::string> ways_to_open(std::uint32_t pid, const Mapping& mapping) {
  char range[64];
  std::snprintf(range, sizeof range, "map_files/%llx-%llx", static_cast<unsigned long long>(mapping.start),
                static_cast<unsigned long long>(mapping.end));
  const std::uint32_t tid = living_thread_of(pid);
  return {proc(tid, range), proc(tid, "exe"), proc(tid, "root") + mapping.path};
}

}  // namespace waitprobe
