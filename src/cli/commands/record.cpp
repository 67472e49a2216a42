// SPDX-License-Identifier: MIT
#include <sys/utsname.h>

#include <sstream>

#include "src/cli/command_table.h"
#include "src/cli/live_source.h"
#include "src/cli/parser.h"
#include "src/cli/shared_options.h"
#include "src/recording/recording_file.h"
#include "src/cli/snapshots.h"
#include "src/cli/stop_signals.h"
#include "src/cli/tracing.h"
#include "src/collect/machine/clock.h"
#include "src/collect/trace/hist_session.h"
#include "src/view/json.h"

namespace waitprobe::cli {
namespace {

using Event = TargetSession::Event;

struct Options {
  LiveOptions live;
  std::vector<std::string> key_globs;
  ClassGlobs class_globs;
  std::string group_by;
  std::string file;
  bool overwrite = false;
  std::optional<TargetOptions> target_options;
  std::optional<ReadyFd> ready;
};

void declare(Parser& parser, Options& options) {
  options.live.interval_ns = 1'000'000'000;
  options.target_options.emplace(parser);
  parser.add_text("-o,--output", options.file, "FILE", "Output file; - for the standard output", Parser::Need::required);
  parser.add_flag("--overwrite", options.overwrite, "Replace the file if it exists");
  add_live_options(parser, options.live, "Time from snapshot to snapshot (default: 1s)");
  add_key_globs(parser, options.key_globs);
  add_class_globs(parser, options.class_globs);
  add_group_by(parser, options.group_by);
  options.target_options->add_max_series(parser);
  options.target_options->add_force(parser);
  options.ready.emplace(parser);
}

void finish(Options& options, const Parser& parser, const Arguments& arguments) {
  options.live.targets = options.target_options->choice(parser, arguments);
}

// As they stand on the command line.
std::vector<std::string> words_of(const TargetChoice& targets) {
  std::vector<std::string> words;
  for (const std::uint32_t pid : targets.pids) words.insert(words.end(), {"-p", std::to_string(pid)});
  if (targets.all) words.emplace_back("-a");
  if (!targets.file.empty()) words.insert(words.end(), {"-f", targets.file});
  if (targets.command.empty()) return words;
  words.emplace_back("--");
  words.insert(words.end(), targets.command.begin(), targets.command.end());
  return words;
}

RecordingHeader header_of(const Options& options) {
  utsname system = {};
  uname(&system);
  const std::string boot = read_proc_file("/proc/sys/kernel/random/boot_id").value_or("");
  return {WAITPROBE_VERSION,
          clock_ns(CLOCK_REALTIME),
          system.nodename,
          boot.substr(0, boot.find('\n')),
          std::string(system.sysname) + " " + system.release,
          system.machine,
          words_of(options.live.targets),
          options.key_globs,
          options.group_by};
}

RecordingEnd end_of(Event event) {
  if (event == Event::ended) return RecordingEnd::targets_ended;
  return event == Event::stopped ? RecordingEnd::stopped : RecordingEnd::time_was_up;
}

Result<bool> write(RecordingFile& file, const auto& line) {
  std::ostringstream out;
  print_json(out, line);
  return file.write_line(out.view());
}

// Until the end. What was written is whole, whatever ends it.
Result<void> record(HistSession& session, SessionEnd& end, const Options& options, RecordingFile& file) {
  LiveSource source(session, end);
  const auto begun = write(file, header_of(options));
  if (!begun) return begun.error();
  if (!*begun) return {};
  bool is_read = true;
  const auto written =
      for_each_interval(source, {0, UINT64_MAX, options.live.interval_ns}, [&](Snapshot snapshot) -> Result<bool> {
        classify(snapshot, options.class_globs);
        keep_keys(snapshot, options.key_globs);
        const auto line = write(file, snapshot);
        is_read = line && *line;
        return line;
      });
  if (!written || !is_read) return written;
  const auto ended = write(file, end_of(end.reason()));
  return ended ? Result<void>() : ended.error();
}

}  // namespace

void declare_record(Parser& parser) { declare(parser, parser.keep<Options>()); }

Result<int> run_record(const CommandRow& row, const Arguments& arguments) {
  const Options options = parsed<Options>(row, arguments, declare, finish);
  const StopSignals signals;
  // The file first: it would be a pity to have started a command for nothing.
  auto file = RecordingFile::create(options.file, options.overwrite);
  if (!file) return file.error();
  auto opened = HistSession::open(options.live.targets, {.group_by = options.group_by}, signals.fd());
  if (!opened) {
    file->remove();
    return opened.error();
  }
  HistSession& session = **opened;
  options.ready->tell();
  if (auto started = session.targets().start(); !started) {
    file->remove();
    return started.error();
  }
  SessionEnd end(session.targets(), signals, options.live.duration_ns, SessionEnd::Telling::on_stderr);
  const auto recorded = record(session, end, options, *file);
  const int status = end.finish();
  return recorded ? Result<int>(with_verification(status, session.targets())) : recorded.error();
}

}  // namespace waitprobe::cli
