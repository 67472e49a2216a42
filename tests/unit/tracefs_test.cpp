// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <sstream>

#include "src/collect/process/tracefs_events.h"
#include "src/view/tracefs_lines.h"

namespace waitprobe {
namespace {

#if defined(__x86_64__)
TEST(Tracefs, KnowsTheRegisterOfAnArgument) {
  EXPECT_EQ(register_of("8@%rdi"), "%di");
  EXPECT_EQ(register_of("8@%rax"), "%ax");
  EXPECT_EQ(register_of("-8@%rcx"), "%cx");
  EXPECT_EQ(register_of("8@%r8"), "%r8");
  EXPECT_EQ(register_of("8@%r15"), "%r15");
}
#endif

TEST(Tracefs, TakesNothingElseForARegister) {
  for (const char* other : {"", "8@", "8@%r", "4@%edi", "4@%rdi", "8@$5", "8@-8(%rbp)", "8@(%rdi)", "8@counter(%rip)", "%rdi",
                            "8@%rdi:x", "8@%rdi\n-:other/event"}) {
    EXPECT_EQ(register_of(other), "") << other;
  }
}

const std::vector<TracefsEvent> events = {
    {"wait_stop", "/bin/server", 0x4a960, 0x61680, {{"key", "+0(%di)", "ustring"}, {"duration_ns", "%dx", "u64"}}},
    {"wait_stop", "/lib/lib.so", 0x47e0, 0x7140, {{"key", "+0(%si)", "ustring"}, {"duration_ns", "%cx", "u64"}}},
    {"wait_start", "/bin/server", 0x4a950, 0x61680, {{"key", "+0(%di)", "ustring"}}}};

TEST(Tracefs, PrintsDefinitions) {
  std::ostringstream out;
  print_definitions(out, events, "mine");
  EXPECT_EQ(out.str(),
            "p:mine/wait_stop /bin/server:0x4a960(0x61680) key=+0(%di):ustring duration_ns=%dx:u64\n"
            "p:mine/wait_stop /lib/lib.so:0x47e0(0x7140) key=+0(%si):ustring duration_ns=%cx:u64\n"
            "p:mine/wait_start /bin/server:0x4a950(0x61680) key=+0(%di):ustring\n");
}

TEST(Tracefs, TakesAllAway) {
  std::ostringstream out;
  print_removals(out, "mine");
  EXPECT_NE(out.str().find("-:mine/wait_start\n-:mine/wait_stop\n-:mine/wait_slow_1us\n"), std::string::npos);
  EXPECT_EQ(out.str().find("wait_batch"), std::string::npos);
}

}  // namespace
}  // namespace waitprobe
