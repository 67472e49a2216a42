// SPDX-License-Identifier: MIT
//
// Runs bench/bucket.bpf.c, the two ways in turn, and prints the medians.
#include <bpf/bpf.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

#include "bucket.skel.h"

namespace {

constexpr double records = 8.0 * (1 << 20);
constexpr int rounds = 31;

double ns_a_record(const bpf_program* program) {
  bpf_test_run_opts options = {};
  options.sz = sizeof options;
  const auto before = std::chrono::steady_clock::now();
  if (bpf_prog_test_run_opts(bpf_program__fd(program), &options) != 0) std::perror("cannot run the program");
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - before).count() / records;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + rounds / 2, values.end());
  return values[rounds / 2];
}

}  // namespace

int main() {
  bucket_bpf* skeleton = bucket_bpf__open_and_load();
  if (skeleton == nullptr) return std::perror("cannot load the programs"), 1;
  std::mt19937_64 random(1);
  std::lognormal_distribution<double> duration(std::log(5e3), 3);
  for (auto& ns : skeleton->bss->durations) ns = static_cast<std::uint64_t>(std::min(duration(random), 1e12));
  std::vector<double> log_linear, schema_3, difference;
  for (int i = 0; i < rounds; i++) {
    log_linear.push_back(ns_a_record(skeleton->progs.log_linear));
    schema_3.push_back(ns_a_record(skeleton->progs.schema_3));
    difference.push_back(schema_3.back() - log_linear.back());
  }
  std::printf("log-linear buckets  %.2f ns a record\nschema 3            %.2f\ndifference          %.2f\n", median(log_linear),
              median(schema_3), median(difference));
  bucket_bpf__destroy(skeleton);
}
