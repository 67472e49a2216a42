// SPDX-License-Identifier: MIT
#include "src/collect/process/process_memory.h"

#include <fcntl.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "src/collect/machine/file_descriptor.h"
#include "src/collect/process/process.h"

namespace waitprobe {
namespace {

// However many the root says there are.
constexpr std::size_t most_counters = 100'000, most_key_bytes = 8 << 20;

// Threads that end while they are read through, one after the other.
constexpr int most_moves = 16;

// Returns 0, or the number of the error; ESRCH: the thread has ended.
int read_through(std::uint32_t tid, std::uint64_t address, void* to, std::size_t bytes) {
  const iovec local = {to, bytes};
  const iovec remote = {reinterpret_cast<void*>(address), bytes};
  const ssize_t got = process_vm_readv(static_cast<pid_t>(tid), &local, 1, &remote, 1, 0);
  if (got == static_cast<ssize_t>(bytes)) return 0;
  if (got >= 0) return EFAULT;
  if (errno != ENOSYS && errno != EPERM) return errno;
  // Where seccomp forbids the call, the file may still be allowed.
  const FileDescriptor file(open(("/proc/" + std::to_string(tid) + "/mem").c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.ok()) return errno == ENOENT ? ESRCH : errno;
  const ssize_t got_of_file = pread(file.get(), to, bytes, static_cast<off_t>(address));
  if (got_of_file == static_cast<ssize_t>(bytes)) return 0;
  return got_of_file == 0 ? ESRCH : EFAULT;  // nothing at all: there is no memory behind the file
}

constexpr std::size_t most_at_once = 256;  // the kernel takes 1024

// By one system call. Returns how many were read.
std::size_t read_some(std::uint32_t tid, std::uint64_t address, std::size_t stride, std::size_t cnt, void* to,
                      std::size_t bytes) {
  const iovec local = {to, cnt * bytes};
  std::array<iovec, most_at_once> remote;
  for (std::size_t i = 0; i < cnt; i++) remote[i] = {reinterpret_cast<void*>(address + i * stride), bytes};
  const ssize_t got = process_vm_readv(static_cast<pid_t>(tid), &local, 1, remote.data(), cnt, 0);
  return got > 0 ? static_cast<std::size_t>(got) / bytes : 0;
}

}  // namespace

std::size_t Memory::read_each(std::uint64_t address, std::size_t stride, std::size_t cnt, unsigned char* to,
                              std::size_t bytes) const {
  std::size_t done = 0;
  while (done < cnt && read(address + done * stride, to + done * bytes, bytes)) done++;
  return done;
}

std::size_t ProcessMemory::read_each(std::uint64_t address, std::size_t stride, std::size_t cnt, unsigned char* to,
                                     std::size_t bytes) const {
  std::size_t done = 0;
  while (done < cnt) {
    const std::size_t wanted = std::min(cnt - done, most_at_once);
    const std::size_t got = read_some(tid_, address + done * stride, stride, wanted, to + done * bytes, bytes);
    done += got;
    if (got != wanted) break;
  }
  // Whatever came in between: read() knows what to do about it.
  return done + Memory::read_each(address + done * stride, stride, cnt - done, to + done * bytes, bytes);
}

bool ProcessMemory::read(std::uint64_t address, void* to, std::size_t bytes) const {
  for (int i = 0; i < most_moves; i++) {
    const int error = read_through(tid_, address, to, bytes);
    if (error == 0) return true;
    if (error != ESRCH || !move_on()) return false;
  }
  return false;
}

// To another thread than the one that has ended; false when there is none.
bool ProcessMemory::move_on() const {
  const std::uint32_t before = std::exchange(tid_, living_thread_of(pid_));
  return tid_ != before;
}

std::optional<wp_root> read_root(const Memory& memory, std::uint64_t address) {
  wp_root root;
  if (!memory.read(address, &root, sizeof root)) return std::nullopt;
  if (root.magic != WP_ROOT_MAGIC || root.version != WP_ABI_VERSION || root.size != sizeof root) return std::nullopt;
  return root;
}

std::optional<wp_arena> read_arena(const Memory& memory, const wp_root& root) {
  wp_arena arena;
  if (root.arena == 0 || !memory.read(root.arena, &arena, sizeof arena) || arena.incarnation == 0) return std::nullopt;
  return arena;
}

std::optional<CounterName> read_counter(const Memory& memory, std::uint64_t address) {
  wp_counter counter;
  if (!memory.read(address, &counter, sizeof counter)) return std::nullopt;
  CounterName name{counter.next, counter.id, counter.key_len, counter.flags,
                   std::string(std::min<std::size_t>(counter.key_len, WP_KEY_MAX), '\0')};
  if (!name.key.empty() && !memory.read(address + sizeof counter, name.key.data(), name.key.size())) return std::nullopt;
  return name;
}

std::optional<std::vector<std::string>> read_keys(const Memory& memory, const wp_root& root) {
  std::vector<std::uint64_t> heads(std::min<std::size_t>(root.counter_buckets, WP_COUNTER_BUCKETS));
  if (!memory.read(root.counters, heads.data(), heads.size() * sizeof heads[0])) return std::nullopt;
  // No more than were made: a chain that a dying or lying process has bent into a ring ends here.
  const std::size_t most = std::min<std::size_t>(root.counter_cnt, most_counters);
  std::vector<std::string> keys;
  std::size_t bytes = 0;
  for (std::uint64_t address : heads) {
    while (address != 0 && keys.size() < most && bytes < most_key_bytes) {
      auto counter = read_counter(memory, address);
      if (!counter) return std::nullopt;
      bytes += counter->key.size();
      keys.push_back(std::move(counter->key));
      address = counter->next;
    }
  }
  std::sort(keys.begin(), keys.end());
  return keys;
}

}  // namespace waitprobe
