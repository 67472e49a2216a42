// SPDX-License-Identifier: MIT
#include "src/collect/machine/uprobe_multi.h"

#include <bpf/libbpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace waitprobe {
namespace {

constexpr std::uint32_t uprobe_multi = 48;  // BPF_TRACE_UPROBE_MULTI

// Of union bpf_attr, the member link_create with its member uprobe_multi. The header of an older kernel does not have it.
struct LinkAttributes {
  std::uint32_t program, target, attach_type, flags;
  std::uint64_t path, offsets, semaphore_offsets, cookies;
  std::uint32_t cnt, multi_flags, pid, pad;
};

std::uint64_t address_of(const void* object) { return reinterpret_cast<std::uint64_t>(object); }

constexpr bpf_insn return_0[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = 0},
                                 {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};

}  // namespace

FileDescriptor load_uprobe_program(std::span<const bpf_insn> instructions) {
  bpf_attr attributes = {};
  attributes.prog_type = BPF_PROG_TYPE_KPROBE;
  attributes.expected_attach_type = uprobe_multi;
  attributes.insns = address_of(instructions.data());
  attributes.insn_cnt = static_cast<std::uint32_t>(instructions.size());
  attributes.license = address_of("Dual MIT/GPL");
  return FileDescriptor(static_cast<int>(syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes)));
}

FileDescriptor attach_uprobe_multi(int program, const std::string& path, const UprobePlace& place, std::uint32_t pid) {
  LinkAttributes attributes = {};
  attributes.program = static_cast<std::uint32_t>(program);
  attributes.attach_type = uprobe_multi;
  attributes.path = address_of(path.c_str());
  attributes.offsets = address_of(&place.offset);
  if (place.semaphore_offset != 0) attributes.semaphore_offsets = address_of(&place.semaphore_offset);
  attributes.cnt = 1;
  attributes.pid = pid;
  return FileDescriptor(static_cast<int>(syscall(SYS_bpf, BPF_LINK_CREATE, &attributes, sizeof attributes)));
}

FileDescriptor attach_nothing(const std::string& path, const UprobePlace& place) {
  const FileDescriptor program = load_uprobe_program(return_0);
  return program.ok() ? attach_uprobe_multi(program.get(), path, place) : FileDescriptor();
}

// With a folder instead of a file: that is found to be wrong (EBADF) after the type of the link.
bool has_uprobe_multi() {
  static const bool has = [] {
    const FileDescriptor program = load_uprobe_program(return_0);
    return program.ok() && !attach_uprobe_multi(program.get(), "/", {}).ok() && errno == EBADF;
  }();
  return has;
}

void prefer_uprobe_multi(bpf_program* program) {
  if (has_uprobe_multi()) bpf_program__set_expected_attach_type(program, static_cast<bpf_attach_type>(uprobe_multi));
}

bool is_for_uprobe_multi(const bpf_program* program) {
  return static_cast<std::uint32_t>(bpf_program__expected_attach_type(program)) == uprobe_multi;
}

}  // namespace waitprobe
