// SPDX-License-Identifier: MIT
#include "src/cli/completion.h"

#include <algorithm>

#include "src/cli/help.h"

namespace waitprobe::cli {
namespace {

// What the value of an option is completed with.
enum class Kind { none, nothing, file, pid, choice };  // none: it takes no value; nothing: one that nobody can guess

Kind kind_of(const OptionDescription& option) {
  if (!option.choices.empty()) return Kind::choice;
  const std::string& value = option.value.empty() ? option.names.front() : option.value;
  if (value == "FILE" || value == "PAGE" || value == "DIRECTORY") return Kind::file;
  if (value == "PID") return Kind::pid;
  return option.value.empty() ? Kind::none : Kind::nothing;
}

// Between single quotes.
std::string quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

// One word a line: file names may hold blanks.
std::string bash_reply(const std::string& generator) {
  return "mapfile -t COMPREPLY < <(compgen " + generator + " -- \"$word\")";
}

std::string bash_reply(const OptionDescription& option) {
  switch (kind_of(option)) {
    case Kind::file:
      return bash_reply("-f");
    case Kind::pid:
      return bash_reply("-W \"$(cd /proc && echo [0-9]*)\"");
    case Kind::choice:
      return bash_reply("-W " + quoted(joined(option.choices)));
    default:
      return "COMPREPLY=()";
  }
}

void print_bash_command(std::ostream& out, const CommandRow& row) {
  const Description description = describe(row);
  std::vector<std::string> names;
  out << "    " << row.name << ")\n      case $before in\n";
  for (const OptionDescription& option : description.options) {
    names.insert(names.end(), option.names.begin(), option.names.end());
    if (kind_of(option) != Kind::none)
      out << "        " << joined(option.names, " | ") << ") " << bash_reply(option) << "; return ;;\n";
  }
  if (description.takes_commands()) names.emplace_back("--");
  out << "      esac\n";
  if (!description.positionals.empty()) {
    out << "      if [[ $word != -* ]]; then " << bash_reply(description.positionals.front()) << "; return; fi\n";
  }
  out << "      " << bash_reply("-W " + quoted(joined(names))) << " ;;\n";
}

// Of waitprobe itself.
constexpr const char* own_options = "-h --help -V --version";

void print_bash(std::ostream& out) {
  std::vector<std::string> names;
  for (const CommandRow& row : commands()) names.emplace_back(row.name);
  out << "# Completion of waitprobe for bash; made by waitprobe completion bash.\n"
         "_waitprobe() {\n"
         "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} i\n"
         "  COMPREPLY=()\n"
         "  # In --name=value the equals sign is a word of its own.\n"
         "  if [[ $word == = ]]; then word=; elif [[ $before == = ]]; then before=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
         "  if ((COMP_CWORD == 1)) && [[ $word == -* ]]; then "
      << bash_reply("-W " + quoted(own_options))
      << "; return; fi\n"
         "  if ((COMP_CWORD == 1)); then "
      << bash_reply("-W " + quoted(joined(names)))
      << "; return; fi\n"
         "  for ((i = 2; i < COMP_CWORD; i++)); do\n"
         "    [[ ${COMP_WORDS[i]} == -- ]] || continue\n"
         "    # A command that is to be started, and its words.\n"
         "    if declare -F _command_offset >/dev/null; then _command_offset $((i + 1))\n"
         "    elif ((COMP_CWORD == i + 1)); then "
      << bash_reply("-c") << "\n    else " << bash_reply("-f")
      << "; fi\n"
         "    return\n"
         "  done\n"
         "  case ${COMP_WORDS[1]} in\n";
  for (const CommandRow& row : commands()) print_bash_command(out, row);
  out << "  esac\n}\ncomplete -o filenames -F _waitprobe waitprobe\n";
}

// Text of _arguments, which brackets and colons would end.
std::string zsh_text(const std::string& text) {
  std::string escaped;
  for (const char c : text) escaped += (c == '[' || c == ']' || c == ':' || c == '\\' ? "\\" : "") + std::string(1, c);
  return escaped;
}

std::string zsh_value(const OptionDescription& option) {
  const std::string message = ":" + zsh_text(option.value.empty() ? option.names.front() : option.value) + ":";
  switch (kind_of(option)) {
    case Kind::file:
      return message + "_files";
    case Kind::pid:
      return message + "_pids";
    case Kind::choice:
      return message + "(" + joined(option.choices) + ")";
    case Kind::nothing:
      return message;
    default:
      return "";
  }
}

void print_zsh_command(std::ostream& out, const CommandRow& row) {
  const Description description = describe(row);
  out << "    " << row.name << ")\n      _arguments";
  for (const OptionDescription& option : description.options) {
    for (const std::string& name : option.names) {
      const bool may_be_one_word = name.starts_with("--") && kind_of(option) != Kind::none;  // --name=value
      out << " \\\n        "
          << quoted("*" + name + (may_be_one_word ? "=" : "") + "[" + zsh_text(option.text) + "]" + zsh_value(option));
    }
  }
  for (const OptionDescription& positional : description.positionals)
    out << " \\\n        " << quoted("*" + zsh_value(positional));
  out << " ;;\n";
}

void print_zsh(std::ostream& out) {
  out << "#compdef waitprobe\n"
         "# Completion of waitprobe for zsh; made by waitprobe completion zsh.\n"
         "_waitprobe() {\n"
         "  if (( CURRENT == 2 )) && [[ $words[2] == -* ]]; then\n    compadd -- "
      << own_options
      << "\n    return\n  fi\n"
         "  if (( CURRENT == 2 )); then\n    local -a commands=(\n";
  for (const CommandRow& row : commands())
    out << "      " << quoted(std::string(row.name) + ":" + zsh_text(row.summary)) << "\n";
  out << "    )\n    _describe command commands\n    return\n  fi\n"
         "  local dashes=${words[(ie)--]}\n"
         "  if (( dashes < CURRENT )); then\n"
         "    # A command that is to be started, and its words.\n"
         "    shift $dashes words\n    (( CURRENT -= dashes ))\n    _normal\n    return\n  fi\n"
         "  local command=$words[2]\n  shift words\n  (( CURRENT-- ))\n  case $command in\n";
  for (const CommandRow& row : commands()) print_zsh_command(out, row);
  out << "  esac\n}\nif [[ $funcstack[1] == _waitprobe ]]; then _waitprobe \"$@\"; else compdef _waitprobe waitprobe; fi\n";
}

std::string fish_value(const OptionDescription& option) {
  switch (kind_of(option)) {
    case Kind::file:
      return " -r -F";
    case Kind::pid:
      return " -x -a '(__fish_complete_pids)'";
    case Kind::choice:
      return " -x -a " + quoted(joined(option.choices));
    case Kind::nothing:
      return " -x";
    default:
      return "";
  }
}

// fish knows only the backslash within single quotes.
std::string fish_text(const std::string& text) {
  std::string escaped = "'";
  for (const char c : text) escaped += (c == '\'' || c == '\\' ? "\\" : "") + std::string(1, c);
  return escaped + "'";
}

void print_fish_command(std::ostream& out, const CommandRow& row) {
  const Description description = describe(row);
  const std::string begin = "complete -c waitprobe -n '__waitprobe_has " + std::string(row.name) + "'";
  for (const OptionDescription& option : description.options) {
    out << begin;
    for (const std::string& name : option.names)
      out << (name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1));
    out << fish_value(option) << " -d " << fish_text(option.text) << "\n";
  }
  for (const OptionDescription& positional : description.positionals) {
    if (kind_of(positional) == Kind::file) out << begin << " -F\n";
    if (kind_of(positional) == Kind::choice) out << begin << " -a " << quoted(joined(positional.choices)) << "\n";
  }
}

void print_fish(std::ostream& out) {
  out << "# Completion of waitprobe for fish; made by waitprobe completion fish.\n"
         "function __waitprobe_has\n"
         "    set -l words (commandline -opc)\n"
         "    test \"$words[2]\" = $argv[1]; and not contains -- -- $words\n"
         "end\n"
         "# A command that is to be started, and its words.\n"
         "function __waitprobe_command\n"
         "    set -l words (commandline -opc)\n"
         "    set -l dashes (contains -i -- -- $words); or return\n"
         "    set -e words[1..$dashes]\n"
         "    complete -C (string join -- ' ' (string escape -- $words) (commandline -ct))\n"
         "end\n"
         "complete -c waitprobe -f\n"
         "complete -c waitprobe -n 'contains -- -- (commandline -opc)' -a '(__waitprobe_command)'\n";
  for (const CommandRow& row : commands()) {
    out << "complete -c waitprobe -n 'test (count (commandline -opc)) -eq 1' -a " << row.name << " -d "
        << fish_text(row.summary) << "\n";
  }
  out << "complete -c waitprobe -n 'test (count (commandline -opc)) -eq 1' -s h -l help -d 'Print the help'\n"
         "complete -c waitprobe -n 'test (count (commandline -opc)) -eq 1' -s V -l version -d 'Print the version'\n";
  for (const CommandRow& row : commands()) print_fish_command(out, row);
}

struct Shell {
  const char* name;
  void (*print)(std::ostream& out);
};
constexpr Shell table[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};

}  // namespace

std::vector<std::string> shells() {
  std::vector<std::string> names;
  for (const Shell& shell : table) names.emplace_back(shell.name);
  return names;
}

void print_completion(std::ostream& out, const std::string& shell) {
  std::find_if(std::begin(table), std::end(table), [&](const Shell& one) { return shell == one.name; })->print(out);
}

}  // namespace waitprobe::cli
