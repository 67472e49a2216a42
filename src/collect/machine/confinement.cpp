// SPDX-License-Identifier: MIT
#include "src/collect/machine/confinement.h"

#include <linux/capability.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <span>

#include "src/collect/machine/capabilities.h"
#include "src/collect/machine/uprobe_multi.h"

namespace waitprobe {
namespace {

constexpr int denied_calls[] = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(setns),
    SCMP_SYS(unshare),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(reboot),
    SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime),
    SCMP_SYS(adjtimex),
    SCMP_SYS(clock_adjtime),
    SCMP_SYS(sethostname),
    SCMP_SYS(setdomainname),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(acct),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(keyctl),
};

std::uint64_t bits_of(std::span<const Capability> capabilities) {
  std::uint64_t bits = 0;
  for (const Capability& one : capabilities) bits |= std::uint64_t{1} << one.number;
  return bits;
}

std::uint64_t needed_capabilities() {
  std::uint64_t needed = bits_of(tracing_rights) | bits_of(reading_rights) | bits_of(deleted_file_rights);
  // Uprobes of perf may want it.
  if (!has_uprobe_multi()) needed |= std::uint64_t{1} << CAP_SYS_ADMIN;
  return needed;
}

Error failed(const char* what, int error_number) { return {"give up", what, errno_text(error_number), ""}; }

// Those that stay, if this process has them.
Result<void> keep_capabilities(std::uint64_t kept) {
  for (int number = 0; prctl(PR_CAPBSET_READ, number, 0, 0, 0) >= 0; number++) {
    // Without the right to do so: what is not permitted cannot be had again without exec, which is denied.
    if ((kept >> number & 1) == 0 && prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0 && errno != EPERM)
      return failed("capabilities", errno);
  }
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  if (syscall(SYS_capget, &header, data) != 0) return failed("capabilities", errno);
  for (int word = 0; word < _LINUX_CAPABILITY_U32S_3; word++) {
    const auto mask = static_cast<std::uint32_t>(kept >> (32 * word));
    data[word].effective &= mask;
    data[word].permitted &= mask;
    data[word].inheritable = 0;
  }
  if (syscall(SYS_capset, &header, data) != 0) return failed("capabilities", errno);
  return {};
}

Result<void> deny_calls() {
  struct Release {
    void operator()(void* filter) const { seccomp_release(filter); }
  };
  const std::unique_ptr<void, Release> filter(seccomp_init(SCMP_ACT_ALLOW));
  if (filter == nullptr) return failed("system calls", ENOMEM);
  for (const int call : denied_calls) {
    // One that this architecture does not have needs no rule.
    const int error = seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(EPERM), call, 0);
    if (error != 0 && error != -EDOM) return failed("system calls", -error);
  }
  if (const int error = seccomp_load(filter.get()); error != 0) return failed("system calls", -error);
  return {};
}

}  // namespace

Result<void> confine_to_tracing() {
  const std::uint64_t kept = needed_capabilities();
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failed("new privileges", errno);
  if (auto done = keep_capabilities(kept); !done) return done;
  return deny_calls();
}

}  // namespace waitprobe
