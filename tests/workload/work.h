// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <waitprobe/wait_counter.h>

#include "tests/workload/options.h"
#include "tests/workload/truth_file.h"

using Truth = std::map<std::string, std::uint64_t>;  // waits by key

// The keys of a run, and their handles. The first few are handles of string literals that nothing else touches.
class Keys {
 public:
  explicit Keys(const Options& options);
  std::size_t size() const { return names_.size(); }
  const std::string& name(std::size_t i) const { return names_[i]; }
  waitprobe::WaitCounterHandle& handle(std::size_t i) { return *handles_[i]; }

 private:
  std::vector<std::string> names_;
  std::vector<std::unique_ptr<waitprobe::WaitCounterHandle>> made_;
  std::vector<waitprobe::WaitCounterHandle*> handles_;
};

// Rows of the truth file: one for each thread, and these.
inline std::size_t row_of_main(const Options& options) { return options.threads; }
inline std::size_t row_of_children(const Options& options) { return options.threads + 1; }
inline std::size_t rows(const Options& options) { return options.threads + 2; }

// One wait on key `key`, as long as the options say.
void wait_once(const Options& options, Keys& keys, TruthFile& file, std::size_t row, std::size_t key);

// Does the waits of one process, on as many threads as asked for, from `go` on. Calls `ready` once all threads stand.
Truth do_work(const Options& options, Keys& keys, TruthFile& file, void (*ready)(const Options&),
              void (*wait_for_go)(const Options&));
