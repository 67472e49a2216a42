// SPDX-License-Identifier: MIT
//
// What started a process, as its control group tells.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace waitprobe {

// Any bytes; empty: it is in none, or that is not told.
struct ControlGroup {
  std::string unit;       // of systemd: "ssh.service", "session-3.scope"; the innermost
  std::string container;  // the first 12 digits of its number (Docker, containerd, CRI-O, Podman), or its name (LXC, nspawn)
  std::string pod;        // the uid that Kubernetes gives it
  bool operator==(const ControlGroup&) const = default;
};

// `text`: what /proc/PID/cgroup holds.
ControlGroup parse_control_group(std::string_view text);

// Of a process; all empty where it has ended or may not be read.
ControlGroup control_group_of(std::uint32_t pid);

}  // namespace waitprobe
