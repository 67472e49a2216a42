// SPDX-License-Identifier: MIT
#include "src/cli/parser.h"

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <utility>

#include "src/cli/suggestion.h"
#include "src/collect/process/process.h"

namespace waitprobe::cli {
namespace {

constexpr double most_seconds = 1e9;  // 31 years

class UsageFormatter : public CLI::Formatter {
 public:
  explicit UsageFormatter(std::string targets) : targets_(std::move(targets)) {}

  std::string make_usage(const CLI::App* app, std::string) const override {
    return "Usage: " + app->get_name() + " " + usage_of(targets_) + "\n";
  }

 private:
  std::string targets_;
};

// A whole number, or nothing.
template <class T>
std::optional<T> whole_number(const std::string& text) {
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// How messages name an option that has several names: by the longest.
std::string shown_name(const std::string& names) { return names.substr(names.rfind(',') + 1); }

// What the library found, in our words.
std::string usage_problem(const CLI::ParseError& error) {
  const std::string text = error.what();
  const std::string name = text.substr(0, text.find_first_of(": "));
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) return name + " is missing";
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) == nullptr) return text;
  if (text.find("missing") != std::string::npos) return "option '" + name + "' needs a value";
  if (text.find("t Most") != std::string::npos) return "option '" + name + "' may be given only once";
  return text;
}

}  // namespace

Arguments split_arguments(const std::vector<std::string>& words) {
  const auto dashes = std::find(words.begin(), words.end(), "--");
  Arguments arguments;
  arguments.options = {words.begin(), dashes};
  arguments.has_command = dashes != words.end();
  if (arguments.has_command) arguments.command = {dashes + 1, words.end()};
  return arguments;
}

std::string joined(const std::vector<std::string>& words, const char* between) { return CLI::detail::join(words, between); }

std::string usage_of(const std::string& targets) {
  if (targets.starts_with("--")) return "[OPTIONS] " + targets;
  return targets + (targets.empty() ? "" : " ") + "[OPTIONS]";
}

struct Parser::App {
  CLI::App cli;
  std::string command;
  std::string targets;
  std::map<const CLI::Option*, std::vector<std::string>> choices;
  std::string footer;
  bool explains_times = false;

  CLI::Option* finish(CLI::Option* option, const std::string& value, Need need) {
    return option->type_name(value)->required(need == Need::required);
  }
};

Parser::Parser(const CommandRow& row) : app_(std::make_unique<App>()) {
  app_->command = row.name;
  app_->cli.description("waitprobe " + std::string(row.name) + ": " + row.summary);
  app_->cli.name("waitprobe " + std::string(row.name));
  std::string footer = "Examples:\n" + std::string(row.examples);
  if (row.status_3 != nullptr || row.status_4 != nullptr) footer += "\n";
  if (row.status_3 != nullptr) footer += "Exit status 3: " + std::string(row.status_3) + ".\n";
  if (row.status_4 != nullptr) footer += "Exit status 4: " + std::string(row.status_4) + ".\n";
  app_->footer = footer;
  app_->cli.footer(footer);
  set_target_usage("");
}

Parser::~Parser() = default;

void Parser::set_target_usage(const std::string& targets) {
  app_->targets = targets;
  const auto usage = std::make_shared<UsageFormatter>(targets);
  usage->column_width(24);
  app_->cli.formatter(usage);
}

void Parser::explain_times() {
  if (std::exchange(app_->explains_times, true)) return;
  app_->cli.footer(std::string(time_units) + "\n\n" + app_->footer);
}

void Parser::add_flag(const std::string& name, bool& to, const std::string& text) { app_->cli.add_flag(name, to, text); }

void Parser::add_text(const std::string& name, std::string& to, const std::string& value, const std::string& text, Need need) {
  app_->finish(app_->cli.add_option(name, to, text), value, need);
}

void Parser::add_texts(const std::string& name, std::vector<std::string>& to, const std::string& value, const std::string& text,
                       Need need) {
  CLI::Option* const option = app_->finish(app_->cli.add_option(name, to, text), value, need);
  if (name.starts_with('-')) option->allow_extra_args(false);
}

void Parser::add_choice(const std::string& name, std::string& to, const std::string& value, const std::string& text,
                        std::vector<std::string> choices, const std::string& kind, Need need) {
  CLI::Option* const option = app_->finish(app_->cli.add_option(name, to, text), value, need);
  app_->choices[option] = choices;
  option->check([choices = std::move(choices), kind](const std::string& word) -> std::string {
    if (std::find(choices.begin(), choices.end(), word) != choices.end()) return "";
    const std::string nearest = suggestion(word, choices);
    return "unknown " + kind + " '" + word + "'" + (nearest.empty() ? ", not one of " + joined(choices, ", ") : nearest);
  });
}

