// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <vector>

#include "tests/workload/truth_file.h"
#include "tests/workload/work.h"

// The children that a thread makes in the middle of its work, each of which waits a few times. They come and go one by one.
class Children {
 public:
  Children(const Options& options, Keys& keys, TruthFile& truth) : options_(options), keys_(keys), truth_(truth) {}

  // After wait i of `waits` of the thread whose row this is: makes the children that are due.
  void make_due(std::uint64_t i, std::uint64_t waits, std::size_t row);

  // The waits that they did, and those that were open while they were made; by key.
  const std::vector<std::uint64_t>& counts() const { return counts_; }

 private:
  void fork_one(std::size_t row, bool open);
  void vfork_one();
  void clone_one();
  void wait_in_child();
  void reap(int child);

  const Options& options_;
  Keys& keys_;
  TruthFile& truth_;
  std::uint64_t forked_ = 0;
  std::vector<std::uint64_t> counts_ = std::vector<std::uint64_t>(keys_.size());
};
