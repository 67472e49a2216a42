// SPDX-License-Identifier: MIT
#include "src/cli/parser.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace waitprobe::cli {
namespace {

constexpr double most_seconds = 1e9;  // 31 years

class UsageFormatter : public CLI::Formatter {
 public:
  explicit UsageFormatter(std::string targets) : targets_(std::move(targets)) {}

  std::string make_usage(const CLI::App* app, std::string) const override {
    return "Usage: " + app->get_name() + (targets_.empty() ? "" : " " + targets_) + " [OPTIONS]\n";
  }

 private:
  std::string targets_;
};

std::string check_pid(const std::string& text) {
  std::uint32_t pid = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  if (error != std::errc() || end != text.data() + text.size() || pid == 0)
    return "'" + text + "' is not the number of a process";
  return "";
}

std::string check_fd(const std::string& text) {
  int fd = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), fd);
  const bool open = error == std::errc() && end == text.data() + text.size() && fcntl(fd, F_GETFD) >= 0;
  return open ? "" : "'" + text + "' is not an open file descriptor";
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

Parser::Parser(const CommandRow& row)
    : CLI::App("waitprobe " + std::string(row.name) + ": " + row.summary, "waitprobe " + std::string(row.name)) {
  footer("Examples:\n" + std::string(row.examples) +
         (row.status_3 != nullptr ? "\nExit status 3: " + std::string(row.status_3) + ".\n" : ""));
  set_target_usage("");
}

void Parser::set_target_usage(const std::string& targets) {
  targets_ = targets;
  const auto usage = std::make_shared<UsageFormatter>(targets);
  usage->column_width(24);
  formatter(usage);
}

void Parser::restrict(CLI::Option* option, std::vector<std::string> choices, const std::string& kind) {
  choices_[option] = choices;
  option->check([choices = std::move(choices), kind](const std::string& word) -> std::string {
    if (std::find(choices.begin(), choices.end(), word) != choices.end()) return "";
    return "there is no " + kind + " '" + word + "'; there are " + CLI::detail::join(choices, ", ");
  });
}

Description Parser::describe() const {
  Description description{targets_, {}, {}};
  for (const CLI::Option* option : get_options()) {
    OptionDescription one{{}, option->get_type_name(), {}, option->get_description()};
    for (const std::string& name : option->get_snames()) one.names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) one.names.push_back("--" + name);
    if (const auto known = choices_.find(option); known != choices_.end()) one.choices = known->second;
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
    parse(std::move(reversed));
  } catch (const CLI::CallForHelp&) {
    throw HelpWanted{help()};
  }
}

void add_pids(Parser& parser, std::vector<std::uint32_t>& pids) {
  parser.add_option("-p", pids, "The process with this number; repeatable")
      ->type_name("PID")
      ->allow_extra_args(false)
      ->check(check_pid);
}

TargetOptions::TargetOptions(Parser& parser) {
  add_pids(parser, choice_.pids);
  parser.add_flag("-a", choice_.all, "Every process on the machine, those that start later too");
  parser.add_option("-f", choice_.file, "Every process that maps this file, now or later")->type_name("FILE");
  parser.set_target_usage("(-p PID | -a | -f FILE | -- CMD ARGS...)");
}

TargetChoice TargetOptions::choice(const Words& words) const {
  const int kinds =
      (choice_.pids.empty() ? 0 : 1) + (choice_.all ? 1 : 0) + (choice_.file.empty() ? 0 : 1) + (words.has_command ? 1 : 0);
  if (kinds == 0) throw CLI::ValidationError("there is no target: give one of -p PID, -a, -f FILE, -- CMD ARGS...");
  if (kinds > 1)
    throw CLI::ValidationError("there is more than one kind of target: give one of -p PID, -a, -f FILE, -- CMD ARGS...");
  if (words.has_command && words.command.empty()) throw CLI::ValidationError("there is no command after --");
  TargetChoice choice = choice_;
  choice.command = words.command;
  std::sort(choice.pids.begin(), choice.pids.end());
  choice.pids.erase(std::unique(choice.pids.begin(), choice.pids.end()), choice.pids.end());
  return choice;
}

CLI::Option* add_seconds(Parser& parser, const std::string& name, std::uint64_t& to, const std::string& description) {
  const auto take = [name, &to](const std::string& text) {
    double seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    const bool number = error == std::errc() && end == text.data() + text.size() && std::isfinite(seconds);
    if (!number || seconds <= 0 || seconds > most_seconds) {
      throw CLI::ValidationError(name + " takes a number of seconds greater than 0, such as 0.5, and not '" + text + "'");
    }
    to = std::max<std::uint64_t>(static_cast<std::uint64_t>(seconds * 1e9), 1);
  };
  return parser.add_option_function<std::string>(name, take, description)->type_name("SECONDS");
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

CLI::Option* add_duration(Parser& parser, const std::string& name, std::uint64_t& to, const std::string& description) {
  const auto take = [name, &to](const std::string& text) {
    const auto ns = parse_duration(text);
    if (!ns) throw CLI::ValidationError(name + " takes a time such as 5ms, 100us, 2s or 1m, and not '" + text + "'");
    to = *ns;
  };
  return parser.add_option_function<std::string>(name, take, description)->type_name("TIME");
}

void add_key_globs(Parser& parser, std::vector<std::string>& globs) {
  parser.add_option("-k", globs, "Only keys that match, as in -k 'db.*'; repeatable")
      ->type_name("GLOB")
      ->allow_extra_args(false);
}

std::string check_count(const std::string& text) {
  std::uint64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  const bool number = error == std::errc() && end == text.data() + text.size() && count != 0;
  return number ? "" : "'" + text + "' is not a number from 1 on";
}

ReadyFd::ReadyFd(Parser& parser) {
  parser.add_option("--ready-fd", fd_, "One byte is written to it once everything is attached")
      ->type_name("N")
      ->check(check_fd);
}

void ReadyFd::tell() const {
  const char ready = '\n';
  if (fd_ >= 0) (void)!write(fd_, &ready, 1);
}

}  // namespace waitprobe::cli
