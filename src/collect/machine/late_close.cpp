// SPDX-License-Identifier: MIT
#include "src/collect/machine/late_close.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <span>

namespace waitprobe {
namespace {

// No memory is taken here, since there may be none left at the end.
int kept[64];
std::size_t kept_cnt = 0;

// All but these, which are in ascending order: whoever reads our output, say, waits for its end.
void close_others(std::span<const int> files) {
  unsigned from = 0;
  for (const int file : files) {
    const auto next = static_cast<unsigned>(file);
    if (from < next) syscall(SYS_close_range, from, next - 1, 0);
    from = next + 1;
  }
  syscall(SYS_close_range, from, ~0U, 0);
}

}  // namespace

void close_late(FileDescriptor file) {
  if (file.ok() && kept_cnt < std::size(kept) - 1) kept[kept_cnt++] = file.release();
}

void leave_late_closes_to_child() {
  if (kept_cnt == 0) return;
  const int parent = static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0));
  if (parent < 0) return;
  kept[kept_cnt++] = parent;
  std::sort(kept, kept + kept_cnt);
  if (fork() != 0) return;
  // Only what may be called in the child of a process that may have threads.
  close_others({kept, kept_cnt});
  prctl(PR_SET_NAME, "waitprobe-end");
  // Whoever closes a file last has to wait.
  pollfd ended = {parent, POLLIN, 0};
  while (poll(&ended, 1, -1) < 0 && errno == EINTR) {
  }
  _exit(0);
}

}  // namespace waitprobe
