// SPDX-License-Identifier: MIT
#include "src/collect/trace/hist_session.h"

#include <cerrno>
#include <ctime>
#include <set>

#include "src/collect/machine/clock.h"
#include "src/collect/trace/open_waits.h"

namespace waitprobe {
namespace {

// How far ahead the moments lie from which on, and up to which, waits count.
constexpr std::uint64_t ahead_ns = 200'000;
// How long, at the end, threads are waited for that stand between writing a full ring and handing it over.
constexpr std::uint64_t patience_ns = 200'000'000;
// Closer readings of the two clocks say too little about their rates.
constexpr std::uint64_t rate_distance_ns = 100'000'000;

void sleep_until(std::uint64_t ns) {
  const timespec until = {static_cast<time_t>(ns / 1'000'000'000U), static_cast<long>(ns % 1'000'000'000U)};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) == EINTR) {
  }
}

}  // namespace

HistSession::HistSession(HistProgram program, Transport transport)
    : program_(std::move(program)), instances_(program_, transport == Transport::batches) {}

Result<std::unique_ptr<HistSession>> HistSession::open(const TargetChoice& choice, const HistOptions& options,
                                                       int stop_signals) {
  if (auto checked = TargetSession::check(choice); !checked) return checked.error();
  const ClockPair clocks = read_clocks();
  wp_config config = config_of(choice);
  config.measures_run_time = options.measures_run_time;
  config.keeps_exemplars = options.keeps_exemplars;
  auto program = HistProgram::load(config, options.transport);
  if (!program) return program.error();
  std::unique_ptr<HistSession> session(new HistSession(std::move(*program), options.transport));
  session->clocks_ = clocks;
  session->program_.keep_ended(options.most_ended);
  if (!options.group_by.empty()) session->environments_.emplace(options.group_by);
  if (options.tells_control_groups) session->control_groups_.emplace();
  auto targets = TargetSession::open(choice, *session, stop_signals);
  if (!targets) return targets.error();
  session->targets_ = std::move(*targets);
  session->begin_to_count();
  return session;
}

void HistSession::begin_to_count() {
  const ClockPair before = clocks_;
  clocks_ = read_clocks();
  rate_ = rate_between(before, clocks_).value_or(TickRate{});
  const std::uint64_t since_ns = now_ns() + ahead_ns;
  targets_->count_from(since_ns);
  program_.count_from(since_ns, clocks_, rate_);
  sleep_until(since_ns);
}

// Measures the rate of the cycle counter again, over the time since it was measured last.
void HistSession::check_rate() {
  const ClockPair now = read_clocks();
  if (rate_.mult == 0 || now.ns - clocks_.ns < rate_distance_ns) return;
  const auto rate = rate_between(clocks_, now, rate_.shift);
  clocks_ = now;
  if (!rate) return;
  if (!rates_agree(*rate, rate_) && !rate_changed_) {
    rate_changed_ = true;
    targets_->warn({"trust", "the cycle counter", "its rate changed by more than 0.1 %; durations may be wrong by that much",
                    "let the programs read the clock instead: set WAITPROBE_CLOCK=monotonic in their environment"});
  }
  rate_ = *rate;
  program_.set_rate(rate_);
}

void HistSession::on_instance(const LibraryInstance& instance, bool is_new) {
  instances_.add(instance, is_new);
  if (environments_) environments_->add(instance.pid, is_new, now_ns());
  if (control_groups_) control_groups_->add(instance.pid);
}

void HistSession::make_room() {
  instances_.make_room();
  program_.add_up_ended([this](const Series& s) -> std::optional<std::string> {
    if (!environments_) return std::nullopt;
    const auto shown = shown_groups_.find(s.process());
    return shown != shown_groups_.end() ? shown->second : environments_->value_of(s);
  });
}

void HistSession::relieve() {
  if (program_.is_crowded()) make_room();
}

bool HistSession::serve() {
  make_room();
  if (environments_) {
    environments_->look(now_ns());
    if (environments_->is_crowded()) environments_->forget_all_but(program_.series());
  }
  if (control_groups_ && control_groups_->is_crowded()) control_groups_->forget_all_but(program_.series());
  return false;
}

// Everything that has stopped before this moment is on its way, or in the memory of its process.
void HistSession::bring_all() {
  const std::uint64_t deadline_ns = now_ns() + patience_ns;
  while (!instances_.look()) {
    if (now_ns() >= deadline_ns) {
      instances_.look(true);
      return;
    }
    sleep_until(now_ns() + 1'000'000);
  }
}

void HistSession::detach() {
  if (environments_) environments_->look_at_all();
  targets_->verify();
  const std::uint64_t until_ns = now_ns() + ahead_ns;
  program_.count_until(until_ns, read_clocks(), rate_);
  sleep_until(until_ns);
  targets_->stop_counting();
  bring_all();
  targets_->detach();
  instances_.look();  // what those who died meanwhile have lost
  doubt_crowded();
}

void HistSession::doubt_crowded() {
  for (const auto& [pid, comm] : instances_.crowded_processes()) {
    targets_->doubt({pid, comm, "", unverified::too_many_blocks.name});
  }
}

std::vector<WaitExemplar> HistSession::take_exemplars() {
  std::vector<WaitExemplar> all = program_.take_exemplars(clocks_, rate_);
  if (!environments_) return all;
  for (WaitExemplar& one : all) {
    Series series;
    static_cast<SeriesId&>(series) = one.series;
    one.group = environments_->value_of(series);
  }
  return all;
}

std::uint64_t HistSession::target_cnt() const {
  std::set<std::uint32_t> pids;
  instances_.each([&](std::uint32_t pid, std::uint64_t) { pids.insert(pid); });
  return pids.size();
}

OpenWaits HistSession::open_waits() const {
  return open_waits_of([this](const auto& visit) { instances_.each(visit); });
}

Snapshot HistSession::snapshot() {
  if (targets_->ended_ns() == 0) {
    check_rate();
    instances_.look();
    doubt_crowded();
    targets_->verify();
  }
  Snapshot snapshot;
  const std::uint64_t ago_ns = targets_->ended_ns() != 0 ? now_ns() - targets_->ended_ns() : 0;
  snapshot.time_unix_ns = clock_ns(CLOCK_REALTIME) - ago_ns;
  snapshot.elapsed_ns = targets_->elapsed_ns();
  snapshot.series = program_.series();
  snapshot.added_up_cnt = program_.added_up_cnt();
  if (environments_) {
    snapshot.group_by = environments_->variable();
    shown_groups_.clear();
    for (Series& s : snapshot.series) {
      if (s.is_of_program()) continue;
      const auto [shown, is_new] = shown_groups_.try_emplace(s.process());
      if (is_new) shown->second = environments_->value_of(s);
      s.group = shown->second;
    }
  }
  snapshot.losses = program_.losses();
  instances_.add_to(snapshot);
  snapshot.caveats = targets_->caveats();
  snapshot.has_pytorch = targets_->has_pytorch();
  return snapshot;
}

}  // namespace waitprobe
