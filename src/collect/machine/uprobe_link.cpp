// SPDX-License-Identifier: MIT
#include "src/collect/machine/uprobe_link.h"

#include <bpf/libbpf.h>

namespace waitprobe {

void UprobeLink::Destroy::operator()(bpf_link* link) const { bpf_link__destroy(link); }

UprobeLink UprobeLink::attach(const bpf_program* program, const std::string& path, const UprobePlace& place,
                              std::uint32_t pid) {
  UprobeLink link;
  if (is_for_uprobe_multi(program)) {
    link.multi_ = attach_uprobe_multi(bpf_program__fd(program), path, place, pid);
    return link;
  }
  bpf_uprobe_opts options = {};
  options.sz = sizeof options;
  options.ref_ctr_offset = place.semaphore_offset;
  const int process = pid != 0 ? static_cast<int>(pid) : -1;
  link.perf_.reset(bpf_program__attach_uprobe_opts(program, process, path.c_str(), place.offset, &options));
  return link;
}

}  // namespace waitprobe
