// SPDX-License-Identifier: MIT
#include "src/cli/suggestion.h"

#include <gtest/gtest.h>

namespace waitprobe::cli {
namespace {

TEST(Suggestion, counts_edits_and_swaps) {
  EXPECT_EQ(edit_distance("", ""), 0U);
  EXPECT_EQ(edit_distance("hist", "hist"), 0U);
  EXPECT_EQ(edit_distance("hits", "hist"), 1U);
  EXPECT_EQ(edit_distance("--pidd", "--pid"), 1U);
  EXPECT_EQ(edit_distance("tpo", "stop"), 2U);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
}

TEST(Suggestion, names_the_nearest_or_the_only_longer_one) {
  const std::vector<std::string> names = {"-p", "--pid", "--per-event", "--duration", "--json"};
  EXPECT_EQ(suggestion("--pidd", names), "; did you mean '--pid'?");
  EXPECT_EQ(suggestion("--dur", names), "; did you mean '--duration'?");
  EXPECT_EQ(suggestion("--jsno", names), "; did you mean '--json'?");
  EXPECT_EQ(suggestion("--bogus", names), "");
  EXPECT_EQ(suggestion("-x", names), "");
  EXPECT_EQ(suggestion(std::string(1000, 'p'), names), "");
  EXPECT_EQ(suggestion("--pid", {}), "");
}

}  // namespace
}  // namespace waitprobe::cli
