// SPDX-License-Identifier: MIT
#include "src/collect/target_session.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <iterator>

#include "src/collect/clock.h"
#include "src/collect/translators.h"

namespace waitprobe {
namespace {

// How often all processes of the machine are looked at, for a plug-in that one of them has loaded: this often, or, where there
// are very many, as often as one percent of a CPU allows.
constexpr std::uint64_t full_look_ns = 2'000'000'000;
constexpr std::uint64_t full_look_share = 100;

constexpr std::size_t most_refused = 4096;  // files that are remembered; then they are told of again

bool is_readable(int fd) {
  pollfd wait = {fd, POLLIN, 0};
  return fd >= 0 && poll(&wait, 1, 0) == 1;
}

}  // namespace

wp_config config_of(const TargetChoice& choice) {
  wp_config config = {};
  config.filter_targets = !choice.pids.empty() || !choice.command.empty();
  config.follow_forks = !choice.command.empty();
  return config;
}

Result<void> TargetSession::check(const TargetChoice& choice) {
  for (const std::uint32_t pid : choice.pids) {
    if (auto exists = check_exists(pid); !exists) return exists.error();
  }
  return {};
}

TargetSession::TargetSession(Tracer& tracer, int stop_signals, bool is_forced)
    : tracer_(&tracer),
      attachments_(tracer.probe_programs()),
      verification_(tracer.probe_programs()),
      before_(finder_, is_forced),
      stop_signals_(stop_signals) {}

Result<std::unique_ptr<TargetSession>> TargetSession::open(const TargetChoice& choice, Tracer& tracer, int stop_signals) {
  std::unique_ptr<TargetSession> session(new TargetSession(tracer, stop_signals, choice.is_forced));
  if (auto opened = session->open_targets(choice); !opened) return opened.error();
  return session;
}

Result<void> TargetSession::open_targets(const TargetChoice& choice) {
  if (!choice.pids.empty()) return open_pids(choice.pids);
  if (!choice.file.empty()) return open_file(choice.file);
  if (!choice.command.empty()) return open_command(choice);
  open_all();
  return {};
}

Result<void> TargetSession::open_command(const TargetChoice& choice) {
  auto rendezvous = Rendezvous::open();
  if (!rendezvous) return rendezvous.error();
  rendezvous_ = std::move(*rendezvous);
  auto command = Command::prepare(choice.command, rendezvous_->environment(), choice.command_is_off_terminal);
  if (!command) return command.error();
  command_ = std::move(*command);
  if (auto added = tracer_->processes().add_target(command_->pid()); !added) return added;
  return watch_end(command_->pid());
}

Result<void> TargetSession::start() { return command_ ? command_->start() : Result<void>(); }

void TargetSession::stop_counting() {
  if (ended_ns_ != 0) return;
  if (command_) tell_of_descendants();
  ended_ns_ = now_ns();
}

// What the command has left behind goes on, and is counted no more.
void TargetSession::tell_of_descendants() {
  for (const std::uint32_t pid : tracer_->processes().targets()) {
    if (pid == command_->pid()) continue;
    const auto copies = finder_.find(pid);
    if (!copies || copies->empty()) continue;
    verification_.add({pid, comm_of(pid), copies->front().path, unverified::still_running.name, elapsed_ns()});
  }
}

std::uint64_t TargetSession::elapsed_ns() const {
  if (counting_ns_ == 0) return 0;
  const std::uint64_t until_ns = ended_ns_ != 0 ? ended_ns_ : now_ns();
  return until_ns > counting_ns_ ? until_ns - counting_ns_ : 0;
}

Result<void> TargetSession::open_pids(const std::vector<std::uint32_t>& pids) {
  for (const std::uint32_t pid : pids) {
    if (auto watched = watch_end(pid); !watched) return watched;
    if (auto added = tracer_->processes().add_target(pid); !added) return added;
    const auto copies = finder_.find(pid);
    if (!copies) return copies.error();
    if (copies->empty()) {
      const auto exists = check_exists(pid);
      return exists ? no_probes_error(pid) : exists.error();
    }
    std::size_t met_cnt = 0;
    for (const Copy& copy : *copies) {
      if (copy.probes->notes != Notes::whole) {
        if (!refused_.contains(copy.probes->on_disk)) refuse(copy, untraceable_error(*copy.probes, copy.path));
        tell_of_refused(copy);
        continue;
      }
      if (copy.code == Code::moved) {
        tell_of_moved(copy);
        continue;
      }
      if (auto met = meet(copy, false); !met) return met;
      met_cnt++;
    }
    if (met_cnt == 0) {
      const Copy& copy = copies->front();
      return copy.code == Code::moved ? moved_code_error(copy) : untraceable_error(*copy.probes, copy.path);
    }
    verify(pid, *copies);
    watches_.add(pid, now_ns());
  }
  return {};
}

Result<void> TargetSession::open_file(const std::string& path) {
  auto file = open_probe_file(path);
  if (!file) return file.error();
  only_file_ = std::move(file->probes);
  if (auto safe = before_.check(*only_file_, path, warnings_); !safe) return safe;
  if (auto attached = attachments_.attach(*only_file_, file->file, path); !attached) return attached;
  open_all();
  return {};
}

void TargetSession::open_all() {
  watches_.forget_after_last();
  look_at_all();
}

void TargetSession::look_at_all() {
  const std::uint64_t began_ns = now_ns();
  for (const std::uint32_t pid : all_pids()) look_later(pid, false);
  finder_.forget_unseen();
  const std::uint64_t ended_ns = now_ns();
  next_full_look_ns_ = ended_ns + std::max(full_look_ns, full_look_share * (ended_ns - began_ns));
}

Result<void> TargetSession::watch_end(std::uint32_t pid) {
  FileDescriptor end(static_cast<int>(syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0)));
  if (!end.ok()) {
    const std::string why = errno_text(errno);
    return Error{"watch", describe_process(pid), why, ""};
  }
  ends_.push_back(std::move(end));
  return {};
}

