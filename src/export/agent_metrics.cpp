// SPDX-License-Identifier: MIT
#include "src/export/agent_metrics.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>
#include <utility>

#include "src/export/numbers.h"
#include "src/model/label_value.h"
#include "src/model/series_shares.h"

namespace waitprobe {
namespace {

MetricSample sample_of(std::vector<MetricLabel> labels, MetricNumber number) {
  MetricSample sample;
  sample.labels = std::move(labels);
  sample.number = number;
  return sample;
}

std::vector<MetricLabel> labels_of(const WaitLabels& waits, const LabelChoice& choice) {
  std::vector<MetricLabel> labels = {{"key", waits.key}, {"class", name_of(waits.key_class)}, {"program", waits.program}};
  // A label without a value is the same as none.
  const auto add = [&](bool is_chosen, const char* name, const std::string& value) {
    if (is_chosen && !value.empty()) labels.push_back({name, value});
  };
  add(choice.pid, "pid", waits.pid == 0 ? "" : std::to_string(waits.pid));
  add(choice.unit, "unit", waits.unit);
  add(choice.container, "container", waits.container);
  add(choice.pod, "pod", waits.pod);
  add(choice.group, "group", waits.group);
  return labels;
}

MetricFamily wait_seconds(const WaitTotals& waits) {
  MetricFamily family{"waitprobe_wait_seconds", "seconds", "How long waits took.", MetricType::histogram, {}};
  family.samples.reserve(waits.totals().size());
  for (const auto& [labels, total] : waits.totals()) {
    MetricSample& sample = family.samples.emplace_back();
    sample.labels = labels_of(labels, waits.labels());
    sample.histogram = total.histogram;
    sample.exemplars = total.exemplars;
    sample.created_unix_ns = total.created_unix_ns;
  }
  return family;
}

struct OpenOfKey {
  std::uint64_t count = 0;
  std::uint64_t oldest_ns = 0;
  bool has_age = false;
};

// Of the oldest waits, so many sets; younger ones of programs that have no more room are added up.
std::map<WaitLabels, OpenOfKey> open_by_key(const OpenWaits& found, std::size_t most) {
  constexpr std::size_t other_programs_cnt = 3;  // one of each class, for which there always is room
  std::map<WaitLabels, OpenOfKey> all;
  SeriesShares shares(most - other_programs_cnt);
  for (const OpenWait& wait : found.waits) {
    WaitLabels labels;
    labels.program = label_value(wait.comm);
    labels.key = key_label(wait.key, wait.key_len);
    labels.key_class = wait.key_class;
    if (!all.contains(labels)) {
      if (!shares.has_room(labels.program)) {
        labels.key = other_label;
        if (!all.contains(labels) && shares.is_full()) labels.program = other_label;
      }
      const bool has_place = labels.key == other_label && labels.program == other_label;
      if (!all.contains(labels) && !has_place) shares.add(labels.program);
    }
    OpenOfKey& open = all[labels];
    open.count++;
    open.has_age |= wait.age_ns.has_value();
    open.oldest_ns = std::max(open.oldest_ns, wait.age_ns.value_or(0));
  }
  return all;
}

template <class Caveat>
std::uint64_t process_cnt(const std::vector<Caveat>& caveats) {
  std::set<std::pair<std::uint32_t, std::string>> processes;
  for (const Caveat& caveat : caveats) processes.emplace(caveat.pid, caveat.comm);
  return processes.size();
}

// 1 only if nothing was lost, however little it is.
double ratio_of(const Coverage& coverage) {
  if (coverage.lost == 0) return 1;
  const double observed = static_cast<double>(coverage.observed);
  return std::min(observed / (observed + static_cast<double>(coverage.lost)), std::nextafter(1.0, 0.0));
}

class Builder {
 public:
  Builder(const AgentState& state, const WaitTotals& waits) : state_(state), waits_(waits) {
    metrics_.time_unix_ns = state.time_unix_ns;
    metrics_.start_unix_ns = state.start_unix_ns;
  }

  Metrics metrics() {
    metrics_.families.push_back(wait_seconds(waits_));
    add_open_waits();
    add_coverage();
    add_series();
    add_cost();
    if (state_.push) add_push(*state_.push);
    add_agent();
    return std::move(metrics_);
  }

 private:
  MetricFamily& add(MetricType type, const char* name, const char* unit, const char* help) {
    metrics_.families.push_back({name, unit, help, type, {}});
    return metrics_.families.back();
  }
  void gauge(const char* name, const char* unit, MetricNumber number, const char* help) {
    add(MetricType::gauge, name, unit, help).samples.push_back(sample_of({}, number));
  }
  void counter(const char* name, const char* unit, MetricNumber number, const char* help) {
    add(MetricType::counter, name, unit, help).samples.push_back(sample_of({}, number));
  }

