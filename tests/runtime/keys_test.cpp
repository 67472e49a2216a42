// SPDX-License-Identifier: MIT
//
// Keys: what the macros make of their arguments, and that a key may be any bytes.
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "src/runtime/counter.h"
#include "src/runtime/probes.h"
#include "tests/runtime/recorder.h"

using test::Recorder;
using waitprobe::WaitCounterHandle;

namespace {

// The counter of a key, as a tool finds it: by walking the table that the root points to.
const wp_counter* counter_in_table(std::string_view key) {
  const auto* heads = reinterpret_cast<const std::uint64_t*>(waitprobe_root.counters);
  for (std::uint32_t i = 0; i < waitprobe_root.counter_buckets; i++) {
    for (std::uint64_t at = heads[i]; at != 0;) {
      const auto* counter = reinterpret_cast<const wp_counter*>(at);
      if (std::string_view(reinterpret_cast<const char*>(counter + 1), counter->key_len) == key) return counter;
      at = counter->next;
    }
  }
  return nullptr;
}

}  // namespace

TEST(Keys, are_what_the_argument_of_each_macro_spells) {
  Recorder& recorder = Recorder::follow("keys.");
  STATIC_WAIT_COUNTER(keys.plain_1).start().stop();
  { STATIC_SCOPED_WAIT_COUNTER(keys.scoped_2); }
  EXPECT_EQ(WITH_WAIT_COUNTER(keys.with_3, 7), 7);
  EXPECT_TRUE(recorder.of("keys.plain_1").saw(1));
  EXPECT_TRUE(recorder.of("keys.scoped_2").saw(1));
  EXPECT_TRUE(recorder.of("keys.with_3").saw(1));
}

#define macro_in_key expanded
TEST(Keys, are_not_expanded_even_if_a_part_is_the_name_of_a_macro) {
  Recorder& recorder = Recorder::follow("keys.");
  STATIC_WAIT_COUNTER(keys.macro_in_key.plain).start().stop();
  { STATIC_SCOPED_WAIT_COUNTER(keys.macro_in_key.scoped); }
  WITH_WAIT_COUNTER(keys.macro_in_key.with, 7);
  EXPECT_TRUE(recorder.of("keys.macro_in_key.plain").saw(1));
  EXPECT_TRUE(recorder.of("keys.macro_in_key.scoped").saw(1));
  EXPECT_TRUE(recorder.of("keys.macro_in_key.with").saw(1));
}

TEST(Keys, that_are_equal_are_one_counter_wherever_they_are_written) {
  Recorder& recorder = Recorder::follow("keys.same");
  STATIC_WAIT_COUNTER(keys.same).start().stop();
  STATIC_WAIT_COUNTER(keys.same).start().stop();
  WaitCounterHandle{std::string("keys.same")}.start().stop();
  EXPECT_TRUE(recorder.of("keys.same").saw(3));
  EXPECT_EQ(recorder.of("keys.same").created, 1);
}

