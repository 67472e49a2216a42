// SPDX-License-Identifier: MIT
//
// Whether this user may trace on this machine, and if not, what is missing and how to mend it.
#pragma once

#include <string>

#include "src/model/result.h"

namespace waitprobe {

// Errors: a capability or the kernel's type information (BTF) is missing; tracefs is not mounted; run inside a user or pid
// namespace.
Result<void> check_tracing_rights();

// The hint where a right to trace is missing: the smallest set that this kernel is known to be content with.
const char* tracing_rights_fix();

// Why the kernel did not take a program. `log` is what libbpf said.
Error load_error(int error_number, const std::string& log);

// Keeps what libbpf prints, while it lives, instead of letting it go to stderr. One at a time.
class LibbpfLog {
 public:
  LibbpfLog();
  ~LibbpfLog();
  LibbpfLog(const LibbpfLog&) = delete;
  LibbpfLog& operator=(const LibbpfLog&) = delete;
  const std::string& text() const;
};

}  // namespace waitprobe
