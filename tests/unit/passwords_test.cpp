// SPDX-License-Identifier: MIT
#include "src/serve/passwords.h"

#include <gtest/gtest.h>

namespace waitprobe {
namespace {

using namespace std::chrono_literals;
using Known = Passwords::Known;
using Clock = Passwords::Clock;

// Of "secret", at the lowest cost.
const std::string cheap = "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";
const std::string other = "$2a$04$ABCDEFGHIJKLMNOPQRSTUux/yVoHLb2P5.QxxfIdIyVUJvRQqUe5S";
// The same at the usual one.
const std::string usual = "$2b$10$abcdefghijklmnopqrstuuqflPDzB6gcMhKa1rZqKiun2YGL5sa2u";

TEST(PasswordsTest, KnowsARightOneAndRemembersIt) {
  Passwords passwords({{"ann", cheap}, {"bob", other}});
  EXPECT_TRUE(passwords.are_needed());
  const auto now = Clock::now();
  EXPECT_EQ(passwords.look_up("ann", "secret", "n", now), Known::must_be_checked);
  EXPECT_TRUE(passwords.check("ann", "secret", "n"));
  EXPECT_TRUE(passwords.check("bob", "secret", "n"));
  EXPECT_EQ(passwords.look_up("ann", "secret", "n", now), Known::right);
  EXPECT_EQ(passwords.look_up("ann", "Secret", "n", now), Known::must_be_checked);
  EXPECT_EQ(passwords.look_up("annsecret", "", "n", now), Known::must_be_checked);
  for (const char* wrong : {"", "Secret", "secret ", "2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"})
    EXPECT_FALSE(passwords.check("ann", wrong, "n"));
  for (const char* nobody : {"", "eve", "ANN"}) EXPECT_FALSE(passwords.check(nobody, "secret", "n"));
  EXPECT_FALSE(passwords.check("ann", std::string(1000, 'x'), "n")) << "more than bcrypt takes";
}

TEST(PasswordsTest, ForgetsWhatWasReplaced) {
  Passwords passwords({{"ann", cheap}});
  EXPECT_TRUE(passwords.check("ann", "secret", "n"));
  passwords.replace({{"ann", other}});
  EXPECT_EQ(passwords.look_up("ann", "secret", "n", Clock::now()), Known::must_be_checked);
  passwords.replace({});
  EXPECT_FALSE(passwords.are_needed());
}

TEST(PasswordsTest, GuessingTakesABoundedShareOfTheCpuAndKeepsNobodyOut) {
  Passwords passwords({{"ann", usual}});
  EXPECT_TRUE(passwords.check("ann", "secret", "theirs"));
  int guesses = 0;
  while (passwords.look_up("ann", "wrong", "n", Clock::now()) == Known::must_be_checked && ++guesses < 1000)
    EXPECT_FALSE(passwords.check(guesses % 2 == 0 ? "ann" : "nobody", "wrong", "n"));
  EXPECT_GE(guesses, 2);
  EXPECT_LT(guesses, 200) << "half a second of CPU time";
  const auto now = Clock::now();
  EXPECT_EQ(passwords.look_up("ann", "secret", "n", now), Known::right) << "what is known costs nothing";
  EXPECT_EQ(passwords.look_up("ann", "new", "another", now), Known::must_be_checked) << "of another network";
  EXPECT_EQ(passwords.look_up("ann", "wrong", "n", now + 60s), Known::must_be_checked) << "later";
}

TEST(PasswordsTest, AWrongNameTakesAsLongAsAWrongPassword) {
  const auto cost = [](const char* name) {
    Passwords passwords({{"ann", usual}, {"bob", cheap}});
    timespec before, after;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    passwords.check(name, "wrong", "n");
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    return static_cast<double>(after.tv_sec - before.tv_sec) * 1e3 + static_cast<double>(after.tv_nsec - before.tv_nsec) / 1e6;
  };
  cost("ann");
  const double known = cost("ann"), unknown = cost("eve");
  EXPECT_LT(unknown, known * 3);
  EXPECT_LT(known, unknown * 3);
}

TEST(PasswordsTest, BudgetsRefillAndMayBeOverdrawn) {
  const Clock::time_point start{};
  CpuBudget budget(1, 0.1, start);
  EXPECT_TRUE(budget.is_full(start));
  budget.spend(3, start);
  EXPECT_FALSE(budget.has_some(start + 19s));
  EXPECT_TRUE(budget.has_some(start + 21s));
  EXPECT_FALSE(budget.is_full(start + 29s));
  EXPECT_TRUE(budget.is_full(start + 31s));
}

TEST(PasswordsTest, KnowsAHash) {
  for (const std::string& good : {cheap, usual, other}) EXPECT_EQ(why_no_hash(good), "");
  for (const std::string& bad : {std::string(), std::string("secret"), "$1" + cheap.substr(2), "$2x" + cheap.substr(3),
                                 cheap + "x", cheap.substr(1), cheap.substr(0, 59) + "!"})
    EXPECT_EQ(why_no_hash(bad), "the value is not a bcrypt hash") << bad;
  for (const char* cost : {"00", "03", "15", "31"})
    EXPECT_EQ(why_no_hash("$2y$" + std::string(cost) + cheap.substr(6)), "the cost of the bcrypt hash is not 4 to 14");
}

}  // namespace
}  // namespace waitprobe
