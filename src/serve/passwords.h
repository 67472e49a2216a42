// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <chrono>
#include <map>
#include <mutex>
#include <string>

namespace waitprobe {

// Why a text is not the bcrypt hash of a password; empty if it is. Costs above 14, some seconds for a check, are refused.
std::string why_no_hash(const std::string& hash);

// CPU time that may be spent: `most_s` at once, and then this share of one CPU.
class CpuBudget {
 public:
  using Clock = std::chrono::steady_clock;
  CpuBudget(double most_s, double share, Clock::time_point now) : most_s_(most_s), share_(share), left_s_(most_s), at_(now) {}

  bool has_some(Clock::time_point now);
  bool is_full(Clock::time_point now) const;
  // What has been spent, which may be more than there was: then the next has to wait for longer.
  void spend(double seconds, Clock::time_point now);

 private:
  void refill(Clock::time_point now);

  double most_s_, share_, left_s_;
  Clock::time_point at_;
};

// Whether a user's password is right, by bcrypt, which takes some 50 ms of CPU time. So a right one is remembered, as a keyed
// digest, and then costs nothing; wrong ones take at most 5 % of one CPU, and those of one network at most 2 %, after a burst.
// A wrong name takes as long as a wrong password. Thread-safe.
class Passwords {
 public:
  using Clock = CpuBudget::Clock;

  // Name -> bcrypt hash.
  explicit Passwords(std::map<std::string, std::string> users);

  // Forgets all that is known of the former ones.
  void replace(std::map<std::string, std::string> users);
  bool are_needed() const;

  enum class Known { right, must_be_checked, too_many_wrong };
  // Quick.
  Known look_up(const std::string& user, const std::string& password, const std::string& network, Clock::time_point now);
  // Slow: for a thread that may take its time. Whether it is right.
  bool check(const std::string& user, const std::string& password, const std::string& network);

 private:
  using Digest = std::array<unsigned char, 32>;
  struct User {
    std::string hash;
    bool is_known = false;
    Digest right = {};  // of the password that was right
  };
  Digest digest(const std::string& user, const std::string& password) const;
  CpuBudget& budget_of(const std::string& network, Clock::time_point now);

  mutable std::mutex mutex_;
  std::map<std::string, User> users_;
  std::string dummy_hash_;  // of nobody's password, as costly as the users'
  std::array<unsigned char, 32> secret_ = {};
  CpuBudget budget_;
  std::map<std::string, CpuBudget> budgets_;  // of networks that have sent wrong ones lately
};

}  // namespace waitprobe