// Attaches to one copy, unless its file is attached to already.
Result<void> TargetSession::meet(const Copy& copy, bool is_new) {
  if (ended_ns_ != 0) return {};
  if (only_file_ && copy.probes->on_disk != only_file_->on_disk) return {};
  if (copy.probes->notes != Notes::whole) return untraceable_error(*copy.probes, copy.path);
  if (!attachments_.has(*copy.probes)) {
    if (auto safe = before_.check(*copy.probes, copy.path, warnings_); !safe) return safe;
    if (auto attached = attachments_.attach(copy); !attached) return attached;
    if (counting_ns_ != 0) attached_late_.push_back({copy.pid, comm_of(copy.pid), copy.path, now_ns() - counting_ns_});
  }
  tracer_->on_copy(copy, is_new);
  return {};
}

void TargetSession::verify(std::uint32_t pid, const std::vector<Copy>& copies) {
  if (ended_ns_ != 0) return;
  std::vector<Copy> attached;
  std::copy_if(copies.begin(), copies.end(), std::back_inserter(attached), [&](const Copy& copy) {
    return copy.code != Code::moved && attachments_.has(*copy.probes) &&
           (!only_file_ || copy.probes->on_disk == only_file_->on_disk);
  });
  const bool is_late = verification_.look(pid, attached, elapsed_ns());
  if (is_late && counting_ns_ != 0) attached_late_.push_back({pid, comm_of(pid), attached.front().path, elapsed_ns()});
}

void TargetSession::verify() {
  if (ended_ns_ != 0) return;
  for (const std::uint32_t pid : verification_.doubtful()) look_later(pid, false);
  for (const std::uint32_t pid : started_.all()) look_later(pid, false);
  judge_ended();
}

// A file that is not attached to: told once, and left alone.
void TargetSession::refuse(const Copy& copy, Error why) {
  warnings_.push_back(std::move(why));
  if (refused_.size() >= most_refused) refused_.clear();
  refused_.insert(copy.probes->on_disk);
}

// A process of such a file.
void TargetSession::tell_of_refused(const Copy& copy) {
  if (ended_ns_ != 0 || (only_file_ && copy.probes->on_disk != only_file_->on_disk)) return;
  const UnverifiedReason& why = copy.probes->notes == Notes::whole ? unverified::not_attached : unverified::no_notes;
  verification_.add({copy.pid, comm_of(copy.pid), copy.path, why.name});
}

