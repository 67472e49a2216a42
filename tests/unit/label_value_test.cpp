// SPDX-License-Identifier: MIT
#include "src/model/label_value.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "tests/unit/build_snapshot.h"

namespace waitprobe {
namespace {

const std::string replaced = "\xef\xbf\xbd", ellipsis = "\xe2\x80\xa6";

TEST(LabelValue, ValidTextStaysAsItIs) {
  for (const char* text : {"db.pool acquire", "\"><script>", "a\\b\nc\td", "\xc3\xbc \xe6\xbc\xa2 \xf0\x9f\x98\x80", ""}) {
    EXPECT_EQ(label_value(text), text);
  }
  EXPECT_EQ(label_value(std::string(256, 'x')), std::string(256, 'x'));
}

TEST(LabelValue, BrokenBytesAndControlsBecomeReplacementCharacters) {
  EXPECT_EQ(label_value("a\xff"), "a" + replaced);
  EXPECT_EQ(label_value(std::string_view("a\0b", 3)), "a" + replaced + "b");
  EXPECT_EQ(label_value("\x1b[2J\r\x7f"), replaced + "[2J" + replaced + replaced);
  EXPECT_EQ(label_value("\xc2\x9b"), replaced + replaced) << "a C1 control";
  EXPECT_EQ(label_value("\xe2\x82"), replaced + replaced) << "cut off";
  EXPECT_EQ(label_value("\xc0\xaf"), replaced + replaced) << "overlong";
  EXPECT_EQ(label_value("\xed\xa0\x80"), replaced + replaced + replaced) << "surrogate";
  EXPECT_EQ(label_value("\xf4\x90\x80\x80"), replaced + replaced + replaced + replaced) << "above U+10FFFF";
}

TEST(LabelValue, LongTextIsCutBetweenCharactersWithAMark) {
  EXPECT_EQ(label_value(std::string(10'000, 'x')), std::string(253, 'x') + ellipsis);
  EXPECT_EQ(label_value(std::string(257, 'x')), std::string(253, 'x') + ellipsis);
  std::string wide;
  for (int i = 0; i < 100; i++) wide += "\xe6\xbc\xa2";
  EXPECT_EQ(label_value(wide), wide.substr(0, 252) + ellipsis);
  EXPECT_EQ(label_value("short", true), "short" + ellipsis);
}

TEST(LabelValue, AnyBytesBecomeBoundedUtf8AndStaySo) {
  std::mt19937 random(7);
  for (int round = 0; round < 20'000; round++) {
    std::string bytes(random() % (round % 100 == 0 ? 600 : 12), '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    const std::string value = label_value(bytes, random() % 2 == 0);
    ASSERT_LE(value.size(), most_label_bytes);
    ASSERT_NO_THROW((void)nlohmann::json(value).dump());
    ASSERT_EQ(label_value(value), value);
  }
  for (const std::string& key : nasty_keys()) ASSERT_LE(label_value(key).size(), most_label_bytes);
}

TEST(KeyLabel, SaysWhetherThereIsMore) {
  EXPECT_EQ(key_label("", 0), "(empty key)");
  EXPECT_EQ(key_label("a", 1), "a");
  EXPECT_EQ(key_label(std::string(256, 'x'), 256), std::string(256, 'x'));
  EXPECT_EQ(key_label(std::string(256, 'x'), 257), std::string(253, 'x') + ellipsis);
}

}  // namespace
}  // namespace waitprobe
