// SPDX-License-Identifier: MIT
#include "src/cli/parser.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <map>
#include <utility>

#include "src/cli/suggestion.h"
#include "src/cli/toml_config.h"

namespace waitprobe::cli {
namespace {

class UsageFormatter : public CLI::Formatter {
 public:
  explicit UsageFormatter(std::string targets) : targets_(std::move(targets)) {}

  std::string make_usage(const CLI::App* app, std::string) const override {
    return "Usage: " + app->get_name() + " " + usage_of(targets_) + "\n";
  }

 private:
  std::string targets_;
};

// What the library found, in our words.
std::string usage_problem(const CLI::ParseError& error) {
  const std::string text = error.what();
  const std::string name = text.substr(0, text.find_first_of(": "));
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) return name + " is missing";
  // In our words, behind the name: of a positional that says nothing.
  if (dynamic_cast<const CLI::ValidationError*>(&error) != nullptr) {
    return text.starts_with('-') && !text.ends_with("empty value") ? text : text.substr(text.find(": ") + 2);
  }
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

std::string shown_name(const std::string& names) { return names.substr(names.rfind(',') + 1); }

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
  app_->finish(app_->cli.add_option(name, to, text), value, need)->check([name](const std::string& word) {
    return word.empty() ? shown_name(name) + " has an empty value" : "";
  });
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

void Parser::add_config(const std::string& name, const std::string& value, const std::string& text) {
  app_->finish(app_->cli.set_config(name, "", text), value, Need::optional);
  app_->cli.allow_config_extras(CLI::config_extras_mode::error);
  app_->cli.config_formatter(std::make_shared<TomlConfig>(app_->cli));
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
  std::vector<std::string> words = app_->cli.remaining();
  std::erase(words, "--");
  if (words.empty()) return "";
  const Description description = describe();
  const auto is_option = [](const std::string& word) { return word.size() > 1 && word.starts_with('-'); };
  // What follows a word belongs to the command that was meant: "hist ls -la".
  const auto option = std::find_if(words.begin(), words.end(), is_option);
  if (option != words.end() && (option == words.begin() || !description.takes_commands())) {
    std::vector<std::string> names;
    for (const OptionDescription& one : description.options) names.insert(names.end(), one.names.begin(), one.names.end());
    const std::string name = option->substr(0, option->find('='));
    return "unknown option '" + name + "'" + suggestion(name, names);
  }
  const std::string start = "unexpected argument '" + words.front() + "'";
  const bool takes_pids = std::any_of(description.options.begin(), description.options.end(),
                                      [](const OptionDescription& one) { return one.value == "PID"; });
  const std::string command = app_->command + " ";
  if (takes_pids && !words.front().empty() && words.front().find_first_not_of("0123456789") == std::string::npos) {
    return start + "; to select a process, use '" + command + "-p " + words.front() + "'";
  }
  if (description.takes_commands()) {
    return start + (description.starts_commands() ? "; to start a command" : "; to check a command") + ", use '" + command +
           "-- " + joined(words) + "'";
  }
  return start;
}

void Parser::parse(const Arguments& arguments) {
  std::vector<std::string> words = arguments.options;
  for (const std::string& word : words) {
    if (word == "--help" || word == "-h") throw HelpRequested{help()};
    // The library would take the next word.
    if (word.starts_with("--") && word.find('=') == word.size() - 1)
      throw UsageError{word.substr(0, word.size() - 1) + " has an empty value"};
  }
  const Description description = describe();
  if (!description.takes_commands()) {
    // "--" only ends the options.
    if (arguments.has_command && description.positionals.empty()) {
      throw UsageError{"this command starts no program; leave out '--' and what follows it"};
    }
    if (arguments.has_command) words.emplace_back("--");
    words.insert(words.end(), arguments.command.begin(), arguments.command.end());
  }
  std::vector<std::string> reversed(words.rbegin(), words.rend());
  try {
    app_->cli.parse(std::move(reversed));
  } catch (const CLI::CallForHelp&) {  // "-ah"
    throw HelpRequested{help()};
  } catch (const CLI::ConfigError& error) {
    // "INI was not able to parse NAME"
    const std::string text = error.what();
    throw UsageError{"'" + text.substr(text.rfind(' ') + 1) + "' in " + app_->cli.get_config_ptr()->as<std::string>() +
                     " is no option of this command"};
  } catch (const CLI::ParseError& error) {
    const std::string problem = unexpected();
    throw UsageError{problem.empty() ? usage_problem(error) : problem};
  }
}

std::string Parser::help() const { return app_->cli.help(); }

bool Parser::was_given(const std::string& name) const { return app_->cli.count(name) != 0; }

}  // namespace waitprobe::cli