// Its waits are not counted, and nothing else comes to harm.
void TargetSession::tell_of_moved(const Copy& copy) {
  if (ended_ns_ != 0 || (only_file_ && copy.probes->on_disk != only_file_->on_disk)) return;
  if (!moved_.insert({copy.pid, copy.root_address}).second) return;
  warnings_.push_back(moved_code_error(copy));
  verification_.add({copy.pid, comm_of(copy.pid), copy.path, unverified::moved_code.name});
}

Result<void> TargetSession::look_at(std::uint32_t pid, bool is_new) {
  const auto copies = finder_.find(pid);
  if (!copies || (copies->empty() && !has_memory(pid))) {
    started_.ended(pid);
    if (ended_ns_ == 0) verification_.end(pid, elapsed_ns());
    return copies ? Result<void>() : copies.error();
  }
  for (const Copy& copy : *copies) {
    if (copy.code == Code::moved) tell_of_moved(copy);
    if (!refused_.contains(copy.probes->on_disk)) {
      if (auto met = meet(copy, is_new); !met && check_exists(pid)) refuse(copy, met.error());
    }
    if (refused_.contains(copy.probes->on_disk)) tell_of_refused(copy);
  }
  verify(pid, *copies);
  // It may have ended, or run another program, before its file was attached to, or its memory read.
  if (!copies->empty() && started_.watches(pid)) is_still_there(copies->front()) ? started_.seen(pid) : started_.ended(pid);
  return {};
}

// A process that was not asked for by number: that it cannot be read, or has ended, is no error.
void TargetSession::look_later(std::uint32_t pid, bool is_new) {
  if (!look_at(pid, is_new)) watches_.remove(pid);
}

// A process that shows a block that was not known: a fork, if not the process itself. That its hit has come says that it is
// armed.
void TargetSession::look_at_sighted(const wp_sighting& sighting) {
  started_.seen(sighting.pid);
  if (tracer_->knows(sighting.incarnation)) return;
  look_later(sighting.pid, true);
  if (!tracer_->knows(sighting.incarnation) && !check_exists(sighting.pid)) tracer_->on_lost_sight(sighting.incarnation);
}

void TargetSession::look_at_started(const wp_program_start& start) {
  const std::uint32_t pid = start.sighting.pid;
  if (!started_.add(start)) verification_.add({pid, comm_of(pid), start.path, unverified::ended_unseen.name, elapsed_ns()});
  watches_.add(pid, now_ns());
  look_later(pid, true);
}

// Programs that ended before a copy was found in them. To be called when no sighting is on its way any more.
void TargetSession::judge_ended() {
  const std::uint64_t now = now_ns();
  for (const std::uint32_t pid : started_.older_than(now > WatchList::last_ns ? now - WatchList::last_ns : 0)) {
    started_.carries_nothing(pid);
  }
  for (const EndedProgram& program : started_.take_ended()) tell_of_ended(program);
  const std::uint64_t untold = tracer_->untold_cnt();
  if (untold != untold_cnt_) verification_.add({0, "", "", unverified::not_told.name, elapsed_ns()});
  untold_cnt_ = untold;
}

// Later ones of its file are counted. So was this one, if the file was attached to when it started, and the kernel arms what
// maps it.
void TargetSession::tell_of_ended(const EndedProgram& program) {
  if (ended_ns_ != 0) return;
  std::optional<ProbeFile> probes;
  if (program.carries == Carries::yes) {
    if (auto notes = read_probe_notes(program.file.get(), program.path)) probes = std::move(*notes);
  }
  if (only_file_ && (!probes || probes->on_disk != only_file_->on_disk)) return;
  if (probes && attachments_.since_ns(*probes) < program.start_ns && !probes->shares_semaphore_page) return;
  const UnverifiedReason& why = probes && probes->shares_semaphore_page ? unverified::shared_page : unverified::ended_unseen;
  verification_.add({program.pid, program.comm, program.path, why.name, elapsed_ns()});
  if (!probes || attachments_.has(*probes) || refused_.contains(probes->on_disk)) return;
  if (auto attached = attachments_.attach(*probes, program.file, program.path); !attached) {
    warnings_.push_back(attached.error());
    refused_.insert(probes->on_disk);
  }
}

void TargetSession::look_at_due(std::uint64_t now) {
  for (const std::uint32_t pid : watches_.take_due(now)) look_later(pid, false);
  if (now >= next_full_look_ns_) look_at_all();
}

