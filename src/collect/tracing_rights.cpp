// SPDX-License-Identifier: MIT
#include "src/collect/tracing_rights.h"

#include <bpf/libbpf.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>

namespace waitprobe {
namespace {

std::string& libbpf_text() {
  static std::string text;
  return text;
}

int keep(libbpf_print_level level, const char* format, va_list arguments) {
  if (level == LIBBPF_DEBUG) return 0;
  char line[1024];
  std::vsnprintf(line, sizeof line, format, arguments);
  if (libbpf_text().size() < 64 * 1024) libbpf_text() += line;
  return 0;
}

std::uint64_t effective_capabilities() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("CapEff:")) return std::stoull(line.substr(7), nullptr, 16);
  }
  return 0;
}

// CAP_SYS_ADMIN stands for the newer two.
std::string missing_capabilities() {
  const std::uint64_t have = effective_capabilities();
  const auto has = [&](int capability) { return (have >> capability & 1) != 0; };
  std::string missing;
  const auto need = [&](int capability, const char* name) {
    if (has(capability) || has(CAP_SYS_ADMIN)) return;
    missing += (missing.empty() ? "" : ", ") + std::string(name);
  };
  need(CAP_BPF, "CAP_BPF");
  need(CAP_PERFMON, "CAP_PERFMON");
  return missing;
}

constexpr const char* rights_hint =
    "run it as root (sudo waitprobe ...), or give the program what it needs:\n"
    "  sudo setcap cap_bpf,cap_perfmon,cap_sys_ptrace,cap_checkpoint_restore,cap_dac_read_search+ep $(command -v waitprobe)";

// The number that the kernel gives the first pid namespace.
constexpr ino_t first_pid_namespace = 0xEFFFFFFC;

}  // namespace

Result<void> check_tracing_rights() {
  const std::string missing = missing_capabilities();
  if (!missing.empty()) return Error{"trace", "", "this user lacks " + missing, rights_hint};
  if (access("/sys/kernel/btf/vmlinux", R_OK) != 0) {
    return Error{
        "trace", "", "this kernel has no type information (BTF): /sys/kernel/btf/vmlinux is missing",
        "use a kernel built with CONFIG_DEBUG_INFO_BTF=y, as those of the distributions are; in a container, mount /sys"};
  }
  constexpr const char* tracepoints[] = {"/sys/kernel/tracing/events/sched", "/sys/kernel/debug/tracing/events/sched"};
  if (std::none_of(std::begin(tracepoints), std::end(tracepoints), [](const char* path) { return access(path, F_OK) == 0; })) {
    return Error{"attach to", "the kernel's tracepoints (/sys/kernel/tracing)", "tracefs is not mounted",
                 "mount -t tracefs tracefs /sys/kernel/tracing"};
  }
  struct stat status;
  if (stat("/proc/self/ns/pid", &status) == 0 && status.st_ino != first_pid_namespace) {
    return Error{"trace", "",
                 "this is a pid namespace of its own, where processes have other numbers than in the kernel's probes",
                 "run waitprobe on the host, or in a container that was started with --pid=host"};
  }
  return {};
}

Error load_error(int error_number, const std::string& log) {
  Error error{"load", "the BPF programs", errno_text(error_number), ""};
  if (error_number == EPERM || error_number == EACCES) error.hint = rights_hint;
  if (!log.empty()) error.hint += (error.hint.empty() ? "" : "\n") + std::string("libbpf said:\n") + log;
  return error;
}

LibbpfLog::LibbpfLog() {
  libbpf_text().clear();
  libbpf_set_print(keep);
}
LibbpfLog::~LibbpfLog() { libbpf_set_print(nullptr); }
const std::string& LibbpfLog::text() const { return libbpf_text(); }

}  // namespace waitprobe
