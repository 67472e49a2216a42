// SPDX-License-Identifier: MIT
//
// Options that several commands have. What is added must outlive the parser.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/cli/parser.h"
#include "src/collect/process/target_choice.h"
#include "src/model/key_class.h"

namespace waitprobe::cli {

// -p PID... and --comm GLOB, repeatable: processes that run now.
class ProcessOptions {
 public:
  explicit ProcessOptions(Parser& parser);

  // What follows: REQUIRES: the parser has parsed.
  bool has_any() const { return !pids_.empty() || !globs_.empty(); }
  bool are_named() const { return !globs_.empty(); }
  // Each once, in order; those of a name that carry probes. Errors: throws NothingFound where a name has none.
  std::vector<std::uint32_t> pids() const;

 private:
  std::vector<std::uint32_t> pids_;
  std::vector<std::string> globs_;
};

// -p, -a, -f and the words after "--".
class TargetOptions {
 public:
  explicit TargetOptions(Parser& parser);
  // --force, of commands that attach.
  void add_force(Parser& parser);
  // --max-series, of commands that count.
  void add_max_series(Parser& parser);

  // REQUIRES: the parser has parsed. Errors: throws UsageError unless exactly one kind of target was given, and NothingFound.
  TargetChoice choice(const Parser& parser, const Arguments& arguments) const;
  // Whether a target was given that is no command.
  bool has_any() const { return processes_.has_any() || choice_.all || !choice_.file.empty(); }

 private:
  ProcessOptions processes_;
  TargetChoice choice_;
};

// A time with its unit, such as 5ms, 2s or 0; a bare number is seconds. Nothing if it is none. Units: nanoseconds.
std::optional<std::uint64_t> parse_duration(const std::string& text);

enum class Zero { allowed, refused };

// An option that takes such a time. Units: `to` is in nanoseconds.
void add_duration(Parser& parser, const std::string& name, std::uint64_t& to, const std::string& description, Zero zero);

// --by-env NAME: an environment variable by which processes are grouped.
void add_group_by(Parser& parser, std::string& name);

// -k GLOB and --not GLOB, repeatable.
void add_key_globs(Parser& parser, std::vector<std::string>& globs);

// --idle GLOB and --work GLOB, repeatable: classes of keys, whatever the program says.
void add_class_globs(Parser& parser, ClassGlobs& globs);

// --color=WHEN: auto, always or never (wanted_colours(), terminal.h).
void add_color(Parser& parser, std::string& when);

// An option that takes a number of things, 1 or more.
void add_count(Parser& parser, const std::string& name, std::uint64_t& to, const std::string& description);

// --ready-fd N: one byte is written to N once everything is attached. REQUIRES: parsed.
class ReadyFd {
 public:
  explicit ReadyFd(Parser& parser);
  void tell() const;

 private:
  std::shared_ptr<int> fd_;  // of the option, which outlives a move
};

// Where stacks are wanted: says it where names were to be asked of debuginfod, which the tool as one file cannot do.
void tell_where_names_come_from();

}  // namespace waitprobe::cli
