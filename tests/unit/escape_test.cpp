// SPDX-License-Identifier: MIT
#include "src/view/escape.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "tests/unit/build_snapshot.h"

namespace waitprobe {
namespace {

TEST(Escape, PrintableTextStaysAsItIs) {
  EXPECT_EQ(escape("db.pool acquire~"), "db.pool acquire~");
  EXPECT_EQ(escape("\xc3\xbc \xe6\xbc\xa2 \xf0\x9f\x98\x80"), "\xc3\xbc \xe6\xbc\xa2 \xf0\x9f\x98\x80");
}

TEST(Escape, ControlsAndEscapeSequencesAreSpelledOut) {
  EXPECT_EQ(escape("a\nb\tc\\"), "a\\nb\\tc\\\\");
  EXPECT_EQ(escape("\x1b[31m\x7f\r"), "\\x1b[31m\\x7f\\x0d");
  EXPECT_EQ(escape(std::string_view("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(escape("\xc2\x9b"), "\\xc2\\x9b") << "a C1 control begins an escape sequence too";
}

TEST(Escape, BrokenUtf8IsSpelledOutByteByByte) {
  EXPECT_EQ(escape("\xff\xfe"), "\\xff\\xfe");
  EXPECT_EQ(escape("\xe2\x82"), "\\xe2\\x82") << "cut off";
  EXPECT_EQ(escape("\xc0\xaf"), "\\xc0\\xaf") << "overlong";
  EXPECT_EQ(escape("\xe0\x80\x80"), "\\xe0\\x80\\x80") << "overlong";
  EXPECT_EQ(escape("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "surrogate";
  EXPECT_EQ(escape("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80") << "above U+10FFFF";
  EXPECT_EQ(escape("\x80"), "\\x80") << "no lead byte";
}

TEST(Escape, WhatTurnsOrHidesTextIsSpelledOut) {
  EXPECT_EQ(escape("\xe2\x80\xae"), "\\xe2\\x80\\xae");
  EXPECT_EQ(escape("\xe2\x80\x8b"), "\\xe2\\x80\\x8b");
  EXPECT_EQ(escape("\xef\xbb\xbf"), "\\xef\\xbb\\xbf");
}

TEST(Escape, BlanksThatAreNoSpaceAreSpelledOut) {
  EXPECT_EQ(escape("\xc2\xa0"), "\\xc2\\xa0") << "no-break space";
  EXPECT_EQ(escape("\xe3\x80\x80"), "\\xe3\\x80\\x80") << "ideographic space";
  EXPECT_EQ(escape("\xef\xbe\xa0"), "\\xef\\xbe\\xa0") << "a filler";
}

TEST(Escape, NoBytesWhateverReachATerminalUnescaped) {
  std::mt19937 random(5);
  for (int round = 0; round < 20'000; round++) {
    std::string bytes(random() % 12, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    const std::string shown = escape(bytes);
    for (const char c : shown) ASSERT_TRUE(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
    ASSERT_NO_THROW((void)nlohmann::json(shown).dump()) << "valid UTF-8";
    ASSERT_NO_THROW((void)nlohmann::json(repair_utf8(bytes)).dump());
  }
}

TEST(RepairUtf8, ChangesBrokenBytesOnly) {
  EXPECT_EQ(repair_utf8("a\nb\x1b\xc3\xbc"), "a\nb\x1b\xc3\xbc");
  EXPECT_EQ(repair_utf8("a\xff"), "a\\xff");
}

TEST(Shorten, CutsInTheMiddleAndNeverBeyondTheWidth) {
  EXPECT_EQ(shorten("abcdef", 6), "abcdef");
  EXPECT_EQ(shorten("abcdefg", 6),
            "abc\xe2\x80\xa6"
            "fg");
  for (const std::string& key : nasty_keys()) {
    for (std::size_t width = 1; width < 40; width++) {
      ASSERT_LE(display_width(shorten(escape(key), width)), width);
      ASSERT_EQ(display_width(pad(escape(key), width)), width);
    }
  }
}

TEST(Shorten, CutsNeitherAnEscapeNorACharacterFromItsMarks) {
  const std::string ellipsis = "\xe2\x80\xa6", marked = "e\xcc\x81\xcc\x81";
  EXPECT_EQ(shorten("\\x1b\\x1b\\x1b\\x1b", 12), "\\x1b" + ellipsis + "\\x1b");
  EXPECT_EQ(shorten("\\n\\n\\n\\n", 6), "\\n" + ellipsis + "\\n");
  EXPECT_EQ(shorten("\\\\\\\\\\\\", 4), "\\\\" + ellipsis) << "a backslash is two";
  EXPECT_EQ(shorten(marked + marked + marked + marked, 3), marked + ellipsis + marked);
}

TEST(DisplayWidth, CountsWideCharactersTwiceAndCombiningOnesNot) {
  EXPECT_EQ(display_width("ab"), 2U);
  EXPECT_EQ(display_width("\xe6\xbc\xa2"), 2U);
  EXPECT_EQ(display_width("\xe2\x9c\x85"), 2U) << "a coloured picture below U+10000";
  EXPECT_EQ(display_width("\xf0\x9f\x98\x80"), 2U);
  EXPECT_EQ(display_width("\xf0\x97\x80\x80"), 2U) << "Tangut";
  EXPECT_EQ(display_width("e\xcc\x81"), 1U);
}

}  // namespace
}  // namespace waitprobe
