// SPDX-License-Identifier: MIT
#include "src/cli/shared_options.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "src/collect/process/process.h"

namespace waitprobe::cli {
namespace {

constexpr double most_seconds = 1e9;  // 31 years

// A whole number, or nothing.
template <class T>
std::optional<T> whole_number(const std::string& text) {
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

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