  void add_open_waits() {
    const auto open = open_by_key(state_.open_waits, waits_.max_series());
    MetricFamily& counts = add(MetricType::gauge, "waitprobe_open_waits", "", "Waits that have begun and not ended.");
    for (const auto& [labels, of_key] : open) counts.samples.push_back(sample_of(labels_of(labels, {}), of_key.count));
    MetricFamily& ages = add(MetricType::gauge, "waitprobe_oldest_open_wait_seconds", "seconds",
                             "Age of the oldest wait that has begun and not ended.");
    for (const auto& [labels, of_key] : open) {
      if (of_key.has_age) ages.samples.push_back(sample_of(labels_of(labels, {}), to_seconds(of_key.oldest_ns)));
    }
  }

  void add_coverage() {
    gauge("waitprobe_targets", "", state_.target_cnt, "Processes whose waits are counted.");
    gauge("waitprobe_attached_files", "", state_.file_cnt, "Programs and libraries that the agent is attached to.");
    counter("waitprobe_waits_observed", "", state_.coverage.observed, "Waits that were counted.");
    MetricFamily& lost =
        add(MetricType::counter, "waitprobe_waits_lost", "", "Waits that happened and were not counted, by reason.");
    for (const LossRow& loss : all_losses) {
      lost.samples.push_back(sample_of({{"reason", loss.name}}, state_.losses.*loss.count));
    }
    counter("waitprobe_waits_abandoned", "", state_.abandoned_cnt,
            "Waits that never ended, because a longjmp or the like left them.");
    counter("waitprobe_waits_clamped", "", state_.clamped_cnt,
            "Waits whose clock went backwards, counted with a duration of 0.");
    gauge("waitprobe_coverage_ratio", "ratio", ratio_of(state_.coverage),
          "Share of the waits since the start that were counted; 1 only if none was lost.");
    gauge("waitprobe_unverified_processes", "", process_cnt(state_.caveats.unverified),
          "Processes of which it is not known that all their waits were seen.");
    gauge("waitprobe_attached_late_processes", "", process_cnt(state_.caveats.attached_late),
          "Processes whose first waits were missed, because their file was attached to later.");
  }

  void add_series() {
    gauge("waitprobe_series", "", std::uint64_t{waits_.totals().size()}, "Label sets of waitprobe_wait_seconds.");
    gauge("waitprobe_series_limit", "", std::uint64_t{waits_.max_series()}, "Label sets that waitprobe_wait_seconds may have.");
    counter("waitprobe_series_left_out", "", waits_.left_out_cnt(),
            "Label sets that found no room and are added up under key=\"_other\".");
  }

  void add_cost() {
    const AgentCost& cost = state_.cost;
    counter("process_cpu_seconds", "seconds", to_seconds(cost.cpu_ns), "Total user and system CPU time spent in seconds.");
    gauge("process_resident_memory_bytes", "bytes", cost.resident_bytes, "Resident memory size in bytes.");
    gauge("process_start_time_seconds", "seconds", to_seconds(state_.start_unix_ns),
          "Start time of the process since unix epoch in seconds.");
    gauge("process_open_fds", "", cost.open_fds, "Number of open file descriptors.");
    // As the client libraries have it where there is no limit: the greatest number.
    gauge("process_max_fds", "", cost.max_fds.value_or(UINT64_MAX), "Maximum number of open file descriptors.");
    gauge("waitprobe_bpf_memory_bytes", "bytes", cost.bpf_memory_bytes, "Memory of the agent's BPF maps and programs.");
    counter("waitprobe_bpf_run_seconds", "seconds", to_seconds(cost.bpf_run_ns),
            "Time that the agent's BPF programs took of other processes.");
  }

  void add_push(const PushState& push) {
    counter("waitprobe_otlp_pushes", "", push.sent_cnt, "Pushes that the receiver has taken.");
    counter("waitprobe_otlp_pushes_failed", "", push.failed_cnt, "Pushes that the receiver has not taken.");
    counter("waitprobe_otlp_pushes_dropped", "", push.dropped_cnt,
            "Pushes that were given up: a newer one took their place, or the receiver does not want them.");
  }

  void add_agent() {
    counter("waitprobe_scrapes", "", state_.scrape_cnt, "Requests for metrics that were answered.");
    gauge("waitprobe_scrape_duration_seconds", "seconds", to_seconds(state_.scrape_ns),
          "How long the last answer to a request for metrics took.");
    add(MetricType::gauge, "waitprobe_build_info", "", "The version of the agent; the value is always 1.")
        .samples.push_back(sample_of({{"version", state_.version}}, std::uint64_t{1}));
  }

  const AgentState& state_;
  const WaitTotals& waits_;
  Metrics metrics_;
};

}  // namespace

Metrics agent_metrics(const AgentState& state, const WaitTotals& waits) { return Builder(state, waits).metrics(); }

}  // namespace waitprobe
