// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace waitprobe {

// Where a process runs. Any bytes; empty: in none, or that is not known.
struct ProcessPlace {
  std::string unit;       // of systemd: "ssh.service", "session-3.scope"; the innermost
  std::string container;  // the first 12 digits of its number (Docker, containerd, CRI-O, Podman), or its name (LXC, nspawn)
  std::string pod;        // the uid that Kubernetes gives it

  bool operator==(const ProcessPlace&) const = default;
};

}  // namespace waitprobe
