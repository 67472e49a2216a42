// SPDX-License-Identifier: MIT
#include "src/collect/trace/verification.h"

#include <gtest/gtest.h>

#include <memory>

namespace waitprobe {
namespace {

constexpr std::uint32_t nobody = 0x7fffffff;  // beyond the greatest pid of a kernel

LibraryInstance instance_at(std::uint64_t address, bool shares_page = false) {
  const auto probes = std::make_shared<ProbeFile>();
  probes->on_disk = {1, 2};
  probes->shares_semaphore_page = shares_page;
  return {nobody, {1, 2}, "/file", probes, address};
}

std::vector<std::string> doubts(const std::vector<LibraryInstance>& instances) {
  Verification verification({});
  verification.look(nobody, "gone", instances, 1);
  std::vector<std::string> all;
  for (const Unverified& one : verification.unverified()) all.push_back(one.comm + ", " + one.file + ": " + one.why);
  return all;
}

TEST(Verification, VouchesForOneThatEndedUnreadWhereTheKernelArmsIt) { EXPECT_TRUE(doubts({instance_at(0x1000)}).empty()); }

TEST(Verification, DoubtsOneThatEndedUnreadWhereTheKernelMayHaveArmedAnotherPage) {
  EXPECT_EQ(doubts({instance_at(0x1000, true)}),
            std::vector<std::string>{std::string("gone, /file: ") + unverified::shared_page.name});
  EXPECT_EQ(doubts({instance_at(0x1000), instance_at(0x9000)}),
            std::vector<std::string>{std::string("gone, /file: ") + unverified::word_is_zero.name});
}

}  // namespace
}  // namespace waitprobe
