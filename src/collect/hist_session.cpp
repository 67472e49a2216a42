// SPDX-License-Identifier: MIT
#include "src/collect/hist_session.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "src/collect/clock.h"

namespace waitprobe {
namespace {

// How often all processes of the machine are looked at, for a plug-in that one of them has loaded: this often, or, where there
// are very many, as often as one percent of a CPU allows.
constexpr std::uint64_t full_look_ns = 2'000'000'000;
constexpr std::uint64_t full_look_share = 100;

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

bool is_readable(int fd) {
  pollfd wait = {fd, POLLIN, 0};
  return fd >= 0 && poll(&wait, 1, 0) == 1;
}

wp_config config_of(const TargetChoice& choice) {
  wp_config config = {};
  config.filter_targets = !choice.pids.empty() || !choice.command.empty();
  config.follow_forks = !choice.command.empty();
  return config;
}

}  // namespace

HistSession::HistSession(HistProgram program, Transport transport, int stop_signals)
    : program_(std::move(program)),
      attachments_(std::make_unique<Attachments>(program_.probe_programs())),
      copies_(program_, transport == Transport::batches),
      stop_signals_(stop_signals) {}

Result<std::unique_ptr<HistSession>> HistSession::open(const TargetChoice& choice, Transport transport, int stop_signals) {
  for (const std::uint32_t pid : choice.pids) {
    if (auto exists = check_exists(pid); !exists) return exists.error();
  }
  const ClockPair clocks = read_clocks();
  auto program = HistProgram::load(config_of(choice), transport);
  if (!program) return program.error();
  std::unique_ptr<HistSession> session(new HistSession(std::move(*program), transport, stop_signals));
  session->clocks_ = clocks;
  Result<void> opened;
  if (!choice.pids.empty()) opened = session->open_pids(choice.pids);
  if (!choice.file.empty()) opened = session->open_file(choice.file);
  if (choice.all) session->open_all();
  if (!choice.command.empty()) {
    auto rendezvous = Rendezvous::open();
    if (!rendezvous) return rendezvous.error();
    session->rendezvous_ = std::move(*rendezvous);
    auto command = Command::prepare(choice.command, session->rendezvous_->environment());
    if (!command) return command.error();
    session->command_ = std::move(*command);
    opened = session->program_.add_target(session->command_->pid());
    if (opened) opened = session->watch_end(session->command_->pid());
  }
  if (!opened) return opened.error();
  session->begin_to_count();
  return session;
}

void HistSession::begin_to_count() {
  const ClockPair before = clocks_;
  clocks_ = read_clocks();
  rate_ = rate_between(before, clocks_).value_or(TickRate{});
  counting_ns_ = now_ns() + ahead_ns;
  program_.count_from(counting_ns_, clocks_, rate_);
  sleep_until(counting_ns_);
}

// Measures the rate of the cycle counter again, over the time since it was measured last.
void HistSession::check_rate() {
  const ClockPair now = read_clocks();
  if (rate_.mult == 0 || now.ns - clocks_.ns < rate_distance_ns) return;
  const auto rate = rate_between(clocks_, now);
  clocks_ = now;
  if (!rate) return;
  if (!rates_agree(*rate, rate_) && !rate_changed_) {
    rate_changed_ = true;
    warnings_.push_back({"trust", "the cycle counter",
                         "it has changed its rate by more than 0.1 %: durations may be wrong by as much",
                         "let the programs read the clock instead: set WAITPROBE_CLOCK=monotonic in their environment"});
  }
  rate_ = *rate;
  program_.set_rate(rate_);
}

Result<void> HistSession::open_pids(const std::vector<std::uint32_t>& pids) {
  for (const std::uint32_t pid : pids) {
    if (auto watched = watch_end(pid); !watched) return watched;
    if (auto added = program_.add_target(pid); !added) return added;
    const auto copies = finder_.find(pid);
    if (!copies) return copies.error();
    if (copies->empty()) {
      const auto exists = check_exists(pid);
      return exists ? no_probes_error(pid) : exists.error();
    }
    for (const Copy& copy : *copies) {
      if (auto met = meet(copy, false); !met) return met;
    }
    watches_.add(pid, now_ns());
  }
  return {};
}

Result<void> HistSession::open_file(const std::string& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.ok()) return Error{"open", path, errno_text(errno), ""};
  auto notes = read_probe_notes(file.get(), path);
  if (!notes) return notes.error();
  if (!notes->has_value()) {
    return Error{"trace", path, "it carries no probes of waitprobe", "link it with libwaitprobe, or name the library that is"};
  }
  only_file_ = std::move(**notes);
  if (auto attached = attachments_->attach(*only_file_, file, path); !attached) return attached;
  open_all();
  return {};
}