// A copy that has reported itself, and is in no file that can be seen.
void TargetSession::tell_of_hidden(std::uint32_t pid) {
  if (ended_ns_ != 0 || !check_exists(pid)) return;
  verification_.add({pid, comm_of(pid), "", unverified::no_notes.name});
  if (std::exchange(has_told_hidden_, true)) return;
  warnings_.push_back({"trace", describe_process(pid),
                       "it carries waitprobe, but none of its files shows where (packed, or not readable)",
                       "`waitprobe doctor -p` shows what can be seen of a process"});
}

// A copy of the library in the command, or below it, is about to begin and waits for us.
void TargetSession::greet(std::uint32_t pid, std::uint64_t root_address) {
  auto copies = finder_.find(pid);
  const auto greeted = [&](const Copy& copy) { return copy.root_address == root_address; };
  if (copies && std::none_of(copies->begin(), copies->end(), greeted)) {
    // Known by the number of a file that had it before, and carried no probes.
    finder_.forget_all();
    copies = finder_.find(pid);
  }
  if (!copies || std::none_of(copies->begin(), copies->end(), greeted)) return tell_of_hidden(pid);
  for (const Copy& copy : *copies) {
    if (copy.root_address != root_address) continue;
    started_.seen(pid);  // it waits for the answer
    const std::size_t late_before = attached_late_.size();
    if (!refused_.contains(copy.probes->on_disk)) {
      if (auto met = meet(copy, true); !met && check_exists(pid)) refuse(copy, met.error());
    }
    if (refused_.contains(copy.probes->on_disk)) tell_of_refused(copy);
    attached_late_.resize(late_before);
    verify(pid, *copies);
    // A look at the process may have attached to the file while its loader was still at work: not late either.
    std::erase_if(attached_late_, [&](const AttachedLate& late) { return late.pid == pid && late.file == copy.path; });
  }
}

bool TargetSession::targets_have_ended() const {
  return !ends_.empty() &&
         std::all_of(ends_.begin(), ends_.end(), [](const FileDescriptor& end) { return is_readable(end.get()); });
}

void TargetSession::wait_for_something(std::uint64_t until_ns, int wake_fd) {
  std::vector<pollfd> waits = {{stop_signals_, POLLIN, 0},
                               {wake_fd, POLLIN, 0},
                               {tracer_->fd(), POLLIN, 0},
                               {tracer_->processes().sightings_fd(), POLLIN, 0}};
  if (rendezvous_) rendezvous_->add_to(waits);
  for (const FileDescriptor& end : ends_) {
    if (!is_readable(end.get())) waits.push_back({end.get(), POLLIN, 0});
  }
  const std::uint64_t now = now_ns();
  const std::uint64_t wake_ns = std::min({until_ns, tracer_->next_ns(), watches_.next_ns(), next_full_look_ns_});
  timespec patience = {3600, 0};
  if (wake_ns <= now) {
    patience = {0, 0};
  } else if (wake_ns - now < 3600ULL * 1'000'000'000U) {
    patience = {static_cast<time_t>((wake_ns - now) / 1'000'000'000U), static_cast<long>((wake_ns - now) % 1'000'000'000U)};
  }
  ppoll(waits.data(), waits.size(), &patience, nullptr);
}

TargetSession::Event TargetSession::run_until(std::uint64_t deadline_ns, int wake_fd) {
  for (;;) {
    wait_for_something(deadline_ns, wake_fd);
    ProcessFilter& processes = tracer_->processes();
    if (rendezvous_) {
      rendezvous_->serve([&](std::uint32_t pid) { return processes.is_target(pid); },
                         [this](std::uint32_t pid, std::uint64_t root_address) { greet(pid, root_address); });
    }
    processes.take_sightings([this](const wp_sighting& sighting) { look_at_sighted(sighting); },
                             [this](const wp_program_start& start) { look_at_started(start); });
    look_at_due(now_ns());
    judge_ended();
    const bool served = tracer_->serve();
    if (is_readable(stop_signals_)) return Event::stopped;
    if (targets_have_ended()) {
      stop_counting();
      return Event::ended;
    }
    if (served || is_readable(wake_fd)) return Event::woken;
    if (now_ns() >= deadline_ns) return Event::deadline;
  }
}

}  // namespace waitprobe
