// SPDX-License-Identifier: MIT
#include "src/collect/heirs.h"

#include <gtest/gtest.h>

namespace waitprobe {
namespace {

class HeirsTest : public testing::Test {
 protected:
  Heirs heirs_{[this](const Fork& heir, const Unattached& of) { told_.emplace_back(heir.pid, of.file); }};
  std::vector<std::pair<std::uint32_t, std::string>> told_;
};

using Told = std::vector<std::pair<std::uint32_t, std::string>>;

TEST_F(HeirsTest, AreForksWhileTheFileWasNotAttachedTo) {
  heirs_.process_began({70, 7, "before", 49});
  heirs_.process_began({71, 7, "at once", 50});
  heirs_.process_began({72, 8, "of another", 50});
  heirs_.add({7, "a.so", 50, 60, nullptr});
  heirs_.process_began({73, 7, "heard of later", 59});
  heirs_.process_began({74, 7, "after", 60});
  EXPECT_EQ(told_, (Told{{71, "a.so"}, {73, "a.so"}}));
}

TEST_F(HeirsTest, HaveHeirsOfTheirOwn) {
  heirs_.process_began({71, 7, "", 51});
  heirs_.process_began({710, 71, "", 52});
  heirs_.add({7, "a.so", 50, 60, nullptr});
  heirs_.process_began({711, 710, "", 59});
  heirs_.process_began({712, 710, "", 60});
  EXPECT_EQ(told_, (Told{{71, "a.so"}, {710, "a.so"}, {711, "a.so"}}));
}

TEST_F(HeirsTest, AreToldOnce) {
  heirs_.process_began({71, 7, "", 51});
  for (int i = 0; i < 3; i++) heirs_.add({7, "a.so", 50, 60, nullptr});
  heirs_.add({7, "b.so", 50, 60, nullptr});
  EXPECT_EQ(told_, (Told{{71, "a.so"}, {71, "b.so"}}));
}

TEST_F(HeirsTest, AreTakenAwayWithTheirParent) {
  heirs_.process_began({71, 7, "", 51});
  heirs_.process_began({710, 71, "", 52});
  heirs_.add({7, "a.so", 50, 60, nullptr});
  EXPECT_EQ(heirs_.take(7, "a.so"), (std::vector<std::uint32_t>{71, 710}));
  told_.clear();
  heirs_.process_began({72, 7, "", 53});
  EXPECT_TRUE(told_.empty());
}

TEST_F(HeirsTest, HaveABound) {
  for (std::uint32_t pid = 1; pid <= 100'000; pid++) heirs_.process_began({pid + 1, pid, "", 50});
  heirs_.add({1, "a.so", 50, 60, nullptr});
  EXPECT_TRUE(told_.empty()) << "it is long ago";
  heirs_.add({100'000, "a.so", 50, 60, nullptr});
  EXPECT_EQ(told_.size(), 1U);
}

}  // namespace
}  // namespace waitprobe
