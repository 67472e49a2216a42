// SPDX-License-Identifier: MIT
#include "src/serve/passwords.h"

#include <crypt.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <time.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

namespace waitprobe {
namespace {

constexpr std::size_t prefix_size = 7;  // "$2y$10$"
constexpr std::size_t hash_size = prefix_size + 53;
constexpr std::size_t most_networks = 1024;

// The hash of a password with the salt and cost of another hash; empty if there is none.
std::string hashed(const std::string& password, const std::string& setting) {
  const auto data = std::make_unique<crypt_data>();
  const char* hash = crypt_r(password.c_str(), setting.c_str(), data.get());
  std::string result = hash == nullptr || hash[0] == '*' ? "" : hash;
  gnutls_memset(data.get(), 0, sizeof *data);
  return result;
}

double thread_cpu_s() {
  timespec now = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace

std::string why_no_hash(const std::string& hash) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto is_base64 = [&](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '/';
  };
  if (hash.size() != hash_size || hash.compare(0, 2, "$2") != 0 || std::string("aby").find(hash[2]) == std::string::npos ||
      hash[3] != '$' || !is_digit(hash[4]) || !is_digit(hash[5]) || hash[6] != '$' ||
      !std::all_of(hash.begin() + prefix_size, hash.end(), is_base64))
    return "the value is not a bcrypt hash";
  const int cost = (hash[4] - '0') * 10 + hash[5] - '0';
  if (cost < 4 || cost > 14) return "the cost of the bcrypt hash is not 4 to 14";
  return "";
}

void CpuBudget::refill(Clock::time_point now) {
  if (now > at_) left_s_ = std::min(most_s_, left_s_ + share_ * std::chrono::duration<double>(now - at_).count());
  at_ = std::max(at_, now);
}

bool CpuBudget::has_some(Clock::time_point now) {
  refill(now);
  return left_s_ > 0;
}

bool CpuBudget::is_full(Clock::time_point now) const {
  return left_s_ + share_ * std::chrono::duration<double>(now - at_).count() >= most_s_;
}

void CpuBudget::spend(double seconds, Clock::time_point now) {
  refill(now);
  left_s_ -= seconds;
}

Passwords::Passwords(std::map<std::string, std::string> users) : budget_(1, 0.05, Clock::now()) {
  if (gnutls_rnd(GNUTLS_RND_KEY, secret_.data(), secret_.size()) != 0) throw std::runtime_error("there are no random numbers");
  replace(std::move(users));
}

void Passwords::replace(std::map<std::string, std::string> users) {
  const std::lock_guard lock(mutex_);
  users_.clear();
  std::string prefix = "$2y$10$";
  for (auto& [name, hash] : users) {
    if (users_.empty() || hash.compare(4, 2, prefix, 4, 2) > 0) prefix = hash.substr(0, prefix_size);
    users_[name].hash = std::move(hash);
  }
  dummy_hash_ = prefix + "abcdefghijklmnopqrstuu" + std::string(31, '.');
}

bool Passwords::are_needed() const {
  const std::lock_guard lock(mutex_);
  return !users_.empty();
}

Passwords::Digest Passwords::digest(const std::string& user, const std::string& password) const {
  const std::string both = user + '\0' + password;
  Digest result = {};
  if (gnutls_hmac_fast(GNUTLS_MAC_SHA256, secret_.data(), secret_.size(), both.data(), both.size(), result.data()) != 0)
    throw std::runtime_error("there is no SHA-256");
  return result;
}

CpuBudget& Passwords::budget_of(const std::string& network, Clock::time_point now) {
  if (budgets_.size() >= most_networks) std::erase_if(budgets_, [now](const auto& one) { return one.second.is_full(now); });
  // Where too many networks guess, the newcomers share one budget.
  const bool has_room = budgets_.size() < most_networks || budgets_.contains(network);
  return budgets_.try_emplace(has_room ? network : "", 0.5, 0.02, now).first->second;
}

Passwords::Known Passwords::look_up(const std::string& user, const std::string& password, const std::string& network,
                                    Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  const auto found = users_.find(user);
  if (found != users_.end() && found->second.is_known) {
    const Digest given = digest(user, password);
    if (gnutls_memcmp(given.data(), found->second.right.data(), given.size()) == 0) return Known::right;
  }
  return budget_.has_some(now) && budget_of(network, now).has_some(now) ? Known::must_be_checked : Known::too_many_wrong;
}

bool Passwords::check(const std::string& user, const std::string& password, const std::string& network) {
  std::string hash;
  bool is_user = false;
  {
    const std::lock_guard lock(mutex_);
    const auto found = users_.find(user);
    is_user = found != users_.end();
    hash = is_user ? found->second.hash : dummy_hash_;
  }
  const double before_s = thread_cpu_s();
  const std::string given = hashed(password, hash);
  const double took_s = thread_cpu_s() - before_s;
  const bool is_right = given.size() == hash.size() && gnutls_memcmp(given.data(), hash.data(), hash.size()) == 0 && is_user;
  const auto now = Clock::now();
  const std::lock_guard lock(mutex_);
  if (!is_right) {
    budget_.spend(took_s, now);
    budget_of(network, now).spend(took_s, now);
    return false;
  }
  const auto found = users_.find(user);
  if (found == users_.end() || found->second.hash != hash) return false;  // replaced meanwhile
  found->second.right = digest(user, password);
  found->second.is_known = true;
  return true;
}

}  // namespace waitprobe
