// SPDX-License-Identifier: MIT
//
// What the command lines of all commands have in common.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/cli/command_table.h"
#include "src/model/result.h"

namespace waitprobe::cli {

// Thrown when --help is asked for.
struct HelpRequested {
  std::string text;
};

// Thrown when a command line cannot be understood.
struct UsageError {
  std::string text;
};

// Thrown when it names something that is not there.
struct NothingFound {
  Error error;
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

  bool takes_commands() const { return targets.find("-- CMD") != std::string::npos; }
  // Where a target may be left out, a command is only looked at.
  bool starts_commands() const { return takes_commands() && !targets.starts_with('['); }
};

// How the times of options are written.
inline constexpr const char* time_units = "TIME has a unit: ns, us, ms, s, m or h; a bare number is seconds.";

// Targets and options as they are written after a command's name: what follows "--" comes last.
std::string usage_of(const std::string& targets);

Arguments split_arguments(const std::vector<std::string>& words);

// The command line of a command. Its help opens with what the command answers, and ends with examples that can be pasted.
// CLI11 stays behind it: its header takes longer to read than most of our files to compile. What is added must outlive it.
class Parser {
 public:
  explicit Parser(const CommandRow& row);
  ~Parser();
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  // How the targets are written, for the line of usage.
  void set_target_usage(const std::string& targets);

  enum class Need { optional, required };

  // Names with a dash are options, others stand for words without one. `value` is what the option takes, such as "FILE".
  void add_flag(const std::string& name, bool& to, const std::string& text);
  // Not empty.
  void add_text(const std::string& name, std::string& to, const std::string& value, const std::string& text,
                Need need = Need::optional);
  // Repeatable.
  void add_texts(const std::string& name, std::vector<std::string>& to, const std::string& value, const std::string& text,
                 Need need = Need::optional);
  // One of several words. `kind` says of what: "column".
  void add_choice(const std::string& name, std::string& to, const std::string& value, const std::string& text,
                  std::vector<std::string> choices, const std::string& kind, Need need = Need::optional);
  // Called with the word that is given; throws UsageError where it is none.
  using Take = std::function<void(const std::string&)>;
  void add_value(const std::string& name, const std::string& value, const std::string& text, const Take& take);
  // Repeatable.
  void add_values(const std::string& name, const std::string& value, const std::string& text, const Take& take);
  // Repeatable, and each time with several values: words of their own, or between commas or blanks in one word.
  void add_lists(const std::string& name, const std::string& value, const std::string& text, const Take& take);
  // A file of TOML whose keys are the long options, which are taken where they are not on the command line. parse() throws
  // UsageError if it cannot be read.
  void add_config(const std::string& name, const std::string& value, const std::string& text);
  // Says in the help how times are written.
  void explain_times();

  // Errors: throws HelpRequested, UsageError or NothingFound.
  void parse(const Arguments& arguments);
  // What was added, as --help prints it and for whoever prints it otherwise.
  std::string help() const;
  Description describe() const;

  // Something to add options to that lives as long as the parser: for a parser that only describes.
  template <class T>
  T& keep() {
    const auto kept = std::make_shared<T>();
    kept_.push_back(kept);
    return *kept;
  }

  // REQUIRES: parsed.
  bool was_given(const std::string& name) const;

 private:
  struct App;
  std::string unexpected() const;

  std::unique_ptr<App> app_;
  std::vector<std::shared_ptr<void>> kept_;
};

// What a command line says. `declare` adds the options of a command, which are written to as they are parsed; `finish` fills in
// what follows from several of them. Errors: throws what parse() throws, and what `finish` does.
template <class Options>
Options parsed(const CommandRow& row, const Arguments& arguments, void (*declare)(Parser&, Options&),
               void (*finish)(Options&, const Parser&, const Arguments&)) {
  Parser parser(row);
  Options options;
  declare(parser, options);
  parser.parse(arguments);
  finish(options, parser, arguments);
  return options;
}

// How messages name an option that has several names, "-p,--pid": by the longest.
std::string shown_name(const std::string& names);

// "a b c"
std::string joined(const std::vector<std::string>& words, const char* between = " ");

}  // namespace waitprobe::cli
