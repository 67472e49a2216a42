// SPDX-License-Identifier: MIT
#include "src/collect/process/time_namespace.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace waitprobe {
namespace {

constexpr std::uint64_t s = 1'000'000'000;

}  // namespace

TEST(TimeNamespace, OffsetsAreRead) {
  const auto none = parse_time_offsets("monotonic           0         0\nboottime            0         0\n");
  ASSERT_TRUE(none.has_value());
  EXPECT_EQ(none->monotonic_ns, 0U);
  EXPECT_EQ(none->boottime_ns, 0U);
  const auto some = parse_time_offsets("monotonic        -100 500000000\nboottime      7000000         1\n");
  ASSERT_TRUE(some.has_value());
  EXPECT_EQ(some->monotonic_ns, 0 - 100 * s + s / 2);
  EXPECT_EQ(some->boottime_ns, 7'000'000 * s + 1);
}

TEST(TimeNamespace, WhatIsNoOffsetIsNone) {
  for (const char* text :
       {"", "monotonic", "monotonic 1 2\n", "boottime 0 0\nmonotonic 0 0\n", "monotonic a 0\nboottime 0 0\n"}) {
    EXPECT_FALSE(parse_time_offsets(text).has_value()) << text;
  }
}

TEST(TimeNamespace, OursIsOurs) {
  const auto pid = static_cast<std::uint32_t>(getpid());
  EXPECT_EQ(monotonic_ahead_of_ours(pid), 0U);
  const auto own = own_time_offsets(), same = time_offsets_of(pid);
  ASSERT_TRUE(own && same);
  EXPECT_EQ(own->monotonic_ns, same->monotonic_ns);
  EXPECT_FALSE(time_offsets_of(0x7fffffff).has_value()) << "there is no such process";
}

}  // namespace waitprobe
