// SPDX-License-Identifier: MIT
//
// A session that stays, and what it serves by HTTP. One thread traces: it takes a snapshot when a request asks for one, and now
// and then by itself. The threads of the server wait for it, and write the formats.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "src/cli/stop_signals.h"
#include "src/collect/machine/file_descriptor.h"
#include "src/collect/trace/hist_session.h"
#include "src/export/classic_buckets.h"
#include "src/export/metrics_format.h"
#include "src/model/agent_state.h"
#include "src/model/key_class.h"
#include "src/model/metrics.h"
#include "src/model/wait_totals.h"
#include "src/serve/http_content.h"

namespace waitprobe::cli {

// What may change while the agent runs.
struct AgentView {
  std::vector<std::string> key_globs;
  ClassGlobs class_globs;
  ClassicBounds bounds = default_classic_bounds();
};

class Agent : public HttpContent {
 public:
  // Lifetime: the session must outlive it.
  Agent(HistSession& session, const LabelChoice& labels, std::size_t max_series, AgentView view);

  // Readable when a request waits for take(). Threads: any.
  int wake_fd() const { return wake_.get(); }

  // Takes a snapshot unless there has just been one, adds up what is new, and hands it to the requests that wait. Threads: that of
  // the session.
  void take();
  // When take() is to be called even if nobody asks, in nanoseconds of CLOCK_MONOTONIC. Threads: that of the session.
  std::uint64_t due_ns() const { return due_ns_; }

  // From now on. Threads: that of the session.
  void set_view(AgentView view);

  // Requests that wait get no answer any more. Threads: any.
  void stop();

  HttpAnswer answer(const HttpRequest& request) override;

  // The metrics for a receiver of OTLP. Threads: any. Throws where no snapshot could be taken in time.
  std::string otlp();
  // Says how pushing goes, for the page. To be called before the first request. Threads: it is called on any.
  void set_push_state(std::function<PushState()> state) { push_state_ = std::move(state); }

 private:
  // What was known at one moment. Shared by all requests that came before it.
  struct Published {
    std::uint64_t began_ns = 0;  // of CLOCK_MONOTONIC
    AgentState state;
    Metrics metrics;
    AgentView view;
    std::mutex mutex;
    std::map<MetricsFormat, std::shared_ptr<const HttpBody>> bodies;  // those that somebody has asked for
    bool are_exemplars_told = false;  // somebody has asked for a format that has them; under the mutex of the agent
  };

  // One that was begun at this moment or later; null: there is none in time. So one answers all that wait.
  std::shared_ptr<Published> taken_since(std::uint64_t since_ns);
  HttpAnswer metrics(const HttpRequest& request);
  HttpAnswer page(const HttpRequest& request);
  HttpAnswer health() const;
  AgentState state_of(const Snapshot& now);
  void take_now();

  HistSession& session_;
  WaitTotals totals_;
  Snapshot before_;
  bool has_before_ = false;
  std::string host_name_;
  std::function<PushState()> push_state_;
  std::uint64_t due_ns_ = 0;
  std::uint64_t taken_ns_ = 0;
  FileDescriptor wake_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  AgentView view_;
  std::uint64_t scrape_cnt_ = 0;
  std::uint64_t scrape_ns_ = 0;
  std::uint64_t looked_ns_ = 0;  // when the session's thread was here last
  bool is_stopping_ = false;
  std::shared_ptr<Published> published_;
};

}  // namespace waitprobe::cli
