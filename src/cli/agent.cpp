// SPDX-License-Identifier: MIT
#include "src/cli/agent.h"

#include <sys/eventfd.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <utility>

#include "src/collect/machine/clock.h"
#include "src/collect/machine/own_cost.h"
#include "src/collect/process/process.h"
#include "src/export/agent_metrics.h"
#include "src/export/otlp_json.h"
#include "src/export/prometheus_protobuf.h"
#include "src/export/prometheus_text.h"
#include "src/model/key_patterns.h"
#include "src/view/agent_page.h"

namespace waitprobe::cli {
namespace {

// The labels of what has ended are known for a while only.
constexpr std::uint64_t least_often_ns = 10'000'000'000;
// However many ask, snapshots are no closer than this: a request waits, and gets what all get that have come meanwhile.
constexpr std::uint64_t most_often_ns = 100'000'000;
constexpr std::chrono::seconds patience{5};
// Longer without a look of the session's thread, and it hangs.
constexpr std::uint64_t longest_look_ns = 6 * least_often_ns;

std::string written(const Metrics& metrics, MetricsFormat format, const ClassicBounds& bounds) {
  switch (format) {
    case MetricsFormat::prometheus_text:
      return prometheus_text(metrics, bounds);
    case MetricsFormat::openmetrics:
      return openmetrics(metrics, bounds);
    case MetricsFormat::prometheus_protobuf:
      return prometheus_protobuf(metrics, {.bounds = bounds});
  }
  return "";
}

bool is_alive(const ProcessId& process) { return start_ticks_of(process.pid) == process.start_ticks; }

}  // namespace

Agent::Agent(HistSession& session, const LabelChoice& labels, std::size_t max_series, AgentView view)
    : session_(session),
      totals_(labels, max_series),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      view_(std::move(view)),
      looked_ns_(now_ns()) {
  utsname machine = {};
  if (uname(&machine) == 0) host_name_ = machine.nodename;
}

void Agent::set_view(AgentView view) {
  take_now();  // what has come until now is counted as it was wanted until now
  const std::lock_guard lock(mutex_);
  view_ = std::move(view);
}

void Agent::stop() {
  const std::lock_guard lock(mutex_);
  is_stopping_ = true;
  changed_.notify_all();
}

AgentState Agent::state_of(const Snapshot& now) {
  AgentState state;
  state.version = WAITPROBE_VERSION;
  state.time_unix_ns = now.time_unix_ns;
  static const std::uint64_t start_unix_ns = own_start_unix_ns();
  state.start_unix_ns = start_unix_ns;
  state.coverage = now.coverage();
  state.losses = now.losses;
  state.abandoned_cnt = now.never_ended_cnt();
  state.clamped_cnt = now.clamped_cnt;
  state.caveats = now.caveats;
  state.open_waits = session_.open_waits();
  state.target_cnt = session_.target_cnt();
  state.file_cnt = session_.targets().file_cnt();
  state.cost = own_cost();
  state.cost.bpf_run_ns = session_.run_time_ns();
  if (push_state_) state.push = push_state_();
  return state;
}

void Agent::take() {
  std::uint64_t drained = 0;
  (void)!read(wake_.get(), &drained, sizeof drained);
  {
    const std::lock_guard lock(mutex_);
    looked_ns_ = now_ns();
  }
  if (taken_ns_ != 0 && looked_ns_ - taken_ns_ < most_often_ns) {
    due_ns_ = taken_ns_ + most_often_ns;
  } else {
    take_now();
  }
}

void Agent::take_now() {
  const AgentView view = view_;  // which this thread alone writes
  taken_ns_ = now_ns();
  due_ns_ = taken_ns_ + least_often_ns;
  Snapshot now = session_.snapshot();
  classify(now, view.class_globs);
  // Of the interval alone: which keys are wanted may change from one to the next, and interval() wants the same in both.
  Snapshot between = has_before_ ? interval(now, before_) : now;
  keep_keys(between, view.key_globs);
  std::map<ProcessId, ProcessPlace> places;
  const LabelChoice& labels = totals_.labels();
  if (labels.unit || labels.container || labels.pod) {
    for (const Series& s : between.series) places.try_emplace(s.process(), session_.place_of(s));
  }
  const auto place_of = [&](const ProcessId& process) {
    const auto known = places.find(process);
    return known != places.end() ? known->second : ProcessPlace{};
  };
  {
    const std::lock_guard lock(mutex_);
    if (published_ != nullptr && published_->are_exemplars_told) totals_.forget_exemplars();
  }
  std::vector<WaitExemplar> exemplars = session_.take_exemplars();
  std::erase_if(exemplars, [&](const WaitExemplar& one) { return !is_wanted(one.series.key, view.key_globs); });
  totals_.add(between, now, place_of, is_alive, exemplars);
  before_ = std::move(now);
  has_before_ = true;

  auto published = std::make_shared<Published>();
  published->began_ns = taken_ns_;
  published->state = state_of(before_);
  OpenWaits& open = published->state.open_waits;
  std::erase_if(open.waits, [&](const OpenWait& wait) { return !is_wanted(wait.key, view.key_globs); });
  for (OpenWait& wait : open.waits) wait.key_class = class_of(wait.key, wait.key_class, view.class_globs);
  published->view = view;
  std::unique_lock lock(mutex_);
  published->state.scrape_cnt = scrape_cnt_;
  published->state.scrape_ns = scrape_ns_;
  lock.unlock();
  published->metrics = agent_metrics(published->state, totals_);
  lock.lock();
  published_ = std::move(published);
  looked_ns_ = now_ns();
  changed_.notify_all();
}

std::shared_ptr<Agent::Published> Agent::taken_since(std::uint64_t since_ns) {
  std::unique_lock lock(mutex_);
  const auto is_there = [&] { return published_ != nullptr && published_->began_ns >= since_ns; };
  if (!is_there()) {
    constexpr std::uint64_t one = 1;
    (void)!write(wake_.get(), &one, sizeof one);
    changed_.wait_for(lock, patience, [&] { return is_there() || is_stopping_; });
  }
  return is_there() && !is_stopping_ ? published_ : nullptr;
}

HttpAnswer Agent::metrics(const HttpRequest& request) {
  const auto published = taken_since(request.came_ns);
  if (published == nullptr) return text_answer(503, "the tracing thread is busy or about to end; try again\n");
  const MetricsFormat format = negotiate_format(request.accept);
  HttpAnswer answer;
  answer.content_type = content_type(format);
  {
    const std::lock_guard lock(published->mutex);
    auto& body = published->bodies[format];
    if (body == nullptr) body = std::make_shared<const HttpBody>(written(published->metrics, format, published->view.bounds));
    answer.body = body;
  }
  const std::lock_guard lock(mutex_);
  published->are_exemplars_told |= format != MetricsFormat::prometheus_text;  // which has none
  scrape_cnt_++;
  scrape_ns_ = now_ns() - request.came_ns;
  return answer;
}

HttpAnswer Agent::page(const HttpRequest& request) {
  const auto published = taken_since(request.came_ns);
  if (published == nullptr) return text_answer(503, "the tracing thread is busy or about to end; try again\n");
  HttpAnswer answer;
  answer.content_type = "text/html; charset=utf-8";
  answer.body = std::make_shared<const HttpBody>(agent_page(published->state));
  return answer;
}

HttpAnswer Agent::health() const {
  const std::lock_guard lock(mutex_);
  const std::uint64_t quiet_ns = now_ns() - looked_ns_;
  if (quiet_ns <= longest_look_ns) return text_answer(200, "ok\n");
  return text_answer(503, "the tracing thread has not looked for " + std::to_string(quiet_ns / 1'000'000'000) + " s\n");
}

std::string Agent::otlp() {
  const auto published = taken_since(now_ns());
  if (published == nullptr) throw std::runtime_error("the tracing thread is busy or about to end");
  {
    const std::lock_guard lock(mutex_);
    published->are_exemplars_told = true;
  }
  return otlp_json(published->metrics, {.host_name = host_name_, .version = published->state.version}, published->view.bounds);
}

HttpAnswer Agent::answer(const HttpRequest& request) {
  if (request.path == "/metrics") return metrics(request);
  if (request.path == "/") return page(request);
  if (request.path == "/healthz") return health();
  if (request.path == "/readyz") {
    const std::lock_guard lock(mutex_);
    return is_stopping_ ? text_answer(503, "about to end\n") : text_answer(200, "ready: everything is attached\n");
  }
  return text_answer(404, "there are /, /metrics, /healthz and /readyz\n");
}

}  // namespace waitprobe::cli
