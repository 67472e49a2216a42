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

// Of the section, "tp/signal/signal_deliver".
std::string tracepoint_of(const bpf_program* program) {
  const std::string section = bpf_program__section_name(program);
  return section.substr(section.find('/') + 1);
}

Result<bpf_link*> attach(const bpf_program* program, const TracefsFolder& tracefs) {
  const std::string tracepoint = tracepoint_of(program);
  const auto number = number_of(tracepoint, tracefs);
  if (!number) return number.error();
  perf_event_attr attributes = {};
  attributes.size = sizeof attributes;
  attributes.type = PERF_TYPE_TRACEPOINT;
  attributes.config = *number;
  // On CPU 0, as libbpf does: the program runs on all of them.
  FileDescriptor event(static_cast<int>(syscall(SYS_perf_event_open, &attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC)));
  if (!event.ok()) return attach_error(tracepoint, errno);
  bpf_link* link = bpf_program__attach_perf_event(program, event.get());
  if (link == nullptr) return attach_error(tracepoint, errno);
  event.release();  // the link closes it
  return link;
}

}  // namespace

Result<void> attach_to_kernel(bpf_object_skeleton& skeleton, const LibbpfLog& log) {
  const TracefsFolder tracefs = TracefsFolder::open();
  for (int i = 0; i < skeleton.prog_cnt; i++) {
    const bpf_prog_skeleton& program = skeleton.progs[i];
    if (bpf_program__type(*program.prog) != BPF_PROG_TYPE_TRACEPOINT || !bpf_program__autoload(*program.prog)) continue;
    const auto link = attach(*program.prog, tracefs);
    if (!link) return link.error();
    *program.link = *link;  // with one of its own, libbpf passes the program over
  }
  const int failed = bpf_object__attach_skeleton(&skeleton);
  return failed == 0 ? Result<void>() : load_error(-failed, log.text());
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
