// SPDX-License-Identifier: MIT
#include "src/collect/machine/machine_checks.h"

#include <linux/capability.h>
#include <linux/magic.h>
#include <linux/perf_event.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "src/collect/machine/capabilities.h"
#include "src/collect/machine/file_descriptor.h"
#include "src/collect/machine/kernel_features.h"
#include "src/collect/machine/proc_file.h"
#include "src/collect/machine/tracing_rights.h"
#include "src/collect/machine/uprobe_multi.h"
#include "src/model/rights.h"

namespace waitprobe {
namespace {

// The number that the kernel gives the first one.
constexpr std::uint64_t first_pid_namespace = 0xEFFFFFFC;

bool exists(const char* path) { return access(path, F_OK) == 0; }

// Also for those who may not look into it.
bool is_mounted(const char* path, long magic) {
  struct statfs status;
  return statfs(path, &status) == 0 && status.f_type == magic;
}

bool may_trace(std::uint64_t capabilities) { return lacking(capabilities, tracing_rights).empty(); }

std::optional<long> number(const FileText& text) {
  long value = 0;
  if (!text || std::from_chars(text->data(), text->data() + text->size(), value).ec != std::errc()) return std::nullopt;
  return value;
}

// Asks for a uprobe of no file, which attaches to nothing: rights are looked at before that is found to be wrong (EINVAL).
bool are_perf_uprobes_refused() {
  const auto type = number(read_proc_file("/sys/bus/event_source/devices/uprobe/type"));
  if (!type) return false;
  perf_event_attr attributes = {};
  attributes.size = sizeof attributes;
  attributes.type = static_cast<__u32>(*type);
  const FileDescriptor event(static_cast<int>(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC)));
  return !event.ok() && errno == EACCES;
}

// Debian's kernels refuse all of perf to all but CAP_SYS_ADMIN where kernel.perf_event_paranoid is 3.
bool are_perf_events_refused() {
  perf_event_attr attributes = {};
  attributes.size = sizeof attributes;
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.config = PERF_COUNT_SW_DUMMY;
  const FileDescriptor event(static_cast<int>(syscall(SYS_perf_event_open, &attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC)));
  return !event.ok() && errno == EACCES;
}

// A setting that matters to those alone who lack a capability.
Check check_setting(const std::string& name, const std::string& setting, const FileText& text, std::uint64_t capabilities) {
  const auto value = number(text);
  if (!value) return {name, CheckStatus::unknown, false, "kernel." + setting + " cannot be read", "mount -t proc proc /proc"};
  const std::string is = "kernel." + setting + " is " + std::to_string(*value);
  if (may_trace(capabilities)) return {name, CheckStatus::ok, false, is + ", overridden by the capabilities", ""};
  return {name, CheckStatus::warning, false, is + "; uprobes on other processes need the capabilities in any case",
          tracing_rights_fix()};
}

Check check_kernel_features() {
  const auto features = read_kernel_features(TracefsFolder::open());
  const std::string name = "exit/exec tracepoints";
  if (!features) return {name, CheckStatus::unknown, false, features.error().why, ""};
  const bool all = features->exec_is_announced && features->exit_is_early;
  if (all) return {name, CheckStatus::ok, false, "they fire before the address space is released", ""};
  return {name, CheckStatus::missing, false, "tracepoints of system calls are used instead, at a small cost for the machine",
          "upgrade to a newer kernel"};
}

}  // namespace

Check check_user_namespace(std::uint64_t inode) {
  const char* const name = "user namespace";
  if (inode == 0) return {name, CheckStatus::unknown, true, "/proc/self/ns/user cannot be read", "mount -t proc proc /proc"};
  if (inode == first_user_namespace) return {name, CheckStatus::ok, true, "the initial one", ""};
  return {name, CheckStatus::missing, true, "not the initial user namespace: root here cannot load BPF programs",
          "run waitprobe as root of the host (sudo waitprobe ...), or in a container that root has started"};
}

