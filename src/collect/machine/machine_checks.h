// SPDX-License-Identifier: MIT
//
// What this machine and this user have of what tracing needs. Each check takes the text that it judges.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/collect/machine/tracefs_folder.h"
#include "src/model/diagnosis.h"

namespace waitprobe {

using FileText = std::optional<std::string>;  // nothing: it could not be read

Check check_user_namespace(std::uint64_t inode);

// `are_uprobes_refused`: to this user, by the kernel, without uprobe_multi links. Some let CAP_PERFMON set them by perf, others
// CAP_SYS_ADMIN alone.
Check check_capabilities(std::uint64_t capabilities, bool are_uprobes_refused);
// Those that are needed for processes of others, and for files of containers.
Check check_reading_rights(std::uint64_t capabilities);
Check check_type_information(bool is_there);
// `mount_error`: why the tool could not mount it for itself.
Check check_tracefs(TracefsAccess access, int mount_error);
Check check_pid_namespace(std::uint64_t inode);
// `has_multi`: this user may make uprobe_multi links.
Check check_uprobes(bool has_uprobes, bool has_semaphores, bool has_multi);
// Of /sys/kernel/security/lockdown. A kernel without lockdown has no such file, though securityfs is mounted.
Check check_lockdown(const FileText& lockdown, bool has_securityfs);
// Of /proc/sys/kernel.
Check check_perf_paranoia(const FileText& perf_event_paranoid, std::uint64_t capabilities);
Check check_unprivileged_bpf(const FileText& unprivileged_bpf_disabled, std::uint64_t capabilities);
// Of /proc/sys/kernel/yama, which not every kernel has.
Check check_ptrace_scope(bool has_yama, const FileText& ptrace_scope);
// Of /proc/self/status.
Check check_seccomp(const std::string& proc_status);

// Without the first of these nothing is to be tried: they are looked at before each tracing.
std::vector<Check> check_first_needs();
// All of them.
std::vector<Check> check_machine();

}  // namespace waitprobe
