// SPDX-License-Identifier: MIT
#include "src/collect/doctor/self_test.h"

#include <bpf/libbpf.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>

#include "bpf/tool_abi.h"
#include "doctor.skel.h"
#include "src/collect/trace/hist_program.h"
#include "src/collect/doctor/self_test_probe.h"
#include "src/collect/process/fast_nop.h"
#include "src/collect/process/usdt_sites.h"
#include "src/collect/trace/slow_program.h"
#include "src/collect/machine/tracing_rights.h"
#include "src/collect/machine/uprobe_link.h"
#include "src/model/result.h"

namespace waitprobe {
namespace {

constexpr const char* fix_the_above = "fix the missing items above";
constexpr std::uint64_t shots = 3;
constexpr std::uint64_t told_number = 0x5eed'0000'0001;

struct Destroy {
  void operator()(doctor_bpf* skeleton) const { doctor_bpf__destroy(skeleton); }
};

// Of rights there are checks of their own, which say more than libbpf.
Error refusal(int error_number, const std::string& log) {
  if (error_number == EPERM || error_number == EACCES) return {"attach", "", errno_text(error_number), fix_the_above};
  return load_error(error_number, log);
}

std::optional<UsdtSite> own_site() {
  const FileDescriptor self(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  const auto sites = read_usdt_sites(self.get(), "/proc/self/exe");
  if (!sites || !sites->has_value()) return std::nullopt;
  const auto found =
      std::find_if((*sites)->begin(), (*sites)->end(), [](const UsdtSite& site) { return site.name == "self_test"; });
  return found != (*sites)->end() ? std::optional(*found) : std::nullopt;
}

Result<void> attach_to_itself() {
  const auto site = own_site();
  if (!site || !passes_parameters(*site)) {
    return Error{"attach", "", "the notes of waitprobe's own probe are gone, or say something else",
                 "install waitprobe anew, not stripped of its notes"};
  }
  const LibbpfLog log;
  errno = 0;
  const std::unique_ptr<doctor_bpf, Destroy> skeleton(doctor_bpf__open());
  if (skeleton == nullptr) return refusal(errno, log.text());
  prefer_uprobe_multi(skeleton->progs.on_self_test);
  if (const int failed = doctor_bpf__load(skeleton.get()); failed != 0) return refusal(-failed, log.text());
  UprobeLink link = UprobeLink::attach(skeleton->progs.on_self_test, "/proc/self/exe", {site->offset, site->semaphore_offset},
                                       static_cast<std::uint32_t>(getpid()));
  if (!link.ok()) return refusal(errno, log.text());
  const bool was_armed = self_test_is_armed();
  const std::uint64_t pointed_to = ~told_number;
  for (std::uint64_t i = 0; i < shots; i++) fire_self_test(told_number, &pointed_to);
  link.detach();
  return judge_self_test({was_armed, {shots, told_number, pointed_to}, skeleton->bss->self_test});
}

Check check_hits() {
  const char* const name = "hit of a probe";
  const auto found = try_nops();
  if (!found) return {name, CheckStatus::unknown, false, "this user may not set uprobes", fix_the_above};
  if (found->nop != 0) return {name, CheckStatus::ok, false, "a call: this kernel turns a nop of a probe into one", ""};
  return {name, CheckStatus::ok, false,
          found->children_die ? "a breakpoint: this kernel can turn a nop into a call, but children of a fork die of it"
                              : "a breakpoint: this kernel turns no nop of a probe into a call",
          ""};
}

Check check_of(const char* name, const Result<void>& result, const char* found) {
  if (result) return {name, CheckStatus::ok, true, found, ""};
  return {name, CheckStatus::missing, true, result.error().why, result.error().hint};
}

// What hist and slow say of a refusal sends people to the doctor, where they are already. What libbpf said after that is kept
// where it may have been the verifier that refused.
template <class T>
Result<void> loading(const Result<T>& result) {
  if (result) return {};
  Error error = result.error();
  if (error.why == errno_text(EPERM)) error.hint = fix_the_above;
  if (error.why == errno_text(EACCES)) error.hint.replace(0, error.hint.find('\n'), fix_the_above);
  return error;
}

}  // namespace

Result<void> judge_self_test(const SelfTest& test) {
  const wp_self_test &sent = test.sent, &seen = test.seen;
  if (!test.was_armed) {
    return Error{"attach", "", "the kernel did not raise the semaphore of the probe",
                 "use a kernel built with CONFIG_UPROBE_EVENTS=y"};
  }
  if (seen.hits != sent.hits) {
    return Error{
        "attach", "",
        "the probe fired " + std::to_string(sent.hits) + " times, and the program ran " + std::to_string(seen.hits) + " times",
        ""};
  }
  if (seen.number != sent.number) {
    return Error{"attach", "", "the arguments of probes arrive as something else", ""};
  }
  if (seen.read != sent.read) {
    return Error{"attach", "", "the memory of the process cannot be read",
                 "lockdown may forbid it: boot with lockdown=integrity"};
  }
  return {};
}

std::vector<Check> run_self_test() {
  constexpr std::uint64_t any_min_ns = 1'000'000;
  wp_config of_serve{};
  of_serve.keeps_exemplars = 1;
  return {check_of("attaching", attach_to_itself(), "a BPF program attached to waitprobe itself ran correctly"), check_hits(),
          check_of("hist's programs", loading(HistProgram::load({}, Transport::batches)), "loaded"),
          check_of("serve's programs", loading(HistProgram::load(of_serve, Transport::batches)), "loaded"),
          check_of("slow's programs", loading(SlowProgram::load({}, any_min_ns, true)), "loaded")};
}

}  // namespace waitprobe
