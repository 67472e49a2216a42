// SPDX-License-Identifier: MIT
#include "src/model/groups.h"

#include <algorithm>
#include <charconv>
#include <tuple>
#include <utility>

namespace waitprobe {
namespace {

struct Order {
  int kind = 0;  // numbers, texts, none
  std::uint64_t number = 0;
  std::string text;
  auto operator<=>(const Order&) const = default;
};

Order order_of(const std::optional<std::string>& group) {
  if (!group) return {2, 0, ""};
  std::uint64_t number = 0;
  const char* const end = group->data() + group->size();
  const auto [rest, error] = std::from_chars(group->data(), end, number);
  return error == std::errc() && rest == end ? Order{0, number, *group} : Order{1, 0, *group};
}

// Without what tells apart long keys that begin alike: it is another in each process.
auto key_of(const Series& s) { return std::tie(s.key, s.key_len); }

// What is left of a series when it is not that of one process.
Series of_key(const Series& s) {
  Series all;
  all.key = s.key;
  all.key_len = s.key_len;
  all.key_class = s.key_class;
  return all;
}

}  // namespace

std::vector<KeyInGroups> by_key_and_group(const std::vector<Series>& series) {
  std::vector<std::pair<Order, const Series*>> sorted;
  for (const Series& s : series) sorted.emplace_back(order_of(s.group), &s);
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    const auto key_a = key_of(*a.second), key_b = key_of(*b.second);
    return key_a != key_b ? key_a < key_b : a.first < b.first;
  });
  std::vector<KeyInGroups> keys;
  for (const auto& [order, s] : sorted) {
    if (keys.empty() || key_of(keys.back().all) != key_of(*s)) keys.push_back({of_key(*s), {}});
    KeyInGroups& key = keys.back();
    if (key.groups.empty() || key.groups.back().group != s->group) {
      key.groups.push_back(of_key(*s));
      key.groups.back().group = s->group;
    }
    for (Series* sum : {&key.groups.back(), &key.all}) {
      sum->histogram.add(s->histogram);
      sum->key_class = common_class(sum->key_class, s->key_class);
    }
  }
  return keys;
}

std::optional<Spread> spread_of(const KeyInGroups& key) {
  Spread spread;
  std::size_t cnt = 0;
  for (const Series& group : key.groups) {
    if (!group.group) continue;
    cnt++;
    const std::uint64_t total = group.histogram.total_ns();
    if (spread.least == nullptr || total < spread.least->histogram.total_ns()) spread.least = &group;
    if (spread.most == nullptr || total >= spread.most->histogram.total_ns()) spread.most = &group;
  }
  if (cnt < 2) return std::nullopt;
  spread.ns = spread.most->histogram.total_ns() - spread.least->histogram.total_ns();
  return spread;
}

}  // namespace waitprobe
