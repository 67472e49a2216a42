// SPDX-License-Identifier: MIT
//
// What the command lines of all commands have in common.
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "src/cli/command_table.h"
#include "src/collect/target_session.h"

namespace waitprobe::cli {

// Thrown when --help is asked for.
struct HelpWanted {
  std::string text;
};

struct OptionDescription {
  std::vector<std::string> names;    // "-p", "--json"; the first of a positional is what stands in its place
  std::string value;                 // what it takes: "PID"; empty: nothing
  std::vector<std::string> choices;  // all it may be; empty: anything
  std::string text;
};

// What a command line may hold.
struct Description {
  std::string targets;  // as they are written in the line of usage
  std::vector<OptionDescription> options;
  std::vector<OptionDescription> positionals;
};

// Thrown when a description is asked for (Words::is_description).
struct Described {
  Description description;
};

Words split_words(const std::vector<std::string>& arguments);

// A parser that opens its help with what the command answers, and ends it with examples that can be pasted.
class Parser : public CLI::App {
 public:
  explicit Parser(const CommandRow& row);

  // How the targets are written, for the line of usage.
  void set_target_usage(const std::string& targets);

  // One of several words. Errors: the message says what there is to choose from.
  void restrict(CLI::Option* option, std::vector<std::string> choices, const std::string& kind);

  // Errors: throws HelpWanted, Described or CLI::ParseError.
  void parse_words(const Words& words);

 private:
  Description describe() const;

  std::string targets_;
  std::map<const CLI::Option*, std::vector<std::string>> choices_;
};

// -p PID, repeatable.
void add_pids(Parser& parser, std::vector<std::uint32_t>& pids);

// -p, -a, -f and the words after "--".
class TargetOptions {
 public:
  explicit TargetOptions(Parser& parser);

  // REQUIRES: the parser has parsed. Errors: throws CLI::ParseError unless exactly one kind of target was given.
  TargetChoice choice(const Words& words) const;
  // Whether one of -p, -a and -f was given.
  bool has_any() const { return !choice_.pids.empty() || choice_.all || !choice_.file.empty(); }

 private:
  TargetChoice choice_;
};

// An option that takes a time in seconds, such as 0.5. Units: `to` is in nanoseconds.
CLI::Option* add_seconds(Parser& parser, const std::string& name, std::uint64_t& to, const std::string& description);

// A time with its unit, such as 5ms, 2s or 0; a bare number is seconds. Nothing if it is none. Units: nanoseconds.
std::optional<std::uint64_t> parse_duration(const std::string& text);

// An option that takes such a time. Units: `to` is in nanoseconds.
CLI::Option* add_duration(Parser& parser, const std::string& name, std::uint64_t& to, const std::string& description);

// -k GLOB, repeatable.
void add_key_globs(Parser& parser, std::vector<std::string>& globs);

// A check for options that take a number of things, 1 or more.
std::string check_count(const std::string& text);

// --ready-fd N: one byte is written to N once everything is attached. REQUIRES: parsed.
class ReadyFd {
 public:
  explicit ReadyFd(Parser& parser);
  void tell() const;

 private:
  int fd_ = -1;
};

}  // namespace waitprobe::cli