void Parser::add_value(const std::string& name, const std::string& value, const std::string& text, const Take& take) {
  app_->finish(app_->cli.add_option_function<std::string>(name, take, text), value, Need::optional);
}

void Parser::add_values(const std::string& name, const std::string& value, const std::string& text, const Take& take) {
  const auto take_all = [take](const std::vector<std::string>& words) { std::for_each(words.begin(), words.end(), take); };
  CLI::Option* const option = app_->cli.add_option_function<std::vector<std::string>>(name, take_all, text);
  app_->finish(option, value, Need::optional)->allow_extra_args(false);
}

void Parser::add_lists(const std::string& name, const std::string& value, const std::string& text, const Take& take) {
  constexpr const char* separators = ", \t\n";
  const auto take_all = [take, shown = shown_name(name)](const std::vector<std::string>& words) {
    for (const std::string& word : words) {
      std::size_t begin = word.find_first_not_of(separators);
      if (begin == std::string::npos) throw UsageError{shown + " has an empty value"};
      while (begin != std::string::npos) {
        const std::size_t end = std::min(word.find_first_of(separators, begin), word.size());
        take(word.substr(begin, end - begin));
        begin = word.find_first_not_of(separators, end);
      }
    }
  };
  app_->finish(app_->cli.add_option_function<std::vector<std::string>>(name, take_all, text), value, Need::optional);
}

Description Parser::describe() const {
  Description description{app_->targets, {}, {}};
  for (const CLI::Option* option : std::as_const(app_->cli).get_options()) {
    OptionDescription one{{}, option->get_type_name(), {}, option->get_description()};
    for (const std::string& name : option->get_snames()) one.names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) one.names.push_back("--" + name);
    if (const auto known = app_->choices.find(option); known != app_->choices.end()) one.choices = known->second;
    if (!option->get_positional()) {
      description.options.push_back(std::move(one));
    } else {
      one.names = {option->get_name(true)};
      description.positionals.push_back(std::move(one));
    }
  }
  return description;
}

// What is wrong with words that no option takes. Empty: there are none.
std::string Parser::unexpected() const {
  const std::vector<std::string> words = app_->cli.remaining();
  if (words.empty()) return "";
  const Description description = describe();
  const auto is_option = [](const std::string& word) { return word.size() > 1 && word.starts_with('-'); };
  const auto option = std::find_if(words.begin(), words.end(), is_option);
  if (option != words.end()) {
    std::vector<std::string> names;
    for (const OptionDescription& one : description.options) names.insert(names.end(), one.names.begin(), one.names.end());
    const std::string name = option->substr(0, option->find('='));
    return "unknown option '" + name + "'" + suggestion(name, names);
  }
  const std::string start = "unexpected argument '" + words.front() + "'";
  const bool takes_pids = std::any_of(description.options.begin(), description.options.end(),
                                      [](const OptionDescription& one) { return one.value == "PID"; });
  const std::string command = app_->command + " ";
  if (takes_pids && whole_number<std::uint32_t>(words.front())) {
    return start + "; to select a process, use '" + command + "-p " + words.front() + "'";
  }
  if (description.starts_commands()) return start + "; to start a command, use '" + command + "-- " + joined(words) + "'";
  return start;
}

void Parser::parse(const Arguments& arguments) {
  std::vector<std::string> reversed(arguments.options.rbegin(), arguments.options.rend());
  try {
    app_->cli.parse(std::move(reversed));
  } catch (const CLI::CallForHelp&) {
    throw HelpRequested{help()};
  } catch (const CLI::ParseError& error) {
    const std::string problem = unexpected();
    throw UsageError{problem.empty() ? usage_problem(error) : problem};
  }
  if (arguments.has_command && !describe().starts_commands()) {
    throw UsageError{"this command starts no program; leave out '--' and what follows it"};
  }
}

std::string Parser::help() const { return app_->cli.help(); }

bool Parser::was_given(const std::string& name) const { return app_->cli.count(name) != 0; }

void add_pids(Parser& parser, std::vector<std::uint32_t>& pids) {
  const auto add = [&pids](std::uint32_t pid) {
    if (std::find(pids.begin(), pids.end(), pid) == pids.end()) pids.push_back(pid);
  };
  parser.add_lists("-p,--pid", "PID", "Only these processes: -p 1,2 or -p 1 2; repeatable", [add](const std::string& text) {
    const auto pid = whole_number<std::uint32_t>(text);
    if (!pid || *pid == 0) throw UsageError{"'" + text + "' is not a process ID"};
    add(*pid);
  });
  const auto take_named = [add](const std::string& glob) {
    const auto named = pids_named(glob);
    if (named.empty()) {
      constexpr std::size_t most_bytes = 15;
      throw NothingFound{{"find a process named", glob, "none that runs now has such a name",
                          glob.size() > most_bytes ? "the kernel keeps 15 bytes of a name: end the pattern with *" : ""}};
    }
    std::for_each(named.begin(), named.end(), add);
  };
  parser.add_values("--comm", "GLOB", "Only processes of this name, e.g. 'redis*'; repeatable", take_named);
}

