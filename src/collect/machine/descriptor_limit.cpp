// SPDX-License-Identifier: MIT
#include "src/collect/machine/descriptor_limit.h"

#include <sys/resource.h>

namespace waitprobe {

void allow_many_files() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace waitprobe
