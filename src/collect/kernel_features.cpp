// SPDX-License-Identifier: MIT
#include "src/collect/kernel_features.h"

#include <bpf/btf.h>

#include <cerrno>
#include <memory>
#include <string>

namespace waitprobe {
namespace {

// How many arguments a raw tracepoint has; 0 when there is none of this name. Typedef btf_trace_NAME points to a function whose
// first parameter is the tracer's own.
int argument_cnt(const btf* types, const std::string& tracepoint) {
  const int id = btf__find_by_name_kind(types, ("btf_trace_" + tracepoint).c_str(), BTF_KIND_TYPEDEF);
  if (id <= 0) return 0;
  const btf_type* type = btf__type_by_id(types, btf__type_by_id(types, static_cast<__u32>(id))->type);
  if (type == nullptr || !btf_is_ptr(type)) return 0;
  type = btf__type_by_id(types, type->type);
  return type != nullptr && btf_is_func_proto(type) ? btf_vlen(type) - 1 : 0;
}

}  // namespace

Result<KernelFeatures> read_kernel_features() {
  const std::unique_ptr<btf, void (*)(btf*)> types(btf__load_vmlinux_btf(), btf__free);
  if (types == nullptr) {
    return Error{"read the type information of", "the kernel (/sys/kernel/btf/vmlinux)", errno_text(errno),
                 "a kernel built with CONFIG_DEBUG_INFO_BTF is needed"};
  }
  KernelFeatures features;
  features.exec_is_announced = argument_cnt(types.get(), "sched_prepare_exec") != 0;
  // It has moved, and been given its second argument, in one change.
  features.exit_is_early = argument_cnt(types.get(), "sched_process_exit") == 2;
  return features;
}

}  // namespace waitprobe