void HistSession::open_all() {
  watches_.forget_after_last();
  look_at_all();
}

void HistSession::look_at_all() {
  const std::uint64_t began_ns = now_ns();
  for (const std::uint32_t pid : all_pids()) look_later(pid, false);
  finder_.forget_unseen();
  const std::uint64_t ended_ns = now_ns();
  next_full_look_ns_ = ended_ns + std::max(full_look_ns, full_look_share * (ended_ns - began_ns));
}

Result<void> HistSession::watch_end(std::uint32_t pid) {
  FileDescriptor end(static_cast<int>(syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0)));
  if (!end.ok()) {
    const std::string why = errno_text(errno);
    return Error{"watch", describe_process(pid), why, ""};
  }
  ends_.push_back(std::move(end));
  return {};
}

Result<void> HistSession::start() { return command_ ? command_->start() : Result<void>(); }

// Everything that has stopped before this moment is on its way, or in the memory of its process.
void HistSession::bring_all() {
  const std::uint64_t deadline_ns = now_ns() + patience_ns;
  while (!copies_.look()) {
    if (now_ns() >= deadline_ns) {
      copies_.look(true);
      return;
    }
    sleep_until(now_ns() + 1'000'000);
  }
}

void HistSession::detach() {
  const std::uint64_t until_ns = now_ns() + ahead_ns;
  if (ended_ns_ == 0) ended_ns_ = until_ns;
  program_.count_until(until_ns, read_clocks(), rate_);
  sleep_until(until_ns);
  bring_all();
  attachments_->detach();
  copies_.look();  // what those who died meanwhile have lost
}

// Attaches to one copy, unless its file is attached to already.
Result<void> HistSession::meet(const Copy& copy, bool is_new) {
  if (ended_ns_ != 0) return {};
  if (only_file_ && copy.probes->on_disk != only_file_->on_disk) return {};
  if (!attachments_->has(*copy.probes)) {
    if (auto attached = attachments_->attach(copy); !attached) return attached;
    if (counting_ns_ != 0) attached_late_.push_back({copy.pid, comm_of(copy.pid), copy.path, now_ns() - counting_ns_});
  }
  copies_.add(copy, is_new);
  return {};
}

Result<void> HistSession::look_at(std::uint32_t pid, bool is_new) {
  const auto copies = finder_.find(pid);
  if (!copies) return copies.error();
  for (const Copy& copy : *copies) {
    if (refused_.contains(copy.probes->on_disk)) continue;
    if (auto met = meet(copy, is_new); !met && check_exists(pid)) {
      warnings_.push_back(met.error());
      refused_.insert(copy.probes->on_disk);
    }
  }
  return {};
}

// A process that was not asked for by number: that it cannot be read, or has ended, is no error.
void HistSession::look_later(std::uint32_t pid, bool is_new) {
  if (!look_at(pid, is_new)) watches_.remove(pid);
}

// A process that has started another program, or shows a block that was not known: a fork, if not the process itself.
void HistSession::look_at_sighted(const wp_sighting& sighting) {
  if (sighting.incarnation == 0) {
    watches_.add(sighting.pid, now_ns());
  } else if (copies_.knows(sighting.incarnation)) {
    return;
  }
  look_later(sighting.pid, true);
  const bool unknown = sighting.incarnation != 0 && !copies_.knows(sighting.incarnation);
  if (unknown && !check_exists(sighting.pid)) copies_.forget(sighting.incarnation);
}

