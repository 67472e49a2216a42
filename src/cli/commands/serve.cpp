// SPDX-License-Identifier: MIT
#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <climits>
#include <iostream>
#include <memory>
#include <optional>
#include <utility>

#include "src/cli/agent.h"
#include "src/cli/command_table.h"
#include "src/cli/output.h"
#include "src/cli/parser.h"
#include "src/cli/shared_options.h"
#include "src/cli/stop_signals.h"
#include "src/cli/tracing.h"
#include "src/collect/machine/clock.h"
#include "src/collect/machine/confinement.h"
#include "src/collect/trace/hist_session.h"
#include "src/serve/http_server.h"
#include "src/serve/listen_address.h"

namespace waitprobe::cli {
namespace {

using Event = TargetSession::Event;

struct Options {
  std::optional<TargetOptions> target_options;
  TargetChoice targets;
  std::string listen = "127.0.0.1:9464";
  std::vector<std::string> host_names;
  bool is_insecure = false;
  LabelChoice labels;
  std::string group_by;
  std::uint64_t max_series = WaitTotals::default_max_series;
  AgentView view;
  std::optional<ReadyFd> ready;
};

void choose_label(LabelChoice& labels, const std::string& name) {
  bool* const chosen = name == "pid"         ? &labels.pid
                       : name == "unit"      ? &labels.unit
                       : name == "container" ? &labels.container
                       : name == "pod"       ? &labels.pod
                                             : nullptr;
  if (chosen == nullptr) throw UsageError{"unknown label '" + name + "', not one of pid, unit, container, pod"};
  *chosen = true;
}

void declare(Parser& parser, Options& options) {
  options.target_options.emplace(parser);
  parser.set_target_usage("(-p PID | -a | -f FILE)");
  parser.add_text("--listen", options.listen, "ADDRESS:PORT", "Where to serve (default: 127.0.0.1:9464)");
  parser.add_texts("--host-name", options.host_names, "NAME", "A name that clients may call this server by; repeatable");
  parser.add_flag("--insecure", options.is_insecure, "Serve beyond this machine without TLS and passwords");
  parser.add_lists("--labels", "LABEL", "More labels: pid, unit, container, pod",
                   [&options](const std::string& name) { choose_label(options.labels, name); });
  add_group_by(parser, options.group_by);
  add_count(parser, "--max-series", options.max_series, "Label sets of waits at most (default: 10000)");
  parser.add_value("--buckets", "LIST", "Upper bounds of classic buckets, in seconds: 2^-10,2^-3,1",
                   [&options](const std::string& text) {
                     auto bounds = parse_classic_bounds(text);
                     if (!bounds) throw UsageError{bounds.error().why};
                     options.view.bounds = std::move(*bounds);
                   });
  add_key_globs(parser, options.view.key_globs);
  add_class_globs(parser, options.view.class_globs);
  parser.add_config("--config", "FILE", "Read these options from a file of TOML; SIGHUP reads it again");
  options.target_options->add_force(parser);
  options.ready.emplace(parser);
}

void finish(Options& options, const Parser& parser, const Arguments& arguments) {
  options.targets = options.target_options->choice(parser, arguments);
  if (!options.targets.command.empty()) throw UsageError{"this command starts no program; use -p, -a or -f"};
  if (options.max_series < WaitTotals::least_max_series)
    throw UsageError{"--max-series is less than " + std::to_string(WaitTotals::least_max_series)};
  options.labels.group = !options.group_by.empty();
}

Options parsed_options(const CommandRow& row, const Arguments& arguments) {
  return parsed<Options>(row, arguments, declare, finish);
}

Result<ListenAddress> listen_address(const Options& options) {
  auto address = parse_listen_address(options.listen);
  if (!address || address->is_loopback || options.is_insecure) return address;
  return Error{"listen on", options.listen, "anybody who can reach this machine could read the metrics",
               "listen on 127.0.0.1, or allow it by --insecure"};
}

// What may change while it runs is taken over; the rest is told.
void read_again(const CommandRow& row, const Arguments& arguments, Agent& agent) {
  try {
    agent.set_view(parsed_options(row, arguments).view);
    std::cerr
        << "waitprobe: the options have been read again: keys, classes and buckets are as they say; others need a restart\n";
  } catch (const UsageError& error) {
    report(std::cerr, {"read", "the options again", error.text, "the agent goes on with those that it has"});
  } catch (const NothingFound& error) {
    report(std::cerr, error.error);
  }
}

// Those who wanted to know of targets that have ended may not have asked yet, so it stays.
Event wait_until(HistSession& session, const StopSignals& signals, const Agent& agent) {
  TargetSession& targets = session.targets();
  if (targets.ended_ns() == 0) {
    const Event event = targets.run_until(agent.due_ns(), agent.wake_fd());
    if (event != Event::ended) return event;
    session.detach();
    std::cerr << "waitprobe: all targets have ended; what was counted is served until Ctrl-C\n";
    return Event::woken;
  }
  pollfd waits[] = {{signals.fd(), POLLIN, 0}, {agent.wake_fd(), POLLIN, 0}};
  const std::uint64_t now = now_ns();
  const std::uint64_t left_ms = agent.due_ns() > now ? (agent.due_ns() - now) / 1'000'000 + 1 : 0;
  poll(waits, 2, static_cast<int>(std::min<std::uint64_t>(left_ms, INT_MAX)));
  if ((waits[0].revents & POLLIN) != 0) return Event::stopped;
  return Event::woken;
}

int run(HistSession& session, const StopSignals& signals, Agent& agent, const CommandRow& row, const Arguments& arguments) {
  agent.take();
  for (;;) {
    const Event event = wait_until(session, signals, agent);
    print_warnings(session.targets());
    if (event == Event::stopped) {
      const auto signal = signals.take();
      if (!signal || signal->number != SIGHUP) return 0;
      read_again(row, arguments, agent);
    }
    agent.take();
  }
}

}  // namespace

void declare_serve(Parser& parser) { declare(parser, parser.keep<Options>()); }

Result<int> run_serve(const CommandRow& row, const Arguments& arguments) {
  const Options options = parsed_options(row, arguments);
  const StopSignals signals;
  const auto address = listen_address(options);
  if (!address) return address.error();
  const bool tells_places = options.labels.unit || options.labels.container || options.labels.pod;
  auto opened = HistSession::open(
      options.targets,
      {.group_by = options.group_by, .measures_run_time = true, .tells_control_groups = tells_places, .keeps_exemplars = true},
      signals.fd());
  if (!opened) return opened.error();
  HistSession& session = **opened;
  if (auto started = session.targets().start(); !started) return started.error();
  if (auto confined = confine_to_tracing(); !confined) return confined.error();

  Agent agent(session, options.labels, options.max_series, options.view);
  HttpServerOptions http;
  http.listen = *address;
  http.host_names = options.host_names;
  auto server = HttpServer::start(std::move(http), agent);
  if (!server) return server.error();
  std::cerr << "waitprobe: serving http://" << options.listen.substr(0, options.listen.rfind(':')) << ':' << server->port()
            << "/metrics; attached to " << session.targets().file_cnt() << " files; Ctrl-C ends\n";
  options.ready->tell();
  const int status = run(session, signals, agent, row, arguments);
  agent.stop();
  server->stop();
  return status;
}

}  // namespace waitprobe::cli