TargetOptions::TargetOptions(Parser& parser) {
  add_pids(parser, choice_.pids);
  parser.add_flag("-a,--all", choice_.all, "All processes, also those that start later");
  parser.add_text("-f,--file", choice_.file, "FILE", "All processes that map this file, now or later");
  parser.set_target_usage("(-p PID | -a | -f FILE | -- CMD ARGS...)");
}

void TargetOptions::add_force(Parser& parser) {
  parser.add_flag("--force", choice_.is_forced, "Attach even if that kills a process of the same file");
}

TargetChoice TargetOptions::choice(const Arguments& arguments) const {
  const int kinds =
      (choice_.pids.empty() ? 0 : 1) + (choice_.all ? 1 : 0) + (choice_.file.empty() ? 0 : 1) + (arguments.has_command ? 1 : 0);
  if (kinds == 0) throw UsageError{"no target; use -p PID, --comm GLOB, -a, -f FILE or -- CMD ARGS..."};
  if (kinds > 1)
    throw UsageError{"more than one kind of target; use only one of -p PID (or --comm GLOB), -a, -f FILE and -- CMD ARGS..."};
  if (arguments.has_command && arguments.command.empty()) throw UsageError{"no command after '--'"};
  TargetChoice choice = choice_;
  choice.command = arguments.command;
  std::sort(choice.pids.begin(), choice.pids.end());
  return choice;
}

std::optional<std::uint64_t> parse_duration(const std::string& text) {
  constexpr std::pair<const char*, double> units[] = {{"", 1e9},  {"ns", 1},   {"us", 1e3},  {"ms", 1e6},
                                                      {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const auto unit = std::find_if(std::begin(units), std::end(units), [&, &rest = end](const auto& known) {
    return std::string_view(rest, text.data() + text.size()) == known.first;
  });
  if (error != std::errc() || unit == std::end(units)) return std::nullopt;
  if (!(number >= 0) || number * unit->second > most_seconds * 1e9) return std::nullopt;
  return static_cast<std::uint64_t>(number * unit->second);
}

void add_duration(Parser& parser, const std::string& name, std::uint64_t& to, const std::string& description, Zero zero) {
  const auto take = [shown = shown_name(name), zero, &to](const std::string& text) {
    const auto ns = parse_duration(text);
    const bool is_zero = zero == Zero::refused && ns == 0;
    if (!ns || is_zero) {
      throw UsageError{shown + " takes a time" + (zero == Zero::refused ? " greater than 0" : "") +
                       " such as 10s, 100ms or 0.5 (seconds), not '" + text + "'"};
    }
    to = *ns;
  };
  parser.add_value(name, "TIME", description, take);
  parser.explain_times();
}

void add_group_by(Parser& parser, std::string& name) {
  const auto take = [&name](const std::string& text) {
    if (text.empty() || text.find('=') != std::string::npos) {
      throw UsageError{"--by-env takes the name of an environment variable such as RANK, not '" + text + "'"};
    }
    name = text;
  };
  parser.add_value("--by-env", "NAME", "Group processes by this environment variable, e.g. RANK", take);
}

void add_key_globs(Parser& parser, std::vector<std::string>& globs) {
  parser.add_texts("-k,--key", globs, "GLOB", "Only matching keys, e.g. -k 'db.*'; repeatable");
  parser.add_values("--not", "GLOB", "Exclude matching keys, as -k '!GLOB'; repeatable",
                    [&globs](const std::string& glob) { globs.push_back("!" + glob); });
}

void add_color(Parser& parser, std::string& when) {
  parser.add_choice("--color", when, "WHEN", "auto, always or never (default: auto)", {"auto", "always", "never"}, "choice");
}

void add_count(Parser& parser, const std::string& name, std::uint64_t& to, const std::string& description) {
  parser.add_value(name, "COUNT", description, [shown = shown_name(name), &to](const std::string& text) {
    const auto count = whole_number<std::uint64_t>(text);
    if (!count || *count == 0) throw UsageError{shown + " takes a whole number greater than 0, not '" + text + "'"};
    to = *count;
  });
}

ReadyFd::ReadyFd(Parser& parser) : fd_(std::make_shared<int>(-1)) {
  parser.add_value("--ready-fd", "N", "Write a byte to file descriptor N once attached", [fd = fd_](const std::string& text) {
    const auto number = whole_number<int>(text);
    if (!number || fcntl(*number, F_GETFD) < 0) throw UsageError{"'" + text + "' is not an open file descriptor"};
    *fd = *number;
  });
}

void ReadyFd::tell() const {
  const char ready = '\n';
  if (*fd_ >= 0) (void)!write(*fd_, &ready, 1);
}

}  // namespace waitprobe::cli
