// SPDX-License-Identifier: MIT
#include "src/collect/process/fast_nop.h"

#include <asm/ptrace.h>
#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

#include "src/collect/machine/clock.h"
#include "src/collect/machine/file_descriptor.h"
#include "src/collect/machine/late_close.h"
#include "src/collect/machine/proc_file.h"
#include "src/collect/machine/uprobe_multi.h"
#include "src/collect/process/process.h"

namespace waitprobe {
namespace {

// Of ten and of five bytes, by how far they are behind the first.
constexpr std::uint64_t long_nops[] = {1, 11};

#if defined(__x86_64__)

constexpr std::uint64_t hits = 3;
constexpr unsigned char breakpoint = 0xcc, first_of_ten = 0x66, first_of_five = 0x0f;

// As a probe of the library. A function of its own in assembler, so that nothing is below the stack pointer.
asm(".pushsection .text.waitprobe_trial_site,\"ax\",@progbits\n"
    ".balign 64\n"
    ".globl waitprobe_trial_site\n"
    ".hidden waitprobe_trial_site\n"
    ".type waitprobe_trial_site, @function\n"
    "waitprobe_trial_site:\n"
    "nop\n"
    ".byte 0x66,0x2e,0x0f,0x1f,0x84,0x00,0x00,0x00,0x00,0x00, 0x0f,0x1f,0x44,0x00,0x00\n"
    "ret\n"
    ".size waitprobe_trial_site, .-waitprobe_trial_site\n"
    ".popsection\n");
extern "C" __attribute__((visibility("hidden"))) void waitprobe_trial_site(std::uint64_t mark);

std::uint64_t trial_mark() {
  static const std::uint64_t mark = now_ns() << 22 | static_cast<std::uint64_t>(getpid());
  return mark;
}

std::optional<std::uint64_t> offset_in_program(std::uint64_t address) {
  const auto mappings = file_mappings(static_cast<std::uint32_t>(getpid()));
  if (!mappings) return std::nullopt;
  for (const Mapping& mapping : *mappings) {
    if (mapping.holds(address)) return address - mapping.start + mapping.offset;
  }
  return std::nullopt;
}

// A uprobe that counts its hits in this process and its children: by uprobe_multi, as programs are attached, or else by perf.
class Trial {
 public:
  explicit Trial(std::uint64_t offset) {
    if (has_uprobe_multi()) {
      attach_counter(offset);
    } else {
      open_perf_event(offset);
    }
  }

  // A link may stay until the end, as nobody comes here again. Not an event of perf, which would be inherited by a command.
  ~Trial() {
    if (count_.ok()) close_late(std::move(link_));
  }
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;

  bool ok() const { return link_.ok(); }
  bool was_refused() const { return error_ == EPERM || error_ == EACCES; }

  std::optional<std::uint64_t> hit_cnt() const {
    std::uint64_t cnt = 0;
    const std::uint32_t first = 0;
    const bool is_read =
        count_.ok() ? bpf_map_lookup_elem(count_.get(), &first, &cnt) == 0 : read(link_.get(), &cnt, sizeof cnt) == sizeof cnt;
    return is_read ? std::optional(cnt) : std::nullopt;
  }

 private:
  // Others may be at the same trial: so only hits count that come with our mark, the argument of the site.
  void attach_counter(std::uint64_t offset) {
    constexpr short to_end = 4;  // instructions that another's hit jumps over
    count_ =
        FileDescriptor(bpf_map_create(BPF_MAP_TYPE_ARRAY, "hits", sizeof(std::uint32_t), sizeof(std::uint64_t), 1, nullptr));
    if (!count_.ok()) return fail();
    const std::uint64_t mark = trial_mark();
    const bpf_insn program[] = {
        {BPF_LD | BPF_DW | BPF_IMM, BPF_REG_2, 0, 0, static_cast<int>(mark)},
        {0, 0, 0, 0, static_cast<int>(mark >> 32)},
        {BPF_LDX | BPF_DW | BPF_MEM, BPF_REG_3, BPF_REG_1, offsetof(pt_regs, rdi), 0},
        {BPF_JMP | BPF_JNE | BPF_X, BPF_REG_3, BPF_REG_2, to_end, 0},
        {BPF_LD | BPF_DW | BPF_IMM, BPF_REG_1, BPF_PSEUDO_MAP_VALUE, 0, count_.get()},
        {0, 0, 0, 0, 0},
        {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_2, 0, 0, 1},
        {BPF_STX | BPF_DW | BPF_ATOMIC, BPF_REG_1, BPF_REG_2, 0, BPF_ADD},
        {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0},
        {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
    };
    const FileDescriptor counter = load_uprobe_program(program);
    if (!counter.ok()) return fail();
    link_ = attach_uprobe_multi(counter.get(), "/proc/self/exe", {offset, 0});
    if (!link_.ok()) fail();
  }

  void open_perf_event(std::uint64_t offset) {
    const auto type = read_proc_file("/sys/bus/event_source/devices/uprobe/type");
    if (!type) return fail();
    perf_event_attr attributes = {};
    attributes.size = sizeof attributes;
    attributes.type = static_cast<std::uint32_t>(std::atoi(type->c_str()));
    attributes.inherit = 1;
    attributes.uprobe_path = reinterpret_cast<__u64>("/proc/self/exe");
    attributes.probe_offset = offset;
    link_ = FileDescriptor(static_cast<int>(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC)));
    if (!link_.ok()) fail();
  }

