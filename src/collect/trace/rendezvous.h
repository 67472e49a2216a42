// SPDX-License-Identifier: MIT
//
// The tool's end of the meeting with a program that it started: each instance of the library there says, before the first wait,
// where its root is, and waits until the tool has attached (src/runtime/rendezvous.h is the other end).
#pragma once

#include <poll.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "src/collect/machine/file_descriptor.h"
#include "src/model/result.h"

namespace waitprobe {

// Threads: one at a time.
class Rendezvous {
 public:
  // Opens a socket with a random name.
  static Result<Rendezvous> open();

  // What the started program needs in its environment: "WAITPROBE_ATTACH=...".
  std::string environment() const { return "WAITPROBE_ATTACH=" + name_; }

  // Adds what is to be waited for.
  void add_to(std::vector<pollfd>& waits) const;

  // `waits` tells whether it still does: that it has not given up.
  using Arrived = std::function<void(std::uint32_t pid, std::uint64_t root_address, const std::function<bool()>& waits)>;

  // Takes what has arrived, without waiting. Whoever is not `wanted` is sent away. `arrived` is called for each instance, and
  // its program goes on when it returns. The pid comes from the kernel; the address is what the program says.
  void serve(const std::function<bool(std::uint32_t pid)>& wanted, const Arrived& arrived);

 private:
  struct Visitor {
    FileDescriptor socket;
    std::uint32_t pid = 0;
  };

  FileDescriptor listener_;
  std::string name_;
  std::vector<Visitor> visitors_;  // have connected, and not spoken yet
};

}  // namespace waitprobe
