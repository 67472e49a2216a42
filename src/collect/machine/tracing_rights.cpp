// SPDX-License-Identifier: MIT
#include "src/collect/machine/tracing_rights.h"

#include <bpf/libbpf.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

#include "src/collect/machine/kernel_features.h"
#include "src/collect/machine/machine_checks.h"
#include "src/collect/machine/proc_file.h"
#include "src/model/rights.h"

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

}  // namespace

Result<void> check_tracing_rights() {
  for (const Check& check : check_first_needs()) {
    if (check.needed && check.status == CheckStatus::missing) return Error{"trace", "", check.found, check.fix};
  }
  return {};
}

// By the kernel's types: who lacks the rights cannot try. With more than 2, some kernels refuse perf events to CAP_PERFMON.
const char* tracing_rights_fix() {
  const auto types = read_type_information();
  const auto paranoia = read_proc_file("/proc/sys/kernel/perf_event_paranoid");
  const bool is_paranoid = paranoia && std::atoi(paranoia->c_str()) > 2;
  return types && !is_paranoid && has_name(*types, "bpf_uprobe_multi_link") ? rights_fix : old_kernel_rights_fix;
}

Error load_error(int error_number, const std::string& log) {
  Error error{"load", "the BPF programs", errno_text(error_number), ""};
  if (error_number == EPERM || error_number == EACCES) error.hint = "run 'waitprobe doctor' to see the cause";
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