Check check_capabilities(std::uint64_t capabilities, bool are_uprobes_refused) {
  const std::string names = lacking(capabilities, tracing_rights);
  if (!names.empty()) return {"capabilities", CheckStatus::missing, true, "this user lacks " + names, tracing_rights_fix()};
  if (are_uprobes_refused && !has(capabilities, CAP_SYS_ADMIN)) {
    return {"capabilities", CheckStatus::missing, true,
            "this user lacks CAP_SYS_ADMIN, which this kernel requires for uprobes or perf events", old_kernel_rights_fix};
  }
  return {"capabilities", CheckStatus::ok, true, "this user may load and attach BPF programs", ""};
}

Check check_reading_rights(std::uint64_t capabilities) {
  const std::string names = lacking(capabilities, reading_rights);
  if (names.empty() && !lacking(capabilities, deleted_file_rights).empty()) {
    return {"rights to read", CheckStatus::ok, false,
            "enough, except for libraries that were deleted or replaced while in use, which need CAP_CHECKPOINT_RESTORE", ""};
  }
  if (names.empty()) return {"rights to read", CheckStatus::ok, false, "no capability is missing", ""};
  return {"rights to read", CheckStatus::missing, false,
          "without " + names + ", some processes and files of other users cannot be read", rights_fix};
}

Check check_type_information(bool is_there) {
  if (is_there) return {"type information", CheckStatus::ok, true, "/sys/kernel/btf/vmlinux", ""};
  return {"type information", CheckStatus::missing, true,
          "this kernel has no type information (BTF): /sys/kernel/btf/vmlinux is missing",
          "use a kernel built with CONFIG_DEBUG_INFO_BTF=y, as those of the distributions are; in a container, mount /sys"};
}

Check check_tracefs(TracefsAccess access, int mount_error) {
  if (access == TracefsAccess::mounted) return {"tracefs", CheckStatus::ok, true, "it is mounted", ""};
  if (access == TracefsAccess::own_mount)
    return {"tracefs", CheckStatus::ok, true, "it is not mounted; the tool mounts it for itself", ""};
  return {"tracefs", CheckStatus::missing, true,
          "tracefs is not mounted, and cannot be mounted by this user (" + errno_text(mount_error) +
              "); tracing needs tracepoint IDs from tracefs",
          "mount -t tracefs tracefs /sys/kernel/tracing"};
}

Check check_pid_namespace(std::uint64_t inode) {
  if (inode == 0)
    return {"pid namespace", CheckStatus::unknown, true, "/proc/self/ns/pid cannot be read", "mount -t proc proc /proc"};
  if (inode == first_pid_namespace) return {"pid namespace", CheckStatus::ok, true, "the initial one", ""};
  return {"pid namespace", CheckStatus::missing, true, "not the initial pid namespace: pids differ from the kernel's",
          "run waitprobe on the host, or in a container that was started with --pid=host"};
}

Check check_uprobes(bool has_uprobes, bool has_semaphores, bool has_multi) {
  const char* const found = has_multi ? "with semaphores, attached by uprobe_multi links: CAP_BPF and CAP_PERFMON are enough"
                                      : "with semaphores, attached by perf events";
  if (has_uprobes && has_semaphores) return {"uprobes", CheckStatus::ok, true, found, ""};
  return {"uprobes", CheckStatus::missing, true,
          has_uprobes ? "this kernel's uprobes raise no semaphores" : "this kernel has no uprobes, or /sys is not mounted",
          "use a kernel built with CONFIG_UPROBE_EVENTS=y; in a container, mount /sys"};
}

Check check_lockdown(const FileText& lockdown, bool has_securityfs) {
  if (!lockdown && has_securityfs) return {"lockdown", CheckStatus::ok, true, "this kernel has none", ""};
  if (!lockdown) {
    return {"lockdown", CheckStatus::unknown, true, "/sys/kernel/security/lockdown cannot be read",
            "mount -t securityfs securityfs /sys/kernel/security"};
  }
  const std::size_t open = lockdown->find('['), close = lockdown->find(']');
  if (open == std::string::npos || close == std::string::npos || close < open) {
    return {"lockdown", CheckStatus::unknown, true, "/sys/kernel/security/lockdown is not understood", ""};
  }
  const std::string mode = lockdown->substr(open + 1, close - open - 1);
  if (mode != "confidentiality") return {"lockdown", CheckStatus::ok, true, mode, ""};
  return {"lockdown", CheckStatus::missing, true, "confidentiality: BPF programs may not read memory",
          "boot with lockdown=integrity, or without secure boot"};
}