void HistSession::look_at_due(std::uint64_t now) {
  for (const std::uint32_t pid : watches_.take_due(now)) look_later(pid, false);
  if (now >= next_full_look_ns_) look_at_all();
}

// A copy of the library in the command, or below it, is about to begin and waits for us.
void HistSession::greet(std::uint32_t pid, std::uint64_t root_address) {
  auto copies = finder_.find(pid);
  const auto greeted = [&](const Copy& copy) { return copy.root_address == root_address; };
  if (copies && std::none_of(copies->begin(), copies->end(), greeted)) {
    // Known by the number of a file that had it before, and carried no probes.
    finder_.forget_all();
    copies = finder_.find(pid);
  }
  if (!copies) return;
  for (const Copy& copy : *copies) {
    if (copy.root_address != root_address) continue;
    const std::size_t late_before = attached_late_.size();
    if (auto met = meet(copy, true); !met) warnings_.push_back(met.error());
    attached_late_.resize(late_before);
    // A look at the process may have attached to the file while its loader was still at work: not late either.
    std::erase_if(attached_late_, [&](const AttachedLate& late) { return late.pid == pid && late.file == copy.path; });
  }
}

bool HistSession::targets_have_ended() const {
  return !ends_.empty() &&
         std::all_of(ends_.begin(), ends_.end(), [](const FileDescriptor& end) { return is_readable(end.get()); });
}

void HistSession::wait_for_something(std::uint64_t until_ns, int wake_fd) {
  std::vector<pollfd> waits = {{stop_signals_, POLLIN, 0}, {wake_fd, POLLIN, 0}, {program_.sightings_fd(), POLLIN, 0}};
  if (rendezvous_) rendezvous_->add_to(waits);
  for (const FileDescriptor& end : ends_) {
    if (!is_readable(end.get())) waits.push_back({end.get(), POLLIN, 0});
  }
  const std::uint64_t now = now_ns();
  const std::uint64_t wake_ns = std::min({until_ns, watches_.next_ns(), next_full_look_ns_});
  timespec patience = {3600, 0};
  if (wake_ns <= now) {
    patience = {0, 0};
  } else if (wake_ns - now < 3600ULL * 1'000'000'000U) {
    patience = {static_cast<time_t>((wake_ns - now) / 1'000'000'000U), static_cast<long>((wake_ns - now) % 1'000'000'000U)};
  }
  ppoll(waits.data(), waits.size(), &patience, nullptr);
}

HistSession::Event HistSession::run_until(std::uint64_t deadline_ns, int wake_fd) {
  for (;;) {
    wait_for_something(deadline_ns, wake_fd);
    if (rendezvous_) {
      rendezvous_->serve([this](std::uint32_t pid) { return program_.is_target(pid); },
                         [this](std::uint32_t pid, std::uint64_t root_address) { greet(pid, root_address); });
    }
    program_.take_sightings([this](const wp_sighting& sighting) { look_at_sighted(sighting); });
    copies_.make_room();
    look_at_due(now_ns());
    if (is_readable(stop_signals_)) return Event::stopped;
    if (is_readable(wake_fd)) return Event::woken;
    if (targets_have_ended()) {
      if (ended_ns_ == 0) ended_ns_ = now_ns();
      return Event::ended;
    }
    if (now_ns() >= deadline_ns) return Event::deadline;
  }
}

Snapshot HistSession::snapshot() {
  if (ended_ns_ == 0) {
    check_rate();
    copies_.look();
  }
  Snapshot snapshot;
  snapshot.time_unix_ns = clock_ns(CLOCK_REALTIME);
  snapshot.elapsed_ns = (ended_ns_ != 0 ? ended_ns_ : now_ns()) - counting_ns_;
  snapshot.series = program_.series();
  merge_series(snapshot.series);
  snapshot.losses = program_.losses();
  copies_.add_to(snapshot);
  snapshot.attached_late = attached_late_;
  return snapshot;
}

}  // namespace waitprobe
