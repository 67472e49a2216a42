// SPDX-License-Identifier: MIT
#include <algorithm>
#include <iostream>
#include <sstream>

#include "src/cli/command_table.h"
#include "src/cli/output.h"
#include "src/cli/parser.h"
#include "src/cli/shared_options.h"
#include "src/collect/process/tracefs_events.h"
#include "src/view/note_lines.h"
#include "src/view/tracefs_lines.h"

namespace waitprobe::cli {
namespace {

struct Options {
  TargetChoice targets;
  std::string group = "waitprobe";
  bool removes = false;
  std::optional<TargetOptions> target_options;
};

// What the kernel takes for the name of a group.
bool is_name(const std::string& text) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !text.empty() && text.size() < 64 && is_letter(text.front()) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

void declare(Parser& parser, Options& options) {
  options.target_options.emplace(parser);
  parser.add_text("--group", options.group, "NAME", "Group of the events (default: waitprobe)");
  parser.add_flag("--remove", options.removes, "Print the lines that remove the events");
  parser.set_target_usage("(-p PID | -a | -f FILE | --remove)");
}

void finish(Options& options, const Parser& parser, const Arguments& arguments) {
  if (options.removes && options.target_options->has_any())
    throw UsageError{"--remove takes no target: it removes all events of the group"};
  if (!is_name(options.group)) {
    throw UsageError{"--group takes at most 63 letters, digits and underscores, not starting with a digit; not '" +
                     options.group + "'"};
  }
  if (!options.removes) options.targets = options.target_options->choice(parser, arguments);
}

}  // namespace

void declare_tracefs(Parser& parser) { declare(parser, parser.keep<Options>()); }

Result<int> run_tracefs(const CommandRow& row, const Arguments& arguments) {
  const Options options = parsed<Options>(row, arguments, declare, finish);
  std::ostringstream out;
  if (options.removes) {
    print_removals(out, options.group);
  } else {
    const auto found = tracefs_events(options.targets);
    if (!found) return found.error();
    for (const Error& error : found->left_out) report(std::cerr, error, "warning: cannot");
    print_unseen(std::cerr, found->unseen);
    if (found->events.empty()) {
      const bool is_certain = !found->unseen.any() && found->left_out.empty();
      return Error{
          "define events for", "this machine",
          is_certain ? "no process carries the probes of waitprobe" : "no process that could be read carries usable probes",
          "start the program, or name its file: -f FILE"};
    }
    print_definitions(out, found->events, options.group);
  }
  const auto printed = write_output(out.view());
  return printed ? Result<int>(0) : printed.error();
}

}  // namespace waitprobe::cli
