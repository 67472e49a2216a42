// SPDX-License-Identifier: MIT
#include "src/collect/trace/target_session.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <iterator>

#include "src/collect/machine/clock.h"
#include "src/collect/safety/translators.h"

namespace waitprobe {
namespace {

// How often all processes of the machine are looked at, for a plug-in that one of them has loaded: this often, or, where there
// are very many, as often as one percent of a CPU allows.
constexpr std::uint64_t full_look_ns = 2'000'000'000;
constexpr std::uint64_t full_look_share = 100;

bool is_readable(int fd) {
  pollfd wait = {fd, POLLIN, 0};
  return fd >= 0 && poll(&wait, 1, 0) == 1;
}

}  // namespace

Result<void> TargetSession::check(const TargetChoice& choice) {
  for (const std::uint32_t pid : choice.pids) {
    if (auto exists = check_exists(pid); !exists) return exists.error();
  }
  return {};
}

TargetSession::TargetSession(Tracer& tracer, int stop_signals, bool is_forced, ProcessEvents events)
    : tracer_(&tracer),
      attachments_(tracer.probe_programs()),
      verification_(tracer.probe_programs()),
      before_(finder_, is_forced),
      events_(std::move(events)),
      heirs_([this](const Fork& heir, const Unattached& of) { tell_of_heir(heir, of); }),
      stop_signals_(stop_signals) {}

Result<std::unique_ptr<TargetSession>> TargetSession::open(const TargetChoice& choice, Tracer& tracer, int stop_signals) {
  auto events = ProcessEvents::open();
  if (!events) return events.error();
  std::unique_ptr<TargetSession> session(new TargetSession(tracer, stop_signals, choice.is_forced, std::move(*events)));
  if (auto opened = session->open_targets(choice); !opened) return opened.error();
  return session;
}

Result<void> TargetSession::open_targets(const TargetChoice& choice) {
  if (!choice.pids.empty()) return open_pids(choice.pids, choice.are_named);
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
  opened_.is_there(command_->pid(), static_cast<std::uint32_t>(getpid()), comm_of(command_->pid()));
  return watch_end(command_->pid());
}

Result<void> TargetSession::start() { return command_ ? command_->start() : Result<void>(); }

void TargetSession::stop_counting() {
  if (ended_ns_ != 0) return;
  verify();
  if (command_) tell_of_descendants();
  ended_ns_ = now_ns();
}

// What the command has left behind goes on, and is counted no more; so does the command itself, where nobody waited for it. One
// without the library may not have come to its program yet, or open it later.
void TargetSession::tell_of_descendants() {
  for (const std::uint32_t pid : tracer_->processes().targets()) {
    if (!check_exists(pid)) continue;
    std::set<std::string> unopened;
    const auto instances = finder_.find(pid, unopened);
    const std::string file = instances && !instances->empty() ? instances->front().path : "";
    verification_.add({pid, comm_of(pid), file, unverified::still_running.name, elapsed_ns()});
  }
}

std::uint64_t TargetSession::elapsed_ns() const {
  if (counting_ns_ == 0) return 0;
  const std::uint64_t until_ns = ended_ns_ != 0 ? ended_ns_ : now_ns();
  return until_ns > counting_ns_ ? until_ns - counting_ns_ : 0;
}

Result<void> TargetSession::open_pids(const std::vector<std::uint32_t>& pids, bool may_have_ended) {
  const auto exists = [](std::uint32_t pid) { return bool(check_exists(pid)); };
  const bool skips_ended = may_have_ended && std::any_of(pids.begin(), pids.end(), exists);
  for (const std::uint32_t pid : pids) {
    if (skips_ended && !exists(pid)) continue;
    if (auto watched = watch_end(pid); !watched) return watched;
    if (auto added = tracer_->processes().add_target(pid); !added) return added;
    remember(pid);
    std::set<std::string> unopened;
    const auto instances = finder_.find(pid, unopened);
    if (!instances) return instances.error();
    if (instances->empty()) return nothing_found_error(pid, unopened);
    std::size_t met_cnt = 0;
    for (const LibraryInstance& instance : *instances) {
      if (instance.probes->notes != Notes::whole) {
        if (!refused_.contains(instance.probes->on_disk))
          refuse(*instance.probes, untraceable_error(*instance.probes, instance.path));
        tell_of_refused(instance);
        continue;
      }
      if (instance.code == Code::moved) {
        tell_of_moved(instance);
        continue;
      }
      if (auto met = meet(instance, false); !met) return met;
      met_cnt++;
    }
    if (met_cnt == 0) {
      const LibraryInstance& instance = instances->front();
      return instance.code == Code::moved ? moved_code_error(instance) : untraceable_error(*instance.probes, instance.path);
    }
    verify(pid, *instances);
    if (!unopened.empty()) tell_of_unseen_files(pid, *unopened.begin(), false);
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
  if (!only_file_ && hides_processes()) verification_.add({0, "", "", unverified::unlisted.name});
  for (const std::uint32_t pid : all_pids()) remember(pid);
  look_at_all();
}

// Those that come later are told of as they begin.
void TargetSession::remember(std::uint32_t pid) {
  const auto stat = stat_of(pid);
  opened_.is_there(pid, stat ? stat->parent_pid : 0, comm_of(pid));
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

bool TargetSession::targets_have_ended() const {
  return !ends_.empty() &&
         std::all_of(ends_.begin(), ends_.end(), [](const FileDescriptor& end) { return is_readable(end.get()); });
}

void TargetSession::wait_for_something(std::uint64_t until_ns, int wake_fd) {
  std::vector<pollfd> waits = {{stop_signals_, POLLIN, 0},
                               {wake_fd, POLLIN, 0},
                               {tracer_->fd(), POLLIN, 0},
                               {tracer_->processes().discoveries_fd(), POLLIN, 0},
                               {events_.fd(), POLLIN, 0}};
  if (rendezvous_) rendezvous_->add_to(waits);
  for (const FileDescriptor& end : ends_) {
    if (!is_readable(end.get())) waits.push_back({end.get(), POLLIN, 0});
  }
  const std::uint64_t now = now_ns();
  const std::uint64_t wake_ns =
      std::min({until_ns, tracer_->next_ns(), watches_.next_ns(), next_full_look_ns_, events_.next_ns()});
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
                         [this](std::uint32_t pid, std::uint64_t root_address, const std::function<bool()>& waits) {
                           greet(pid, root_address, waits);
                         });
    }
    take_events();
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
