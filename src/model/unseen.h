// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace waitprobe {

// What of the processes that were to be looked at was not: they may carry probes.
struct Unseen {
  std::uint32_t process_cnt = 0;  // of these, not all files or not the memory could be read
  bool may_be_more = false;       // /proc does not list the processes of others (hidepid)
  bool has_all_rights = false;    // the tool could not be given more: the kernel refuses whoever asks

  bool any() const { return process_cnt != 0 || may_be_more; }
};

}  // namespace waitprobe
