// SPDX-License-Identifier: MIT
//
// What a seccomp filter does with a system call, found out by running its program here: classic BPF, as the kernel takes it.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace waitprobe {

using SeccompProgram = std::vector<sock_filter>;

// The program's answer (SECCOMP_RET_..., with its data). Nothing for what the kernel would not have taken.
std::optional<std::uint32_t> run_filter(const SeccompProgram& program, const seccomp_data& call);

// That of all filters of a thread together: the most severe wins, as in the kernel. Nothing when one cannot be run.
std::optional<std::uint32_t> run_filters(const std::vector<SeccompProgram>& filters, const seccomp_data& call);

// Whether the caller dies of an answer. A trap counts: its signal kills who does not expect it.
bool is_deadly(std::uint32_t answer);

}  // namespace waitprobe
