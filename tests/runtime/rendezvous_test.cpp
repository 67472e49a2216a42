// SPDX-License-Identifier: MIT
//
// A program that is started by the tool tells it where its armed word is, and waits before main() until it is attached.
#include <gtest/gtest.h>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/runtime/child.h"

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// The tool's side.
class Rendezvous : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    name_ = "waitprobe.test." + std::to_string(getpid());
    listener_ = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, name_.data(), name_.size());
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name_.size());
    ASSERT_EQ(bind(listener_, reinterpret_cast<const sockaddr*>(&address), size), 0);
    ASSERT_EQ(listen(listener_, 4), 0);
  }
  void TearDown() override {
    if (listener_ >= 0) close(listener_);
  }

  void start(const std::vector<std::string>& more_env = {}) {
    std::vector<std::string> env = more_env;
    env.push_back("WAITPROBE_ATTACH=" + name_);
    begin_ = Clock::now();
    program_.emplace(GetParam(), std::vector<std::string>{"hello"}, env);
  }
  int accept_one() const { return accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC); }
  void expect_hello() {
    const test::Ended ended = program_->finish();
    EXPECT_EQ(ended.status, 0);
    EXPECT_EQ(ended.output, "hello\n");
    took_ = Clock::now() - begin_;
  }

  int listener_ = -1;
  std::string name_;
  std::optional<test::Program> program_;
  Clock::time_point begin_;
  Clock::duration took_{};
};

}  // namespace

TEST_P(Rendezvous, waits_before_main_until_the_tool_answers) {
  start();
  const int peer = accept_one();
  ASSERT_GE(peer, 0);
  std::uint64_t word = 0;
  EXPECT_EQ(recv(peer, &word, sizeof word, 0), 8);
  EXPECT_NE(word, 0U);
  EXPECT_EQ(word % 64, 0U);
  EXPECT_FALSE(program_->says_something(300));
  EXPECT_EQ(send(peer, "1", 1, MSG_NOSIGNAL), 1);
  expect_hello();
  EXPECT_LT(took_, milliseconds(1900));
  close(peer);
}

TEST_P(Rendezvous, waits_on_through_a_storm_of_signals) {
  start({"LAST_WAITS_STORM=1"});
  const int peer = accept_one();
  ASSERT_GE(peer, 0);
  EXPECT_FALSE(program_->says_something(300));
  EXPECT_EQ(send(peer, "1", 1, MSG_NOSIGNAL), 1);
  expect_hello();
  close(peer);
}

TEST_P(Rendezvous, gives_up_after_two_seconds_even_in_a_storm_of_signals) {
  start({"LAST_WAITS_STORM=1"});
  const int peer = accept_one();
  expect_hello();
  EXPECT_GT(took_, milliseconds(1900));
  EXPECT_LT(took_, milliseconds(3900)) << "two seconds in all, not for each step";
  close(peer);
}

TEST_P(Rendezvous, does_not_wait_for_a_tool_that_has_gone) {
  start();
  const int peer = accept_one();
  close(peer);
  close(std::exchange(listener_, -1));
  expect_hello();
  EXPECT_LT(took_, milliseconds(1900));

  start();
  expect_hello();
  EXPECT_LT(took_, milliseconds(1900));
}

TEST_P(Rendezvous, does_not_take_a_name_that_is_none) {
  for (const std::string& name : {std::string(), std::string(108, 'x')}) {
    name_ = name;
    start();
    expect_hello();
    EXPECT_LT(took_, milliseconds(1900));
  }
}

INSTANTIATE_TEST_SUITE_P(Library, Rendezvous, testing::Values(LAST_WAITS_STATIC, LAST_WAITS_SHARED),
                         [](const auto& test) { return test.index == 0 ? "linked_static" : "linked_shared"; });