  void fail() { error_ = errno; }

  FileDescriptor link_;   // or the event of perf
  FileDescriptor count_;  // a map; with uprobe_multi only
  int error_ = 0;
};

void hit() {
  for (std::uint64_t i = 0; i < hits; i++) waitprobe_trial_site(trial_mark());
}

// Whether a child that is forked now hits it and lives.
bool child_survives() {
  const pid_t child = fork();
  if (child == 0) {
    // Handled, so that neither a core dump nor a line in the kernel's log tells of it.
    signal(SIGSEGV, [](int) { _exit(1); });
    hit();
    _exit(0);
  }
  int status = -1;
  while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return child > 0 && status == 0;
}

bool is_fast(const Trial& trial, const volatile unsigned char* code, NopTry& found) {
  if (!trial.ok()) return false;
  hit();
  // The kernel has written there. What was there before is not read: the uprobe of an earlier try may still be there, or of another
  // process.
  if (*code == breakpoint || *code == first_of_ten || *code == first_of_five) return false;
  const bool survives = child_survives();
  found.children_die |= !survives;
  return survives && trial.hit_cnt() == 2 * hits;
}

}  // namespace

std::optional<NopTry> try_nops() {
  const auto code = reinterpret_cast<std::uint64_t>(&waitprobe_trial_site);
  const auto site = offset_in_program(code);
  if (!site) return std::nullopt;
  NopTry found;
  for (const std::uint64_t nop : long_nops) {
    const auto* const at = reinterpret_cast<const unsigned char*>(code + nop);
    const Trial trial(*site + nop);
    if (trial.was_refused()) return std::nullopt;
    if (!is_fast(trial, at, found)) continue;
    found.nop = nop;
    break;
  }
  return found;
}

#else

}  // namespace

std::optional<NopTry> try_nops() { return NopTry(); }

#endif

namespace {

// The boot that the last try was made in, and what it found: "BOOT_ID NOP". A try takes 10 ms, or a quarter of a second by
// perf.
constexpr const char* found_file = "/run/waitprobe.nop";

std::string boot() {
  std::string id = read_proc_file("/proc/sys/kernel/random/boot_id").value_or("");
  return id.substr(0, id.find('\n'));
}

// Only what root has written.
std::optional<std::uint64_t> found_before() {
  const FileDescriptor file(open(found_file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat status = {};
  char text[128];
  const ssize_t got =
      file.ok() && fstat(file.get(), &status) == 0 && status.st_uid == 0 ? read(file.get(), text, sizeof text) : 0;
  if (got <= 0) return std::nullopt;
  std::istringstream words(std::string(text, static_cast<std::size_t>(got)));
  std::string id;
  std::uint64_t nop = 0;
  if (!(words >> id >> nop) || id.empty() || id != boot()) return std::nullopt;
  // Another version may have had its nops elsewhere: a uprobe in the middle of one would kill.
  const bool is_nop = nop == 0 || std::find(std::begin(long_nops), std::end(long_nops), nop) != std::end(long_nops);
  return is_nop ? std::optional(nop) : std::nullopt;
}

void keep(std::uint64_t nop) {
  const std::string fresh = std::string(found_file) + "." + std::to_string(getpid());
  const FileDescriptor file(open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644));
  const std::string text = boot() + " " + std::to_string(nop) + "\n";
  if (!file.ok()) return;
  const bool is_written = write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (!is_written || rename(fresh.c_str(), found_file) != 0) unlink(fresh.c_str());
}

}  // namespace

std::uint64_t fast_nop() {
  static const std::uint64_t nop = [] {
    if (const auto before = found_before()) return *before;
    const auto found = try_nops();
    if (found) keep(found->nop);
    return found ? found->nop : 0;
  }();
  return nop;
}

std::uint64_t attach_offset(const UsdtSite& site) { return site.offset + (site.has_long_nops ? fast_nop() : 0); }

}  // namespace waitprobe
