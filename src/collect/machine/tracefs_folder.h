// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>

#include "src/collect/machine/file_descriptor.h"

namespace waitprobe {

// How the tool gets at tracefs. `own_mount`: nobody has mounted it where it belongs, so the tool does, for itself alone.
enum class TracefsAccess { mounted, own_mount, none };

// The folder of tracefs. A mount of its own is detached: it is in no mount table and ends with this object, which takes the
// kernel some milliseconds.
//
// Threads: one at a time.
class TracefsFolder {
 public:
  static TracefsFolder open();

  TracefsAccess access() const { return access_; }
  // Why it could not be mounted; 0: nobody tried.
  int mount_error() const { return mount_error_; }
  // The whole of a file in it, such as "uprobe_events". Nothing when it cannot be read, and errno tells why.
  std::optional<std::string> read(const std::string& file) const;

 private:
  FileDescriptor folder_;
  TracefsAccess access_ = TracefsAccess::none;
  int mount_error_ = 0;
};

}  // namespace waitprobe
