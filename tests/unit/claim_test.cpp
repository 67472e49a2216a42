// SPDX-License-Identifier: MIT
//
// Each record is counted once, whoever brings it, in every interleaving.
#include "tests/unit/claim_model.h"

#include <gtest/gtest.h>

namespace claim_model {

TEST(Claims, CountEachRecordOnceInEveryInterleaving) {
  for (const bool taken_while_attached : {false, true}) {
    Explorer explorer({.taken_while_attached = taken_while_attached});
    EXPECT_EQ(explorer.explore(), std::nullopt);
    EXPECT_GT(explorer.state_cnt(), 10'000U) << "the model has become so small that it shows nothing";
  }
}

TEST(Claims, CountEachRecordOnceWhileAFormerOwnerOfTheBlockDies) {
  for (const bool taken_while_attached : {false, true}) {
    for (const bool is_heir : {false, true}) {
      Explorer explorer({.taken_while_attached = taken_while_attached, .changes_owner = true, .is_heir = is_heir});
      EXPECT_EQ(explorer.explore(), std::nullopt) << is_heir;
      EXPECT_GT(explorer.state_cnt(), 100'000U) << "the model has become so small that it shows nothing";
    }
  }
}

TEST(Claims, CountEachRecordOnceWhileItsThreadExchangesItsRing) {
  for (const bool taken_while_attached : {false, true}) {
    Explorer explorer({.taken_while_attached = taken_while_attached, .exchanges_ring = true});
    EXPECT_EQ(explorer.explore(), std::nullopt);
    EXPECT_GT(explorer.state_cnt(), 50'000U) << "the model has become so small that it shows nothing";
  }
  EXPECT_EQ(Explorer({.taken_while_attached = true, .changes_owner = true, .is_heir = true, .exchanges_ring = true}).explore(),
            std::nullopt);
}

TEST(Claims, WouldCountRecordsAsOthersIfTheRingWereNotCompared) {
  EXPECT_EQ(Explorer({.taken_while_attached = true, .exchanges_ring = true, .ring_is_compared = false}).explore(),
            "a record was counted twice, or as another");
}

// It claimed, and copied then: by that time, the new owner had gone round its ring.
TEST(Claims, WouldCountRecordsAsOthersIfAFormerOwnerBroughtThem) {
  EXPECT_EQ(
      Explorer({.taken_while_attached = true, .changes_owner = true, .dying_checks_owner = false, .dying_copies_first = false})
          .explore(),
      "a record was counted twice, or as another");
}

// Each of the two mends is enough for a block that was given back, but an owner whose heir lives passes for the owner.
TEST(Claims, NeedACopyBeforeTheClaimWhereAnHeirWrites) {
  EXPECT_EQ(Explorer({.taken_while_attached = true, .changes_owner = true, .dying_copies_first = false}).explore(),
            std::nullopt);
  EXPECT_EQ(Explorer({.taken_while_attached = true, .changes_owner = true, .dying_checks_owner = false}).explore(),
            std::nullopt);
  EXPECT_EQ(
      Explorer({.taken_while_attached = true, .changes_owner = true, .is_heir = true, .dying_copies_first = false}).explore(),
      "a record was counted twice, or as another");
}

TEST(Claims, WouldCountTwiceIfTheyWereNotComparedAndSwapped) {
  EXPECT_EQ(Explorer({.compare = false}).explore(), "a record was counted twice, or as another");
}

// A reader that knows less than ours of what has been overwritten is safe as well: that is what the refusal is for.
TEST(Claims, AreSafeFromACautiousReaderBecauseTheToolIsRefusedBeyondWhatIsClaimed) {
  EXPECT_EQ(Explorer({.reader = Reader::by_written, .taken_while_attached = true}).explore(), std::nullopt);
}

TEST(Claims, WouldLoseRecordsIfTheToolWereNotRefused) {
  const auto bad = Explorer({.reader = Reader::by_written, .taken_while_attached = true, .refuse = false}).explore();
  ASSERT_TRUE(bad.has_value());
  EXPECT_NE(bad->find("missing"), std::string::npos) << *bad;
}

TEST(Claims, Judgement) {
  EXPECT_EQ(wp_judge(WP_NEXT_UNKNOWN, 7, 9, WP_BY_TOOL), WP_CLAIM);
  EXPECT_EQ(wp_judge(WP_NEXT_UNKNOWN, 7, 7, WP_BY_THREAD), WP_NOTHING);
  EXPECT_EQ(wp_judge(9, 7, 9, WP_BY_THREAD), WP_NOTHING);
  EXPECT_EQ(wp_judge(8, 7, 9, WP_BY_TOOL), WP_CLAIM);
  EXPECT_EQ(wp_judge(6, 7, 9, WP_BY_TOOL), WP_REFUSE);
  EXPECT_EQ(wp_judge(6, 7, 9, WP_BY_THREAD), WP_CLAIM);
  EXPECT_EQ(wp_first_claimed(8, 7), 8U);
  EXPECT_EQ(wp_first_claimed(WP_NEXT_UNKNOWN, 7), 7U);
  EXPECT_EQ(wp_gap(5, 7), 2U);
  EXPECT_EQ(wp_gap(8, 7), 0U);
  EXPECT_EQ(wp_gap(WP_NEXT_UNKNOWN, 7), 0U);
}

}  // namespace claim_model