Check check_perf_paranoia(const FileText& perf_event_paranoid, std::uint64_t capabilities) {
  return check_setting("perf paranoia", "perf_event_paranoid", perf_event_paranoid, capabilities);
}

Check check_unprivileged_bpf(const FileText& unprivileged_bpf_disabled, std::uint64_t capabilities) {
  return check_setting("unprivileged BPF", "unprivileged_bpf_disabled", unprivileged_bpf_disabled, capabilities);
}

Check check_ptrace_scope(bool has_yama, const FileText& ptrace_scope) {
  const auto value = number(ptrace_scope);
  if (!has_yama) return {"ptrace scope", CheckStatus::ok, true, "not restricted", ""};
  if (!value) return {"ptrace scope", CheckStatus::unknown, true, "kernel.yama.ptrace_scope cannot be read", ""};
  const std::string is = "kernel.yama.ptrace_scope is " + std::to_string(*value);
  if (*value < 3) return {"ptrace scope", CheckStatus::ok, true, is, ""};
  return {"ptrace scope", CheckStatus::missing, true, is + ": no process may read another's memory",
          "reboot with kernel.yama.ptrace_scope=1: this one cannot be undone"};
}

Check check_seccomp(const std::string& proc_status) {
  const std::string mode = field(proc_status, "Seccomp");
  if (mode == "0") return {"seccomp", CheckStatus::ok, true, "no filter", ""};
  if (mode.empty()) return {"seccomp", CheckStatus::unknown, true, "/proc/self/status has no Seccomp line", ""};
  return {"seccomp", CheckStatus::unknown, true, "a seccomp filter is active; bpf and perf_event_open are tested below",
          "docker run --security-opt seccomp=unconfined, or allow bpf, perf_event_open and process_vm_readv"};
}

std::vector<Check> check_first_needs() {
  const TracefsFolder tracefs = TracefsFolder::open();
  return {
      check_user_namespace(inode_of("/proc/self/ns/user")),
      check_capabilities(own_capabilities(), are_perf_events_refused() || (!has_uprobe_multi() && are_perf_uprobes_refused())),
      check_type_information(access("/sys/kernel/btf/vmlinux", R_OK) == 0),
      check_tracefs(tracefs.access(), tracefs.mount_error()), check_pid_namespace(inode_of("/proc/self/ns/pid"))};
}

std::vector<Check> check_machine() {
  const std::uint64_t capabilities = own_capabilities();
  std::vector<Check> checks = check_first_needs();
  checks.push_back(check_reading_rights(capabilities));
  checks.push_back(check_uprobes(exists("/sys/bus/event_source/devices/uprobe/type"),
                                 exists("/sys/bus/event_source/devices/uprobe/format/ref_ctr_offset"), has_uprobe_multi()));
  checks.push_back(check_kernel_features());
  checks.push_back(
      check_lockdown(read_proc_file("/sys/kernel/security/lockdown"), is_mounted("/sys/kernel/security", SECURITYFS_MAGIC)));
  checks.push_back(check_perf_paranoia(read_proc_file("/proc/sys/kernel/perf_event_paranoid"), capabilities));
  checks.push_back(check_unprivileged_bpf(read_proc_file("/proc/sys/kernel/unprivileged_bpf_disabled"), capabilities));
  const char* const ptrace_scope = "/proc/sys/kernel/yama/ptrace_scope";
  checks.push_back(check_ptrace_scope(exists(ptrace_scope), read_proc_file(ptrace_scope)));
  checks.push_back(check_seccomp(read_proc_file("/proc/self/status").value_or("")));
  return checks;
}

}  // namespace waitprobe
