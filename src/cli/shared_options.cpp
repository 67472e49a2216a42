// SPDX-License-Identifier: MIT
#include "src/cli/shared_options.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <iostream>
#include <utility>

#include "bpf/tool_abi.h"
#include "src/collect/process/library_instances.h"

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

ProcessOptions::ProcessOptions(Parser& parser) {
  parser.add_lists("-p,--pid", "PID", "Only these processes: -p 1,2 or -p 1 2; repeatable", [this](const std::string& text) {
    const auto pid = whole_number<std::uint32_t>(text);
    if (text.starts_with('-')) throw UsageError{"option '--pid' needs a value"};  // and not the next option
    if (!pid || *pid == 0) throw UsageError{"'" + text + "' is not a process ID"};
    pids_.push_back(*pid);
  });
  parser.add_values("--comm", "GLOB", "Only processes of this name, e.g. 'redis*'; repeatable",
                    [this](const std::string& glob) {
                      if (glob.empty()) throw UsageError{"--comm has an empty value"};
                      globs_.push_back(glob);
                    });
}

std::vector<std::uint32_t> ProcessOptions::pids() const {
  std::vector<std::uint32_t> pids = pids_;
  for (const std::string& glob : globs_) {
    const auto named = carriers_named(glob);
    if (!named) throw NothingFound{named.error()};
    pids.insert(pids.end(), named->begin(), named->end());
  }
  std::sort(pids.begin(), pids.end());
  pids.erase(std::unique(pids.begin(), pids.end()), pids.end());
  return pids;
}

TargetOptions::TargetOptions(Parser& parser) : processes_(parser) {
  parser.add_flag("-a,--all", choice_.all, "All processes, also those that start later");
  parser.add_text("-f,--file", choice_.file, "FILE", "All processes that map this file, now or later");
  parser.set_target_usage("(-p PID | -a | -f FILE | -- CMD ARGS...)");
}

void TargetOptions::add_force(Parser& parser) {
  parser.add_flag("--force", choice_.is_forced, "Attach even if that kills a process of the same file");
}

void TargetOptions::add_max_series(Parser& parser) {
  const auto take = [this](const std::string& text) {
    const auto number = whole_number<std::uint32_t>(text);
    if (!number || *number < WP_POOL_SIZE_MIN || *number > WP_POOL_SIZE_MAX) {
      throw UsageError{"--max-series takes a number from " + std::to_string(WP_POOL_SIZE_MIN) + " to " +
                       std::to_string(WP_POOL_SIZE_MAX) + ", not '" + text + "'"};
    }
    choice_.max_series = *number;
  };
  parser.add_value("--max-series", "N", "Histograms in use at a time (default: 16384; 3 KB each)", take);
}

TargetChoice TargetOptions::choice(const Parser& parser, const Arguments& arguments) const {
  const std::string usage = parser.describe().targets, kinds = usage.substr(1, usage.size() - 2);
  const int cnt =
      (processes_.has_any() ? 1 : 0) + (choice_.all ? 1 : 0) + (choice_.file.empty() ? 0 : 1) + (arguments.has_command ? 1 : 0);
  if (cnt == 0) throw UsageError{"no target; use " + kinds};
  if (cnt > 1) throw UsageError{"more than one kind of target; use only one of " + kinds};
  if (arguments.has_command && arguments.command.empty()) throw UsageError{"no command after '--'"};
  TargetChoice choice = choice_;
  choice.pids = processes_.pids();
  choice.are_named = processes_.are_named();
  choice.command = arguments.command;
  return choice;
}

// One after the other: "1h30m".
std::optional<std::uint64_t> parse_duration(const std::string& text) {
  constexpr std::pair<const char*, double> units[] = {{"ns", 1},  {"us", 1e3}, {"ms", 1e6},
                                                      {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  double sum_ns = 0;
  do {
    double number = 0;
    const auto parsed = std::from_chars(at, end, number);
    if (parsed.ec != std::errc() || !(number >= 0)) return std::nullopt;
    const char* const unit_end = std::find_if(parsed.ptr, end, [](char c) { return c < 'a' || c > 'z'; });
    const std::string_view name(parsed.ptr, unit_end);
    const auto unit = std::find_if(std::begin(units), std::end(units), [&](const auto& known) { return name == known.first; });
    const bool is_bare = name.empty() && at == text.data() && unit_end == end;
    if (unit == std::end(units) && !is_bare) return std::nullopt;
    sum_ns += number * (is_bare ? 1e9 : unit->second);
    at = unit_end;
  } while (at != end);
  if (sum_ns > most_seconds * 1e9) return std::nullopt;
  return static_cast<std::uint64_t>(sum_ns);
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

void add_class_globs(Parser& parser, ClassGlobs& globs) {
  parser.add_values("--idle", "GLOB", "Treat matching keys as waits for work; repeatable",
                    [&globs](const std::string& glob) { globs.idle.push_back(glob); });
  parser.add_values("--work", "GLOB", "Treat matching keys as measured work; repeatable",
                    [&globs](const std::string& glob) { globs.work.push_back(glob); });
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

void tell_where_names_come_from() {
  const char* servers = std::getenv("DEBUGINFOD_URLS");
  if (!WAITPROBE_IS_ONE_FILE || servers == nullptr || *servers == '\0') return;
  std::cerr << "waitprobe: names come from the files of this machine alone: this waitprobe is one file, which cannot ask "
               "debuginfod\n";
}

}  // namespace waitprobe::cli
