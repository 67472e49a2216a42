// SPDX-License-Identifier: MIT
//
// What /proc says of a process. Everything may be out of date when it is read: a process can end at any moment.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/collect/machine/proc_file.h"
#include "src/model/result.h"

namespace waitprobe {

// A file as /proc/PID/maps names it, or as stat() does. The two differ on overlayfs and btrfs: compare like with like.
struct FileId {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  auto operator<=>(const FileId&) const = default;
};

// A part of a file in a process's memory.
struct Mapping {
  std::uint64_t start = 0;
  std::uint64_t end = 0;
  std::uint64_t offset = 0;  // of `start` in the file
  bool writable = false;
  bool executable = false;
  bool shared = false;  // what is written goes to the file
  FileId file;
  std::string path;  // any bytes, as the process sees it; may be gone or replaced

  bool holds(std::uint64_t address) const { return address >= start && address < end; }
  bool holds_offset(std::uint64_t in_file) const { return in_file >= offset && in_file - offset < end - start; }
};

// What stands behind the last slash.
inline std::string_view file_name_of(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// What is read of /proc/PID/stat, or of that of a thread.
struct Stat {
  std::string name;  // any bytes
  char state = 0;
  std::uint32_t parent_pid = 0;
  std::uint64_t start_ticks = 0;  // since boot, in clock ticks of user space
};
std::optional<Stat> parse_stat(const std::string& text);

// Nothing when there is no such process.
std::optional<Stat> stat_of(std::uint32_t pid);

// All processes there are that /proc lists.
std::vector<std::uint32_t> all_pids();

// Those whose names match a pattern of a shell, without the one that asks.
std::vector<std::uint32_t> pids_named(const std::string& glob);

// Whether /proc leaves out those of others: it is mounted with hidepid, and we have not the right.
bool hides_processes();

// Its name, any bytes; empty when it has ended.
std::string comm_of(std::uint32_t pid);

// "process 17 (db)", or "process 17" when it has ended.
std::string describe_process(std::uint32_t pid);

// Errors: there is no such process, or it has ended and waits for its parent to notice. One whose main thread alone has ended
// goes on. Of one that /proc lists and shows nothing of, nothing else is known.
Result<void> check_exists(std::uint32_t pid);

// When it started, in clock ticks since boot: with the pid, this names a process for good. 0 when it has ended.
std::uint64_t start_ticks_of(std::uint32_t pid);

// False once it has begun to give up its memory: what was read of it just before may have been half of it.
bool has_memory(std::uint32_t pid);

// The number by which memory, files and namespaces of a process are found, below /proc and by system calls: its own, unless its
// main thread has ended, which has none of them any more, and another goes on. That thread may end at any moment, too.
std::uint32_t living_thread_of(std::uint32_t pid);

// A file below /proc/PID that says something of what all threads share ("maps", "environ"). Nothing as for read_proc_file().
std::optional<std::string> read_shared_file(std::uint32_t pid, const char* file, std::size_t most_bytes = SIZE_MAX);

// What the process calls its threads, and what we call them: the same, unless it is in a pid namespace of its own.
std::map<std::uint32_t, std::uint32_t> threads_of(std::uint32_t pid);

// The numbers of its threads, as we call them.
std::vector<std::uint32_t> thread_numbers(std::uint32_t pid);

// What a line of /proc/PID/status says after NAME: (white space left out); of a thread of it, where `tid` is not 0. Nothing
// when it has ended, or there is no such line.
std::optional<std::string> status_of(std::uint32_t pid, std::uint32_t tid, const std::string& name);

// The mappings of files. Errors: why of errno (EACCES, ENOENT); ended processes have none.
Result<std::vector<Mapping>> file_mappings(std::uint32_t pid);

// Ways to open the file of a mapping, best first: its path may be gone, replaced or in a container, and the first needs a
// capability.
std::vector<std::string> ways_to_open(std::uint32_t pid, const Mapping& mapping);

}  // namespace waitprobe
