// SPDX-License-Identifier: MIT
#pragma once

#include <cerrno>

namespace waitprobe::detail {

// Restores errno at the end of the scope: a guard must not change what the code around it sees.
class ErrnoKeeper {
 public:
  ErrnoKeeper() noexcept : saved_(errno) {}
  ~ErrnoKeeper() { errno = saved_; }
  ErrnoKeeper(const ErrnoKeeper&) = delete;
  ErrnoKeeper& operator=(const ErrnoKeeper&) = delete;

 private:
  int saved_;
};

}  // namespace waitprobe::detail
