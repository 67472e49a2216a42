// SPDX-License-Identifier: MIT
#include <set>
#include <sstream>

#include "src/cli/command_table.h"
#include "src/cli/exit_status.h"
#include "src/cli/output.h"
#include "src/cli/parser.h"
#include "src/cli/shared_options.h"
#include "src/cli/terminal.h"
#include "src/collect/process/library_instances.h"
#include "src/collect/machine/machine_checks.h"
#include "src/collect/doctor/self_test.h"
#include "src/collect/doctor/target_checks.h"
#include "src/model/rights.h"
#include "src/view/doctor_lines.h"
#include "src/view/json.h"

namespace waitprobe::cli {
namespace {

struct Options {
  TargetChoice targets;
  bool has_targets = false;
  bool json = false;
  std::optional<TargetOptions> target_options;
  std::string color = "auto";
};

void declare(Parser& parser, Options& options) {
  options.target_options.emplace(parser);
  parser.set_target_usage("[-p PID | -a | -f FILE | -- CMD ARGS...]");
  parser.add_flag("--json", options.json, "Print one JSON object");
  add_color(parser, options.color);
}

void finish(Options& options, const Parser& parser, const Arguments& arguments) {
  options.has_targets = options.target_options->has_any() || arguments.has_command;
  if (options.has_targets) options.targets = options.target_options->choice(parser, arguments);
}

Findings examine_machine() {
  Findings findings{"this machine and this user", check_machine()};
  for (Check& check : run_self_test()) findings.checks.push_back(std::move(check));
  return findings;
}

// Of all processes, those that carry probes.
Result<void> examine_all(const UprobePrograms& programs, BeforeAttaching& before, Diagnosis& diagnosis) {
  const auto found = InstanceFinder().find_all({});
  if (!found) return found.error();
  std::set<std::uint32_t> pids;
  for (const LibraryInstance& instance : found->instances) pids.insert(instance.pid);
  for (const std::uint32_t pid : pids) {
    auto findings = check_process(pid, programs, before);
    if (findings) diagnosis.findings.push_back(std::move(*findings));  // else it has ended meanwhile
  }
  if (!found->unseen.any()) return {};
  std::string others = "those that /proc does not list (hidepid) may contain probes";
  if (found->unseen.process_cnt != 0) {
    others = std::to_string(found->unseen.process_cnt) + " could not be read and may contain probes";
  }
  diagnosis.findings.push_back(
      {"other processes",
       {{"memory map", CheckStatus::unknown, true, others, found->unseen.has_all_rights ? "" : rights_fix}}});
  return {};
}

// Errors: a target that was named is not there.
Result<void> examine_targets(const TargetChoice& targets, Diagnosis& diagnosis) {
  const UprobePrograms programs = read_uprobe_programs();
  InstanceFinder finder;
  BeforeAttaching before(finder);
  const auto add = [&](Result<Findings> findings) -> Result<void> {
    if (!findings) return findings.error();
    diagnosis.findings.push_back(std::move(*findings));
    return {};
  };
  if (!targets.file.empty()) return add(check_file(targets.file, programs, before));
  if (!targets.command.empty()) return add(check_command(targets.command.front(), programs, before));
  for (const std::uint32_t pid : targets.pids) {
    if (auto added = add(check_process(pid, programs, before)); !added) return added;
  }
  return targets.all ? examine_all(programs, before, diagnosis) : Result<void>();
}

}  // namespace

void declare_doctor(Parser& parser) { declare(parser, parser.keep<Options>()); }

Result<int> run_doctor(const CommandRow& row, const Arguments& arguments) {
  const Options options = parsed<Options>(row, arguments, declare, finish);
  Diagnosis diagnosis;
  diagnosis.findings.push_back(examine_machine());
  if (options.has_targets) {
    if (auto examined = examine_targets(options.targets, diagnosis); !examined) return examined.error();
  }
  std::ostringstream out;
  if (options.json) {
    print_json(out, diagnosis);
  } else {
    print_diagnosis(out, diagnosis, output_width(), wanted_colours(options.color));
  }
  const auto printed = write_output(out.view());
  if (!printed) return printed.error();
  return diagnosis.will_work() ? 0 : will_not_work;
}

}  // namespace waitprobe::cli