TEST(Keys, may_be_any_bytes) {
  Recorder& recorder = Recorder::follow("");
  using std::string_literals::operator""s;
  const std::vector<std::string> keys = {
      "",           "\0"s,        "\0a"s,         "zero\0a"s,          "zero\0b"s,   "zero"s,
      "new\nline"s, "\"quote\""s, "\x1b[31mred"s, "\xff\xfe\xc0\x80"s, "tab\t\r\b"s, std::string(10'000, 'k')};
  for (const std::string& key : keys) WaitCounterHandle{key}.start().stop();
  for (const std::string& key : keys) {
    EXPECT_TRUE(recorder.of(key).saw(1)) << testing::PrintToString(key);
    const wp_counter* counter = counter_in_table(key);
    ASSERT_NE(counter, nullptr);
    EXPECT_EQ(counter->key_len, key.size());
    EXPECT_EQ(reinterpret_cast<const char*>(counter + 1)[key.size()], '\0') << "probes show it as a C string";
  }
}

TEST(Keys, made_at_run_time_are_copied) {
  Recorder& recorder = Recorder::follow("keys.temporary");
  auto text = std::make_unique<std::string>("keys.temporary");
  WaitCounterHandle handle{*text};
  text->assign(text->size(), 'x');
  text.reset();
  handle.start().stop();
  EXPECT_TRUE(recorder.of("keys.temporary").saw(1));
}

namespace {

std::uint32_t class_in_table(std::string_view key) {
  const wp_counter* counter = counter_in_table(key);
  return counter != nullptr ? counter->flags & WP_FLAGS_CLASS : UINT32_MAX;
}

}  // namespace

TEST(Classes, are_those_of_the_macro_or_the_handle) {
  Recorder& recorder = Recorder::follow("class.");
  STATIC_IDLE_COUNTER(class.idle_1).start().stop();
  { STATIC_SCOPED_IDLE_COUNTER(class.idle_2); }
  EXPECT_EQ(WITH_IDLE_COUNTER(class.idle_3, 7), 7);
  WaitCounterHandle{"class.idle_4", WAITPROBE_CLASS_IDLE}.start().stop();
  STATIC_WORK_COUNTER(class.work_1).start().stop();
  { STATIC_SCOPED_WORK_COUNTER(class.work_2); }
  EXPECT_EQ(WITH_WORK_COUNTER(class.work_3, 7), 7);
  WaitCounterHandle{"class.work_4", WAITPROBE_CLASS_WORK}.start().stop();
  STATIC_WAIT_COUNTER(class.wait_1).start().stop();
  WaitCounterHandle{"class.wait_2"}.start().stop();
  for (const char* key : {"class.idle_1", "class.idle_2", "class.idle_3", "class.idle_4"}) {
    EXPECT_EQ(class_in_table(key), WP_CLASS_IDLE + 0U) << key;
    EXPECT_TRUE(recorder.of(key).saw(1)) << key;
  }
  for (const char* key : {"class.work_1", "class.work_2", "class.work_3", "class.work_4"}) {
    EXPECT_EQ(class_in_table(key), WP_CLASS_WORK + 0U) << key;
  }
  for (const char* key : {"class.wait_1", "class.wait_2"}) EXPECT_EQ(class_in_table(key), WP_CLASS_WAIT + 0U) << key;
}

TEST(Classes, are_what_the_first_wait_says_where_places_disagree) {
  Recorder::follow("class.");
  STATIC_IDLE_COUNTER(class.disputed).start().stop();
  STATIC_WAIT_COUNTER(class.disputed).start().stop();
  EXPECT_EQ(class_in_table("class.disputed"), WP_CLASS_IDLE + 0U);
}

TEST(Classes, are_copied_with_a_handle_that_has_not_been_armed) {
  Recorder::follow("class.");
  WaitCounterHandle copy = STATIC_IDLE_COUNTER(class.copied);
  copy.start().stop();
  EXPECT_EQ(class_in_table("class.copied"), WP_CLASS_IDLE + 0U);
}

TEST(Classes, that_are_not_known_are_waits) {
  const std::string_view key = "class.of_later";
  EXPECT_NE(waitprobe_make_key(key.data(), key.size(), static_cast<waitprobe_class>(3)), nullptr);
  EXPECT_EQ(class_in_table(key), WP_CLASS_WAIT + 0U);
}

// So many share each chain of the table, and differ behind a zero byte only.
TEST(Keys, of_twenty_thousand_counters_are_all_found_again) {
  const auto key = [](int i) { return std::string("keys.many.\0", 11) + std::to_string(i); };
  const std::uint32_t before = waitprobe_root.counter_cnt;
  std::vector<waitprobe::detail::Counter*> counters;
  for (int i = 0; i < 20'000; i++) counters.push_back(waitprobe::detail::find_counter(key(i)));
  EXPECT_EQ(waitprobe_root.counter_cnt, before + 20'000);
  for (int i = 0; i < 20'000; i++) {
    ASSERT_EQ(waitprobe::detail::find_counter(key(i)), counters[static_cast<std::size_t>(i)]);
    ASSERT_EQ(counters[static_cast<std::size_t>(i)]->abi.id, before + static_cast<std::uint32_t>(i));
  }
}

TEST(WithWaitCounter, gives_the_value_of_its_expression) {
  const std::string text = WITH_WAIT_COUNTER(with.value, std::string("value"));
  EXPECT_EQ(text, "value");
  const auto moved = WITH_WAIT_COUNTER(with.move_only, std::make_unique<int>(7));
  EXPECT_EQ(*moved, 7);
  WITH_WAIT_COUNTER(with.nothing, static_cast<void>(0));
}

TEST(WithWaitCounter, gives_the_reference_that_its_expression_is) {
  std::vector<int> numbers = {1, 2, 3};
  WITH_WAIT_COUNTER(with.reference, numbers.at(1)) = 23;
  EXPECT_EQ(numbers[1], 23);
  static_assert(std::is_same_v<decltype(WITH_WAIT_COUNTER(with.type, numbers.at(1))), int&>);
}

TEST(WithWaitCounter, takes_an_expression_with_commas) {
  EXPECT_EQ((WITH_WAIT_COUNTER(with.commas, std::pair<int, int>(7, 23).second)), 23);
}

TEST(WithWaitCounter, waits_for_the_expression_and_no_longer) {
  test::Tally& tally = Recorder::follow("with.inside").of("with.inside");
  EXPECT_EQ(WITH_WAIT_COUNTER(with.inside, tally.open_now()), 1);
  EXPECT_EQ(tally.open_now(), 0);
}

TEST(WithWaitCounter, may_be_nested_and_ends_when_the_expression_throws) {
  Recorder& recorder = Recorder::follow("with.");
  const auto thrower = []() -> int { throw 7; };
  EXPECT_THROW(WITH_WAIT_COUNTER(with.outer, WITH_WAIT_COUNTER(with.inner, thrower())), int);
  EXPECT_TRUE(recorder.of("with.outer").saw(1));
  EXPECT_TRUE(recorder.of("with.inner").saw(1));
}
