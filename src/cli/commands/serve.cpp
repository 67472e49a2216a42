// SPDX-License-Identifier: MIT
#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <functional>
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
#include "src/collect/machine/descriptor_limit.h"
#include "src/collect/trace/hist_session.h"
#include "src/serve/http_server.h"
#include "src/serve/listen_address.h"
#include "src/serve/otlp_push.h"
#include "src/serve/service_manager.h"
#include "src/serve/web_config.h"

namespace waitprobe::cli {
namespace {

using Event = TargetSession::Event;

// Their waits are in the totals by labels already, so few are told apart: as many as may end between two snapshots.
constexpr std::size_t most_ended = 1'000;

struct Options {
  std::optional<TargetOptions> target_options;
  TargetChoice targets;
  std::string listen = "127.0.0.1:9464";
  std::vector<std::string> host_names;
  std::string web_config;
  bool is_insecure = false;
  OtlpPushOptions otlp;
  LabelChoice labels;
  std::string group_by;
  std::uint64_t max_series = WaitTotals::default_max_series;
  std::string buckets;
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

void add_push_interval(Parser& parser, OtlpPushOptions& otlp) {
  parser.add_value("--otlp-interval", "TIME", "How often to push (default: 15s)", [&otlp](const std::string& text) {
    const auto interval_ns = parse_duration(text);
    if (!interval_ns || *interval_ns < 1'000'000'000 || *interval_ns > 86'400'000'000'000)
      throw UsageError{"--otlp-interval is a time from 1s to 24h, such as 15s"};
    otlp.interval = std::chrono::milliseconds(*interval_ns / 1'000'000);
  });
  parser.explain_times();
}

void declare(Parser& parser, Options& options) {
  options.target_options.emplace(parser);
  parser.set_target_usage("(-p PID | -a | -f FILE)");
  parser.add_text("--listen", options.listen, "ADDRESS:PORT", "Where to serve (default: 127.0.0.1:9464)");
  parser.add_texts("--host-name", options.host_names, "NAME", "A name of this server, for the header Host; repeatable");
  parser.add_text("--web-config", options.web_config, "FILE", "TLS and users: a web.config.file of Prometheus");
  parser.add_flag("--insecure", options.is_insecure, "Serve beyond this machine without TLS and passwords");
  parser.add_lists("--labels", "LABEL", "More labels: pid, unit, container, pod",
                   [&options](const std::string& name) { choose_label(options.labels, name); });
  add_group_by(parser, options.group_by);
  add_count(parser, "--max-series", options.max_series, "Label sets of waits at most (default: 10000)");
  parser.add_lists("--buckets", "LIST", "Bounds of classic buckets in seconds: 2^-10,2^-3,1",
                   [&options](const std::string& bound) { options.buckets += (options.buckets.empty() ? "" : ",") + bound; });
  parser.add_text("--otlp", options.otlp.url, "URL", "Push the same by OTLP/HTTP, e.g. http://127.0.0.1:4318");
  parser.add_texts("--otlp-header", options.otlp.headers, "HEADER", "A header of each push, 'NAME: VALUE'; repeatable");
  parser.add_text("--otlp-ca", options.otlp.ca_file, "FILE", "PEM: who may sign the receiver's certificate");
  add_push_interval(parser, options.otlp);
  add_key_globs(parser, options.view.key_globs);
  add_class_globs(parser, options.view.class_globs);
  parser.add_config("--config", "FILE", "Read options from TOML; again when SIGHUP comes");
  options.target_options->add_force(parser);
  options.ready.emplace(parser);
}

void finish_without_targets(Options& options, const Parser&, const Arguments&) {
  if (options.max_series < WaitTotals::least_max_series)
    throw UsageError{"--max-series is less than " + std::to_string(WaitTotals::least_max_series)};
  options.labels.group = !options.group_by.empty();
  if (!options.buckets.empty()) {
    auto bounds = parse_classic_bounds(options.buckets);
    if (!bounds) throw UsageError{"--buckets '" + options.buckets + "': " + bounds.error().why};
    options.view.bounds = std::move(*bounds);
  }
  if (options.otlp.url.empty() && (!options.otlp.headers.empty() || !options.otlp.ca_file.empty()))
    throw UsageError{"--otlp-header and --otlp-ca say how to push; --otlp, which says where, is missing"};
}

void finish(Options& options, const Parser& parser, const Arguments& arguments) {
  options.targets = options.target_options->choice(parser, arguments);
  if (!options.targets.command.empty()) throw UsageError{"this command starts no program; use -p, -a or -f"};
  finish_without_targets(options, parser, arguments);
}

Options parsed_options(const CommandRow& row, const Arguments& arguments) {
  return parsed<Options>(row, arguments, declare, finish);
}

// Where, to whom and under which names to serve.
Result<HttpServerOptions> http_options(const Options& options) {
  HttpServerOptions http;
  http.host_names = options.host_names;
  auto address = parse_listen_address(options.listen);
  if (!address) return address.error();
  http.listen = std::move(*address);
  if (!options.web_config.empty()) {
    auto web = read_web_config(options.web_config);
    if (!web) return web.error();
    http.web = std::move(*web);
  }
  if (auto checked = check_exposure(http.listen, http.web, options.is_insecure); !checked) return checked.error();
  return http;
}

// What may change while it runs is taken over; the rest is told. Targets that have ended meanwhile are none of its business.
void read_again(const CommandRow& row, const Arguments& arguments, const Options& started, Agent& agent, HttpServer& server) {
  const auto refuse = [](Error error) {
    error.hint = "the agent goes on with what it has";
    report(std::cerr, error);
  };
  try {
    const Options options = parsed<Options>(row, arguments, declare, finish_without_targets);
    const auto http = http_options(options);
    if (!http) return refuse(http.error());
    agent.set_view(options.view);
    // Who may come in was checked for the address and the encryption that it has, and not for those that are to come.
    const bool serves_the_same = options.listen == started.listen && options.is_insecure == started.is_insecure &&
                                 options.web_config.empty() == started.web_config.empty();
    if (serves_the_same) server.replace_users(http->web.users);
    std::cerr << "waitprobe: the options have been read again: keys, classes"
              << (serves_the_same ? ", buckets and users" : " and buckets") << " are as they say; others need a restart\n";
  } catch (const UsageError& error) {
    refuse({"read", "the options again", error.text, ""});
  }
}

// Those who wanted to know of targets that have ended may not have asked yet, so it stays.
Event wait_until(std::uint64_t deadline_ns, HistSession& session, const StopSignals& signals, const Agent& agent) {
  TargetSession& targets = session.targets();
  if (targets.ended_ns() == 0) {
    const Event event = targets.run_until(deadline_ns, agent.wake_fd());
    if (event != Event::ended) return event;
    session.detach();
    std::cerr << "waitprobe: all targets have ended; what was counted is served until Ctrl-C\n";
    return Event::woken;
  }
  pollfd waits[] = {{signals.fd(), POLLIN, 0}, {agent.wake_fd(), POLLIN, 0}};
  const std::uint64_t now = now_ns();
  const std::uint64_t left_ms = deadline_ns > now ? (deadline_ns - now) / 1'000'000 + 1 : 0;
  poll(waits, 2, static_cast<int>(std::min<std::uint64_t>(left_ms, INT_MAX)));
  return (waits[0].revents & POLLIN) != 0 ? Event::stopped : Event::woken;
}

// Traces until a signal asks it to end. `reload` is what SIGHUP asks for.
void trace(HistSession& session, const StopSignals& signals, Agent& agent, ServiceManager& manager,
           const std::function<void()>& reload) {
  const auto watchdog = manager.watchdog_interval();
  const std::uint64_t watchdog_ns = watchdog ? static_cast<std::uint64_t>(watchdog->count()) * 1'000 : UINT64_MAX;
  (void)manager.ready("attached");
  for (;;) {
    agent.take();
    (void)manager.watchdog();
    const Event event = wait_until(std::min(agent.due_ns(), later(now_ns(), watchdog_ns)), session, signals, agent);
    print_warnings(session.targets());
    if (event != Event::stopped) continue;
    const auto signal = signals.take();
    if (!signal || signal->number != SIGHUP) break;
    (void)manager.reloading();
    reload();
    (void)manager.ready("attached");
  }
  (void)manager.stopping();
}

}  // namespace

void declare_serve(Parser& parser) { declare(parser, parser.keep<Options>()); }

Result<int> run_serve(const CommandRow& row, const Arguments& arguments) {
  const Options options = parsed_options(row, arguments);
  allow_many_files();
  ServiceManager manager = ServiceManager::from_environment();
  const StopSignals signals;
  auto http = http_options(options);
  if (!http) return http.error();
  const bool tells_places = options.labels.unit || options.labels.container || options.labels.pod;
  auto opened = HistSession::open(options.targets,
                                  {.group_by = options.group_by,
                                   .measures_run_time = true,
                                   .tells_control_groups = tells_places,
                                   .keeps_exemplars = true,
                                   .most_ended = most_ended},
                                  signals.fd());
  if (!opened) return opened.error();
  HistSession& session = **opened;
  if (auto started = session.targets().start(); !started) return started.error();
  if (auto confined = confine_to_tracing(); !confined) return confined.error();

  Agent agent(session, options.labels, options.max_series, options.view);
  const char* const scheme = http->web.tls ? "https" : "http";
  auto server = HttpServer::start(std::move(*http), agent);
  if (!server) return server.error();
  std::optional<OtlpPush> push;
  if (!options.otlp.url.empty()) {
    auto pushing = OtlpPush::start(options.otlp, [&agent] { return agent.otlp(); });
    if (!pushing) return pushing.error();
    push.emplace(std::move(*pushing));
    agent.set_push_state([&push, &options, was_failing = false]() mutable {
      OtlpPushCounts counts = push->counts();
      const bool is_failing = !counts.last_error.empty();
      if (is_failing && !was_failing)
        report(std::cerr, {"push to", options.otlp.url, counts.last_error, "the next push brings all of it"});
      was_failing = is_failing;
      return PushState{counts.sent, counts.failed, counts.dropped, std::move(counts.last_error)};
    });
  }
  const std::size_t files = session.targets().file_cnt();
  std::cerr << "waitprobe: serving " << scheme << "://" << options.listen.substr(0, options.listen.rfind(':')) << ':'
            << server->port() << "/metrics; attached to " << files << (files == 1 ? " file" : " files") << "; Ctrl-C ends\n";
  options.ready->tell();
  trace(session, signals, agent, manager, [&] { read_again(row, arguments, options, agent, *server); });
  agent.stop();
  session.targets().detach();
  if (push) push->stop();
  server->stop();
  return 0;
}

}  // namespace waitprobe::cli
