// SPDX-License-Identifier: MIT
#include "src/collect/trace/heirs.h"

#include <gtest/gtest.h>

namespace waitprobe {
namespace {

using Told = std::vector<std::pair<std::uint32_t, std::string>>;

class HeirsTest : public testing::Test {
 protected:
  bool add(std::uint32_t pid, const std::string& file, std::uint64_t id, std::uint64_t from_ns, std::uint64_t until_ns,
           std::uint64_t attached_ns = UINT64_MAX) {
    return heirs_.add({pid, file, id, from_ns, until_ns, attached_ns, nullptr});
  }
  void fork(std::uint32_t pid, std::uint32_t parent_pid, std::uint64_t time_ns) {
    heirs_.process_began({pid, parent_pid, "", time_ns});
  }

  Heirs heirs_{[this](const Fork& heir, const Unattached& of) { told_.emplace_back(heir.pid, of.file); }};
  Told told_;
};

TEST_F(HeirsTest, AreForksWhileTheFileWasNotAttachedTo) {
  fork(70, 7, 49);
  fork(71, 7, 50);
  fork(72, 8, 50);
  add(7, "a.so", 1, 50, 60);
  fork(73, 7, 59);
  fork(74, 7, 60);
  EXPECT_EQ(told_, (Told{{71, "a.so"}, {73, "a.so"}}));
}

TEST_F(HeirsTest, HaveHeirsOfTheirOwn) {
  fork(71, 7, 51);
  fork(710, 71, 52);
  add(7, "a.so", 1, 50, 60, 60);
  fork(711, 710, 59);
  fork(712, 710, 60);
  EXPECT_EQ(told_, (Told{{71, "a.so"}, {710, "a.so"}, {711, "a.so"}}));
}

TEST_F(HeirsTest, OutliveTheirParent) {
  fork(71, 7, 51);
  add(7, "a.so", 1, 50, 52);
  fork(710, 71, 59);
  EXPECT_EQ(told_, (Told{{71, "a.so"}, {710, "a.so"}}));
}

TEST_F(HeirsTest, EndWithTheirProgram) {
  fork(71, 7, 51);
  fork(72, 7, 51);
  heirs_.end(71, 52);
  fork(710, 71, 53);
  add(7, "a.so", 1, 50, 60, 60);
  EXPECT_EQ(told_, (Told{{71, "a.so"}, {72, "a.so"}}));
  heirs_.end(72, 54);
  fork(720, 72, 55);
  heirs_.end(7, 56);
  fork(73, 7, 57);
  EXPECT_EQ(told_.size(), 2U);
}

TEST_F(HeirsTest, AreNotThoseOfAnotherWithTheNumber) {
  add(7, "a.so", 1, 50, UINT64_MAX);
  fork(7, 1, 60);
  fork(71, 7, 61);
  EXPECT_TRUE(told_.empty());
}

TEST_F(HeirsTest, AreForgottenWithTheirCopyAlone) {
  fork(71, 7, 51);
  add(7, "a.so", 1, 50, 60, 60);
  add(71, "b.so", 2, 51, 60, 60);
  EXPECT_EQ(told_, (Told{{71, "a.so"}}));
  heirs_.forget(1);
  fork(72, 7, 53);
  fork(711, 71, 54);
  EXPECT_EQ(told_, (Told{{71, "a.so"}, {711, "b.so"}}));
}

TEST_F(HeirsTest, HaveABoundAndSayWhenItIsReached) {
  for (std::uint32_t pid = 1; pid <= 100'000; pid++) fork(pid + 1, pid, pid);
  EXPECT_FALSE(add(1, "a.so", 1, 1, 60));
  EXPECT_TRUE(told_.empty()) << "it is long ago";
  EXPECT_TRUE(add(100'000, "a.so", 2, 100'000, 100'001));
  EXPECT_EQ(told_.size(), 1U);
}

}  // namespace
}  // namespace waitprobe
