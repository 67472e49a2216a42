// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

struct Options {
  std::uint32_t threads = 1;
  std::uint64_t waits = 1000;  // a thread, spread evenly over the keys; with `distinct`, a key
  std::uint32_t keys = 1;
  std::uint64_t hold_ns = 0;
  std::string pattern = "none";  // how the time is held: sleep, spin, none
  bool cross_thread = false;
  bool late_backend = false;
  bool true_quantiles = false;
  std::vector<std::string> names;
  bool nasty_keys = false;
  bool classes = false;  // of the keys in turn: wait, idle, work
  std::uint32_t distinct = 0;
  bool hold_open = false;
  bool linger = false;
  std::uint64_t loop_s = 0;  // 0: `waits`, otherwise as many as there is time for
  std::uint32_t fork = 0;
  std::string plugin;
  std::uint64_t fork_in_block = 0;
  std::uint64_t vfork_exec = 0;
  std::uint64_t raw_clone = 0;
  std::uint64_t child_waits = 3;  // of a child of these three
  std::string truth_file;
  bool stay = false;
  std::string die;
  std::uint32_t exec_again = 0;
  int pin = -1;                // a CPU
  std::uint32_t alarm_us = 0;  // 0: none
  std::uint32_t thread_churn = 0;
  bool late_guards = false;
  int step_fd = -1;
  int stepped_fd = -1;
  bool wait_for_tracer = false;
  int ready_fd = -1;
  int go_fd = -1;
};

// Help and errors end the process, with 0 and 2.
Options parse_options(int argc, char** argv);
