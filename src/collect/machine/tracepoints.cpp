// SPDX-License-Identifier: MIT
#include "src/collect/machine/tracepoints.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <string>

#include "src/collect/machine/file_descriptor.h"
#include "src/collect/machine/late_close.h"
#include "src/collect/machine/tracefs_folder.h"
#include "src/collect/machine/tracing_rights.h"

namespace waitprobe {
namespace {

Error attach_error(const std::string& tracepoint, int error_number) {
  Error error{"attach to the tracepoint", tracepoint, errno_text(error_number), ""};
  if (error_number == EPERM || error_number == EACCES) error.hint = "run 'waitprobe doctor' to see the cause";
  return error;
}

Result<std::uint64_t> number_of(const std::string& tracepoint, const TracefsFolder& tracefs) {
  const auto text = tracefs.read("events/" + tracepoint + "/id");
  if (!text) return attach_error(tracepoint, errno);
  std::uint64_t number = 0;
  if (std::from_chars(text->data(), text->data() + text->size(), number).ec != std::errc())
    return attach_error(tracepoint, EINVAL);
  return number;
}

Result<TracepointLink> attach(const TracepointProgram& program, const TracefsFolder& tracefs) {
  const auto number = number_of(program.tracepoint, tracefs);
  if (!number) return number.error();
  perf_event_attr attributes = {};
  attributes.size = sizeof attributes;
  attributes.type = PERF_TYPE_TRACEPOINT;
  attributes.config = *number;
  // On CPU 0, as libbpf does: the program runs on all of them.
  FileDescriptor event(static_cast<int>(syscall(SYS_perf_event_open, &attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC)));
  if (!event.ok()) return attach_error(program.tracepoint, errno);
  bpf_link_create_opts options = {};
  options.sz = sizeof options;
  options.perf_event.bpf_cookie = program.cookie;
  FileDescriptor link(bpf_link_create(bpf_program__fd(program.program), event.get(), BPF_PERF_EVENT, &options));
  if (!link.ok()) return attach_error(program.tracepoint, errno);
  return TracepointLink(std::move(event), std::move(link));
}

}  // namespace

TracepointLink::~TracepointLink() {
  close_late(std::move(link_));
  close_late(std::move(event_));
}

Result<std::vector<TracepointLink>> attach_to_kernel(bpf_object_skeleton& skeleton,
                                                     const std::vector<TracepointProgram>& programs,
                                                     const TracefsFolder& tracefs, const LibbpfLog& log) {
  std::vector<TracepointLink> links;
  for (const TracepointProgram& program : programs) {
    auto link = attach(program, tracefs);
    if (!link) return link.error();
    links.push_back(std::move(*link));
  }
  const int failed = bpf_object__attach_skeleton(&skeleton);
  if (failed != 0) return load_error(-failed, log.text());
  return links;
}

std::uint64_t missed_runs(const bpf_object* object) {
  std::uint64_t runs = 0;
  for (bpf_program* program = nullptr; (program = bpf_object__next_program(object, program)) != nullptr;) {
    bpf_prog_info info = {};
    __u32 size = sizeof info;
    if (bpf_program__fd(program) < 0 || bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) != 0) continue;
    runs += info.recursion_misses;
  }
  return runs;
}

}  // namespace waitprobe
