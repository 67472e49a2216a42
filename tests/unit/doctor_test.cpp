// SPDX-License-Identifier: MIT
//
// What is made of what the kernel says of itself.
#include <gtest/gtest.h>
#include <linux/capability.h>

#include <cerrno>
#include <sstream>

#include "src/collect/machine/capabilities.h"
#include "src/collect/machine/machine_checks.h"
#include "src/collect/doctor/self_test.h"
#include "src/collect/process/usdt_sites.h"
#include "src/view/doctor_lines.h"
#include "src/view/json.h"
#include "tests/unit/golden.h"

namespace waitprobe {
namespace {

constexpr std::uint64_t bit(int capability) { return std::uint64_t{1} << capability; }
constexpr std::uint64_t tracer = bit(CAP_BPF) | bit(CAP_PERFMON);

TEST(Doctor, ReadsCapabilities) {
  EXPECT_EQ(effective_capabilities("Name:\tx\nCapInh:\t01\nCapEff:\t000001ffffffffff\nCapBnd:\t02\n"), 0x1ffffffffffU);
  EXPECT_EQ(effective_capabilities("CapEff:\t0000000000000010\n"), 16U);
  EXPECT_EQ(effective_capabilities("Name:\tCapEff\n"), 0U);
  EXPECT_EQ(effective_capabilities(""), 0U);
}

TEST(Doctor, NamesTheCapabilitiesThatAreLacking) {
  EXPECT_EQ(check_capabilities(tracer, false).status, CheckStatus::ok);
  EXPECT_EQ(check_capabilities(bit(CAP_SYS_ADMIN), false).status, CheckStatus::ok) << "the old one for all";
  EXPECT_EQ(check_capabilities(bit(CAP_SYS_ADMIN), true).status, CheckStatus::ok) << "it is something else that refuses them";
  EXPECT_NE(check_capabilities(tracer, true).found.find("lacks CAP_SYS_ADMIN"), std::string::npos);
  EXPECT_EQ(check_capabilities(tracer, true).status, CheckStatus::missing);
  const Check lacking = check_capabilities(bit(CAP_BPF), true);
  EXPECT_EQ(lacking.status, CheckStatus::missing);
  EXPECT_EQ(lacking.found, "this user lacks CAP_PERFMON");
  EXPECT_NE(lacking.fix.find("setcap"), std::string::npos);
  const Check reading = check_reading_rights(bit(CAP_SYS_ADMIN) | bit(CAP_SYS_PTRACE));
  EXPECT_FALSE(reading.needed);
  EXPECT_EQ(reading.found, "without CAP_DAC_READ_SEARCH, some processes and files of other users cannot be read");
}

TEST(Doctor, CountsNoCapabilitiesOfOtherUserNamespaces) {
  constexpr std::uint64_t first = 0xEFFFFFFD, another = 0xF0000001;
  EXPECT_EQ(counted_capabilities(tracer, first), tracer);
  EXPECT_EQ(counted_capabilities(tracer, another), 0U);
  EXPECT_EQ(counted_capabilities(tracer, 0), tracer) << "not known: the kernel will tell";
  EXPECT_EQ(check_user_namespace(first).status, CheckStatus::ok);
  EXPECT_EQ(check_user_namespace(another).status, CheckStatus::missing);
  EXPECT_EQ(check_user_namespace(0).status, CheckStatus::unknown);
}

TEST(Doctor, ReadsLockdown) {
  EXPECT_EQ(check_lockdown("[none] integrity confidentiality\n", true).status, CheckStatus::ok);
  EXPECT_EQ(check_lockdown("none [integrity] confidentiality\n", true).found, "integrity");
  EXPECT_EQ(check_lockdown("none integrity [confidentiality]\n", true).status, CheckStatus::missing);
  for (const char* text : {"", "none", "]["}) EXPECT_EQ(check_lockdown(text, true).status, CheckStatus::unknown) << text;
  EXPECT_EQ(check_lockdown(std::nullopt, false).status, CheckStatus::unknown);
  EXPECT_NE(check_lockdown(std::nullopt, false).fix.find("mount -t securityfs"), std::string::npos);
  EXPECT_EQ(check_lockdown(std::nullopt, true).status, CheckStatus::ok) << "there is nothing to mount";
}

TEST(Doctor, SettingsMatterToThoseWhoLackCapabilities) {
  for (const auto check : {check_perf_paranoia, check_unprivileged_bpf}) {
    EXPECT_EQ(check("3\n", tracer).status, CheckStatus::ok);
    EXPECT_EQ(check("-1\n", 0).status, CheckStatus::warning);
    EXPECT_EQ(check(std::nullopt, tracer).status, CheckStatus::unknown);
    EXPECT_EQ(check("many", tracer).status, CheckStatus::unknown);
    EXPECT_FALSE(check("3\n", 0).needed) << "it is the capability that is missing";
  }
}

TEST(Doctor, ReadsWhatElseMayBeInTheWay) {
  EXPECT_EQ(check_ptrace_scope(false, std::nullopt).status, CheckStatus::ok);
  EXPECT_EQ(check_ptrace_scope(true, std::nullopt).status, CheckStatus::unknown);
  EXPECT_EQ(check_ptrace_scope(true, "2\n").status, CheckStatus::ok);
  EXPECT_EQ(check_ptrace_scope(true, "3\n").status, CheckStatus::missing);
  EXPECT_EQ(check_seccomp("Seccomp:\t0\nSeccomp_filters:\t0\n").status, CheckStatus::ok);
  EXPECT_EQ(check_seccomp("Seccomp:\t2\nSeccomp_filters:\t1\n").status, CheckStatus::unknown);
  EXPECT_EQ(check_seccomp("").status, CheckStatus::unknown);
  EXPECT_EQ(check_pid_namespace(0xEFFFFFFC).status, CheckStatus::ok);
  EXPECT_EQ(check_pid_namespace(0xF0000001).status, CheckStatus::missing);
  EXPECT_EQ(check_pid_namespace(0).status, CheckStatus::unknown);
  EXPECT_EQ(check_uprobes(true, true, false).status, CheckStatus::ok);
  EXPECT_NE(check_uprobes(true, true, true).found.find("CAP_PERFMON are enough"), std::string::npos);
  EXPECT_EQ(check_uprobes(true, false, false).status, CheckStatus::missing);
  const Check no_tracefs = check_tracefs(TracefsAccess::none, EPERM);
  EXPECT_EQ(no_tracefs.status, CheckStatus::missing);
  EXPECT_EQ(no_tracefs.fix, "mount -t tracefs tracefs /sys/kernel/tracing");
  EXPECT_NE(no_tracefs.found.find("tracepoint"), std::string::npos) << "what it is for";
  EXPECT_NE(no_tracefs.found.find("(Operation not permitted)"), std::string::npos) << "why the tool does not mount it";
  EXPECT_EQ(check_tracefs(TracefsAccess::mounted, 0).found, "it is mounted");
  EXPECT_EQ(check_tracefs(TracefsAccess::own_mount, 0).status, CheckStatus::ok);
  EXPECT_EQ(check_type_information(false).status, CheckStatus::missing);
}

TEST(Doctor, SeesThatNothingArrivesOtherThanItWasSent) {
  constexpr wp_self_test sent = {3, 17, 4};
  EXPECT_TRUE(judge_self_test({true, sent, sent}));
  const auto why = [&](bool was_armed, const wp_self_test& seen) {
    return judge_self_test({was_armed, sent, seen}).error().why;
  };
  EXPECT_EQ(why(false, sent), "the kernel did not raise the semaphore of the probe");
  EXPECT_EQ(why(true, {0, 0, 0}), "the probe fired 3 times, and the program ran 0 times");
  EXPECT_EQ(why(true, {4, 17, 4}), "the probe fired 3 times, and the program ran 4 times");
  EXPECT_EQ(why(true, {3, 0, 0}), "the arguments of probes arrive as something else");
  EXPECT_EQ(why(true, {3, 16, 4}), "the arguments of probes arrive as something else");
  EXPECT_EQ(why(true, {3, 17, 0}), "the memory of the process cannot be read");
}

TEST(Doctor, KnowsTheNopsThatBecomeCalls) {
  const std::string five("\x0f\x1f\x44\x00\x00", 5);
  EXPECT_TRUE(may_become_call(five));
  EXPECT_TRUE(may_become_call(five + "\xc3"));
  EXPECT_TRUE(may_become_call("\x90" + five));
  EXPECT_FALSE(may_become_call("\x90"));
  EXPECT_FALSE(may_become_call("\x90\x90" + five)) << "it is not the next instruction";
  EXPECT_FALSE(may_become_call(five.substr(0, 4)));
  EXPECT_FALSE(may_become_call(std::string("\x66\x0f\x1f\x44\x00\x00", 6))) << "six bytes";
  EXPECT_FALSE(may_become_call(std::string("\x0f\x1f\x44\x00\x08", 5)));
  EXPECT_FALSE(may_become_call(""));
}

TEST(Doctor, KnowsTheKernelsThatMakeCalls) {
  const std::string symbols = "0000000000000000 T arch_uprobe_optimize\n", others = "0 T arch_uprobe_optimize_not\n0 T x\n";
  const std::string types("\0int\0arch_uprobe_optimize\0", 27), other_types("\0int\0arch_uprobe_optimize_not\0", 31);
  EXPECT_EQ(makes_calls_of_nops(symbols, std::nullopt), true);
  EXPECT_EQ(makes_calls_of_nops(others, types), false) << "symbols are all there are";
  for (const std::optional<std::string>& hidden : {std::optional<std::string>(), std::optional<std::string>("")}) {
    EXPECT_EQ(makes_calls_of_nops(hidden, types), true);
    EXPECT_EQ(makes_calls_of_nops(hidden, other_types), false);
    EXPECT_EQ(makes_calls_of_nops(hidden, hidden), std::nullopt);
  }
}

Diagnosis ill() {
  Diagnosis diagnosis;
  diagnosis.findings.push_back(
      {"this machine and this user",
       {check_tracefs(TracefsAccess::none, EPERM),
        check_lockdown(std::nullopt, false),
        check_ptrace_scope(true, "1\n"),
        {"exit/exec tracepoints", CheckStatus::missing, false, "others take their place", "a newer kernel has them"}}});
  diagnosis.findings.push_back(
      {"process 17 (\x1b[31m)",
       {{"red zone", CheckStatus::warning, false, "a \xff of /opt/server and many more that have long names", "do not"}}});
  return diagnosis;
}

TEST(Doctor, TellsWhatMendsIt) {
  std::ostringstream out;
  print_diagnosis(out, ill(), 80, Colours::no);
  expect_golden("doctor.txt", out.str());
}

TEST(Doctor, PromisesNothingOfATargetThatCouldNotBeSeen) {
  const auto last_line = [](const Diagnosis& diagnosis) {
    std::ostringstream out;
    print_diagnosis(out, diagnosis, 80, Colours::no);
    return out.str().substr(out.str().rfind("\n\n") + 2);
  };
  Diagnosis diagnosis{{{"this machine", {{"lockdown", CheckStatus::unknown, true, "", ""}}}, {"a target", {}}}};
  EXPECT_EQ(last_line(diagnosis), "tracing will work\n");  // the self-test is one of the checks
  diagnosis.findings[1].checks = {{"probes", CheckStatus::unknown, true, "", ""},
                                  {"armed", CheckStatus::unknown, false, "", ""}};
  EXPECT_EQ(last_line(diagnosis), "no obstacle was found; 1 check is unknown\n");
}

TEST(Doctor, WorksUnlessWhatIsNeededIsMissing) {
  Diagnosis diagnosis = ill();
  EXPECT_FALSE(diagnosis.will_work());
  diagnosis.findings[0].checks[0] = check_tracefs(TracefsAccess::mounted, 0);
  EXPECT_TRUE(diagnosis.will_work());
  std::ostringstream out;
  print_json(out, diagnosis);
  EXPECT_NE(out.str().find("{\"waitprobe\":1,\"will_work\":true,\"findings\":[{\"subject\":"), std::string::npos) << out.str();
  EXPECT_NE(out.str().find("{\"name\":\"exit/exec tracepoints\",\"status\":\"missing\",\"needed\":false,\"found\":"),
            std::string::npos);
  for (const char c : out.str()) ASSERT_TRUE(c == '\n' || (c >= 0x20 && c < 0x7f));
}

}  // namespace
}  // namespace waitprobe
