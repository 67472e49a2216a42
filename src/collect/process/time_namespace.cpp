// SPDX-License-Identifier: MIT
#include "src/collect/process/time_namespace.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "src/collect/machine/file_descriptor.h"
#include "src/collect/process/process.h"

namespace waitprobe {
namespace {

constexpr const char* without_namespaces = "";  // what the kernel has if it knows of none

std::optional<std::string> read_link(const std::string& path) {
  char text[64];
  const ssize_t size = readlink(path.c_str(), text, sizeof text);
  if (size < 0) return std::nullopt;
  return std::string(text, static_cast<std::size_t>(size));
}

bool kernel_has_them() {
  static const bool has = access("/proc/self/ns/time", F_OK) == 0;
  return has;
}

// Where the namespace of a process can be seen: a first thread that has ended is in none any more.
std::string folder_of(std::uint32_t pid) {
  const std::string process = "/proc/" + std::to_string(pid);
  if (read_link(process + "/ns/time") || errno != ENOENT) return process;
  for (const auto& [inner, tid] : threads_of(pid)) {
    const std::string thread = process + "/task/" + std::to_string(tid);
    if (read_link(thread + "/ns/time")) return thread;
  }
  return process;
}

// "time:[4026531834]" names a namespace for as long as anybody is in it.
std::optional<std::string> namespace_in(const std::string& folder) {
  return kernel_has_them() ? read_link(folder + "/ns/time") : std::string(without_namespaces);
}

const std::optional<std::string>& own_namespace() {
  static const std::optional<std::string> own = namespace_in("/proc/self");
  return own;
}

// Goes there and looks, in a child, since a process that has threads may not. Needs CAP_SYS_ADMIN.
std::optional<TimeOffsets> offsets_from_inside(const std::string& folder) {
  const FileDescriptor there(open((folder + "/ns/time").c_str(), O_RDONLY | O_CLOEXEC));
  int ends[2];
  if (!there.ok() || pipe2(ends, O_CLOEXEC) != 0) return std::nullopt;
  const FileDescriptor read_end(ends[0]);
  FileDescriptor write_end(ends[1]);
  const pid_t child = fork();
  if (child == 0) {  // only what may be called in the child of a process with threads
    char text[256];
    if (setns(there.get(), CLONE_NEWTIME) != 0) _exit(1);
    const int file = open("/proc/self/timens_offsets", O_RDONLY | O_CLOEXEC);
    const ssize_t got = file >= 0 ? read(file, text, sizeof text) : -1;
    _exit(got > 0 && write(write_end.get(), text, static_cast<std::size_t>(got)) == got ? 0 : 1);
  }
  write_end.close();
  if (child < 0) return std::nullopt;
  std::array<char, 256> text;
  ssize_t got = 0;
  while ((got = read(read_end.get(), text.data(), text.size())) < 0 && errno == EINTR) {
  }
  while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (got <= 0) return std::nullopt;
  return parse_time_offsets(std::string(text.data(), static_cast<std::size_t>(got)));
}

// The file shows the offsets of children to come, which are the process's own if it has not asked for others.
std::optional<TimeOffsets> offsets_in(const std::string& folder, const std::string& its_namespace) {
  const auto text = read_proc_file(folder + "/timens_offsets");
  const auto for_children = read_link(folder + "/ns/time_for_children");
  if (text && for_children && *for_children == its_namespace) {
    if (const auto offsets = parse_time_offsets(*text); offsets && namespace_in(folder) == its_namespace) return offsets;
  }
  return offsets_from_inside(folder);
}

}  // namespace

std::optional<TimeOffsets> parse_time_offsets(const std::string& text) {
  long long seconds[2] = {};
  long nanoseconds[2] = {};
  if (std::sscanf(text.c_str(), "monotonic %lld %ld boottime %lld %ld", &seconds[0], &nanoseconds[0], &seconds[1],
                  &nanoseconds[1]) != 4) {
    return std::nullopt;
  }
  const auto sum = [&](int i) {
    return static_cast<std::uint64_t>(seconds[i]) * 1'000'000'000U + static_cast<std::uint64_t>(nanoseconds[i]);
  };
  return TimeOffsets{sum(0), sum(1)};
}

std::optional<TimeOffsets> own_time_offsets() {
  static const std::optional<TimeOffsets> own = []() -> std::optional<TimeOffsets> {
    if (!own_namespace()) return std::nullopt;
    return kernel_has_them() ? offsets_in("/proc/self", *own_namespace()) : TimeOffsets{};
  }();
  return own;
}

Error unknown_time_error() {
  return {"tell", "the time namespace of waitprobe", "/proc/self/ns does not show its clock's offset",
          "run waitprobe outside of that namespace, or as root"};
}

std::optional<TimeOffsets> time_offsets_of(std::uint32_t pid) {
  const std::string folder = folder_of(pid);
  const auto its = namespace_in(folder);
  if (!its) return std::nullopt;
  return its == own_namespace() ? own_time_offsets() : offsets_in(folder, *its);
}

std::optional<std::uint64_t> monotonic_ahead_of_ours(std::uint32_t pid) {
  const auto its = namespace_in(folder_of(pid));
  if (!its) return std::nullopt;
  if (its == own_namespace()) return 0;
  const auto offsets = time_offsets_of(pid), own = own_time_offsets();
  if (!offsets || !own) return std::nullopt;
  return offsets->monotonic_ns - own->monotonic_ns;
}

}  // namespace waitprobe
