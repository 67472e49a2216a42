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

}  // namespace

Words split_words(const std::vector<std::string>& arguments) {
  const auto dashes = std::find(arguments.begin(), arguments.end(), "--");
  Words words;
  words.options = {arguments.begin(), dashes};
  words.has_command = dashes != arguments.end();
  if (words.has_command) words.command = {dashes + 1, arguments.end()};
  return words;
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
    return "there is no " + kind + " '" + word + "'; there are " + joined(choices, ", ");
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

void Parser::parse_words(const Words& words) {
  if (words.is_description) throw Described{describe()};
  std::vector<std::string> reversed(words.options.rbegin(), words.options.rend());
  try {
    app_->cli.parse(std::move(reversed));
  } catch (const CLI::CallForHelp&) {
    throw HelpWanted{app_->cli.help()};
  } catch (const CLI::ParseError& error) {
    throw UsageError{error.what()};
  }
  if (words.has_command && !describe().starts_commands()) {
    throw UsageError{app_->command + " starts no command; leave out what follows --"};
  }
}

bool Parser::was_given(const std::string& name) const { return app_->cli.count(name) != 0; }

void add_pids(Parser& parser, std::vector<std::uint32_t>& pids) {
  parser.add_values("-p", "PID", "The process with this number; repeatable", [&pids](const std::string& text) {
    const auto pid = whole_number<std::uint32_t>(text);
    if (!pid || *pid == 0) throw UsageError{"'" + text + "' is not the number of a process"};
    pids.push_back(*pid);
  });
}

TargetOptions::TargetOptions(Parser& parser) {
  add_pids(parser, choice_.pids);
  parser.add_flag("-a", choice_.all, "Every process on the machine, those that start later too");
  parser.add_text("-f", choice_.file, "FILE", "Every process that maps this file, now or later");
  parser.set_target_usage("(-p PID | -a | -f FILE | -- CMD ARGS...)");
}

void TargetOptions::add_force(Parser& parser) {
  parser.add_flag("--force", choice_.is_forced, "Attach even if that kills a process of the same file");
}

TargetChoice TargetOptions::choice(const Words& words) const {
  const int kinds =
      (choice_.pids.empty() ? 0 : 1) + (choice_.all ? 1 : 0) + (choice_.file.empty() ? 0 : 1) + (words.has_command ? 1 : 0);
  if (kinds == 0) throw UsageError{"there is no target: give one of -p PID, -a, -f FILE, -- CMD ARGS..."};
  if (kinds > 1) throw UsageError{"there is more than one kind of target: give one of -p PID, -a, -f FILE, -- CMD ARGS..."};
  if (words.has_command && words.command.empty()) throw UsageError{"there is no command after --"};
  TargetChoice choice = choice_;
  choice.command = words.command;
  std::sort(choice.pids.begin(), choice.pids.end());
  choice.pids.erase(std::unique(choice.pids.begin(), choice.pids.end()), choice.pids.end());
  return choice;
}

void add_seconds(Parser& parser, const std::string& name, std::uint64_t& to, const std::string& description) {
  const auto take = [name, &to](const std::string& text) {
    double seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    const bool number = error == std::errc() && end == text.data() + text.size() && std::isfinite(seconds);
    if (!number || seconds <= 0 || seconds > most_seconds) {
      throw UsageError{name + " takes a number of seconds greater than 0, such as 0.5, and not '" + text + "'"};
    }
    to = std::max<std::uint64_t>(static_cast<std::uint64_t>(seconds * 1e9), 1);
  };
  parser.add_value(name, "SECONDS", description, take);
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

void add_duration(Parser& parser, const std::string& name, std::uint64_t& to, const std::string& description) {
  const auto take = [name, &to](const std::string& text) {
    const auto ns = parse_duration(text);
    if (!ns) throw UsageError{name + " takes a time such as 5ms, 100us, 2s or 1m, and not '" + text + "'"};
    to = *ns;
  };
  parser.add_value(name, "TIME", description, take);
}

void add_group_by(Parser& parser, std::string& name) {
  const auto take = [&name](const std::string& text) {
    if (text.empty() || text.find('=') != std::string::npos) {
      throw UsageError{"--by-env takes the name of an environment variable, such as RANK, and not '" + text + "'"};
    }
    name = text;
  };
  parser.add_value("--by-env", "NAME", "Group processes by an environment variable, as RANK", take);
}

void add_key_globs(Parser& parser, std::vector<std::string>& globs) {
  parser.add_texts("-k,--key", globs, "GLOB", "Only keys that match, as in -k 'db.*'; repeatable");
}

void add_count(Parser& parser, const std::string& name, std::uint64_t& to, const std::string& description) {
  parser.add_value(name, "COUNT", description, [name, &to](const std::string& text) {
    const auto count = whole_number<std::uint64_t>(text);
    if (!count || *count == 0) throw UsageError{name + ": '" + text + "' is not a number from 1 on"};
    to = *count;
  });
}

ReadyFd::ReadyFd(Parser& parser) : fd_(std::make_shared<int>(-1)) {
  parser.add_value("--ready-fd", "N", "One byte is written to it once everything is attached",
                   [fd = fd_](const std::string& text) {
                     const auto number = whole_number<int>(text);
                     if (!number || fcntl(*number, F_GETFD) < 0)
                       throw UsageError{"'" + text + "' is not an open file descriptor"};
                     *fd = *number;
                   });
}

void ReadyFd::tell() const {
  const char ready = '\n';
  if (*fd_ >= 0) (void)!write(*fd_, &ready, 1);
}

}  // namespace waitprobe::cli
