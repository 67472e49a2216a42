// SPDX-License-Identifier: MIT
//
// Of TargetSession: what a look at a process finds, and what comes of it.
#include <algorithm>
#include <iterator>
#include <set>

#include "src/collect/machine/clock.h"
#include "src/collect/trace/target_session.h"
#include "src/collect/safety/translators.h"

namespace waitprobe {
namespace {

constexpr std::size_t most_refused = 4096;  // files, and instances without code, that are remembered; then they are told again
constexpr std::size_t most_late = 4096;     // more are dropped: that there are such processes is known by then

}  // namespace

// Attaches to one instance, unless its file is attached to already.
Result<void> TargetSession::meet(const LibraryInstance& instance, bool is_new) {
  if (ended_ns_ != 0) return {};
  if (only_file_ && instance.probes->on_disk != only_file_->on_disk) return {};
  if (instance.probes->notes != Notes::whole) return untraceable_error(*instance.probes, instance.path);
  if (!attachments_.has(*instance.probes)) {
    if (auto safe = before_.check(*instance.probes, instance.path, warnings_); !safe) return safe;
    if (auto attached = attachments_.attach(instance); !attached) return attached;
    tell_if_late(instance, true);
  } else {
    tell_if_late(instance, false);
  }
  tracer_->on_instance(instance, is_new);
  return {};
}

std::string TargetSession::name_of(std::uint32_t pid) const {
  std::string comm = opened_.program_of(pid).comm;
  return comm.empty() ? comm_of(pid) : comm;
}

void TargetSession::tell_of_unheard() { verification_.add({0, "", "", unverified::not_told.name, elapsed_ns()}); }

// Whether the process had the file before it was attached to, for this process or for another.
void TargetSession::tell_if_late(const LibraryInstance& instance, bool is_just_attached) {
  const auto mapped = opened_.found(instance);
  if (counting_ns_ == 0) return;
  const std::uint64_t since_ns = attachments_.since_ns(*instance.probes);
  const std::uint64_t had_ns = std::max(mapped ? mapped->time_ns : 0, counting_ns_);
  if (mapped) settle_earlier(instance, mapped->time_ns);
  if (mapped ? since_ns <= had_ns : !is_just_attached) return;
  const bool is_first = !mapped || (!mapped->is_second && !mapped->is_again);
  const std::uint64_t id = ++late_cnt_;
  add_late({{instance.pid, name_of(instance.pid), instance.path, since_ns - counting_ns_},
            id,
            is_first ? instance.root_address : 0,
            mapped ? mapped->time_ns : 0});
  if (!heirs_.add({instance.pid, instance.path, id, had_ns, since_ns, since_ns, nullptr})) tell_of_unheard();
}

// Of an instance that was at the place before this was mapped there, nothing will be forgiven. One may have been found before
// it was heard when it was mapped.
void TargetSession::settle_earlier(const LibraryInstance& instance, std::uint64_t mapped_ns) {
  for (LateInstance& known : late_instances_) {
    if (known.late.pid != instance.pid || known.root_address != instance.root_address) continue;
    const bool is_it = known.mapped_ns == 0 && mapped_ns < known.late.elapsed_ns + counting_ns_;
    if (is_it) known.mapped_ns = mapped_ns;
    if (known.mapped_ns < mapped_ns) known.root_address = 0;
  }
}

void TargetSession::add_late(LateInstance instance) {
  const auto is_it = [&](const LateInstance& known) {
    return known.late.pid == instance.late.pid && known.late.file == instance.late.file && known.id == instance.id;
  };
  if (late_instances_.size() >= most_late || std::any_of(late_instances_.begin(), late_instances_.end(), is_it)) return;
  late_instances_.push_back(std::move(instance));
}

void TargetSession::tell_of_heir(const Fork& heir, const Unattached& of) {
  if (ended_ns_ != 0) return;
  if (of.why != nullptr) return verification_.add({heir.pid, heir.comm, of.file, of.why->name, elapsed_ns()});
  add_late({{heir.pid, heir.comm, of.file, of.attached_ns - counting_ns_}, of.id, 0, 0});
}

// Of a command, a look may have attached to the file while its loader was still at work: that nothing was lost is known when
// the instance greets, so as long as it may, it is not said to be late.
std::vector<AttachedLate> TargetSession::attached_late() const {
  const bool may_greet = rendezvous_ && ended_ns_ == 0;
  std::vector<AttachedLate> all;
  std::set<std::pair<std::uint32_t, std::string>> listed;
  for (const LateInstance& instance : late_instances_) {
    if (may_greet && instance.late.elapsed_ns + WP_PATIENCE_NS > elapsed_ns()) continue;
    if (listed.insert({instance.late.pid, instance.late.file}).second) all.push_back(instance.late);
  }
  return all;
}

// It waits at its beginning: what was attached since its program started was in time for it, and for its forks until now.
void TargetSession::forgive(const LibraryInstance& instance) {
  const std::uint64_t began_ns = opened_.program_of(instance.pid).since_ns;
  std::set<std::uint64_t> ids;
  for (const LateInstance& one : late_instances_) {
    const bool is_it = one.late.pid == instance.pid && one.root_address == instance.root_address;
    if (is_it && one.late.elapsed_ns + counting_ns_ >= began_ns) ids.insert(one.id);
  }
  for (const std::uint64_t id : ids) heirs_.forget(id);
  std::erase_if(late_instances_, [&](const LateInstance& one) { return ids.contains(one.id); });
}

void TargetSession::verify(std::uint32_t pid, const std::vector<LibraryInstance>& instances) {
  if (ended_ns_ != 0) return;
  std::vector<LibraryInstance> attached;
  std::copy_if(instances.begin(), instances.end(), std::back_inserter(attached), [&](const LibraryInstance& instance) {
    return instance.code != Code::moved && attachments_.has(*instance.probes) &&
           (!only_file_ || instance.probes->on_disk == only_file_->on_disk);
  });
  const std::string* late = verification_.look(pid, name_of(pid), attached, elapsed_ns());
  if (late != nullptr && counting_ns_ != 0) add_late({{pid, name_of(pid), *late, elapsed_ns()}, 0, 0, 0});
}

void TargetSession::verify() {
  if (ended_ns_ != 0) return;
  take_events();
  for (const std::uint32_t pid : verification_.doubtful()) look_later(pid, false);
  for (const std::uint32_t pid : opened_.waiting_since(UINT64_MAX)) look_later(pid, false);
  judge_ended();
  const bool missed_events = events_.missed_any();
  const std::uint64_t untold_cnt = tracer_->untold_cnt();  // once: the kernel counts on
  if (missed_events || untold_cnt != untold_cnt_) tell_of_unheard();
  untold_cnt_ = untold_cnt;
}

// A file that is not attached to: told once, and left alone.
void TargetSession::refuse(const ProbeFile& file, Error why) {
  warnings_.push_back(std::move(why));
  if (refused_.size() >= most_refused) refused_.clear();
  refused_.insert(file.on_disk);
}

// A process of such a file.
void TargetSession::tell_of_refused(const LibraryInstance& instance) {
  opened_.found(instance);
  if (ended_ns_ != 0 || (only_file_ && instance.probes->on_disk != only_file_->on_disk)) return;
  const UnverifiedReason& why = instance.probes->notes == Notes::whole ? unverified::not_attached : unverified::no_notes;
  verification_.add({instance.pid, name_of(instance.pid), instance.path, why.name});
}

// Its waits are not counted, and nothing else comes to harm.
void TargetSession::tell_of_moved(const LibraryInstance& instance) {
  if (ended_ns_ != 0 || (only_file_ && instance.probes->on_disk != only_file_->on_disk)) return;
  if (moved_.size() >= most_refused) moved_.clear();
  if (!moved_.insert({instance.pid, instance.root_address}).second) return;
  warnings_.push_back(moved_code_error(instance));
  verification_.add({instance.pid, name_of(instance.pid), instance.path, unverified::moved_code.name});
}

// Of one file, the kernel arms what maps it, looked into or not, but for the page of another segment.
void TargetSession::tell_of_unseen_files(std::uint32_t pid, const std::string& file, bool is_new) {
  const bool may_be_unarmed = !only_file_ || only_file_->shares_semaphore_page || is_new;
  if (ended_ns_ == 0 && may_be_unarmed) verification_.is_hidden(pid, name_of(pid), file);
}

Result<void> TargetSession::look_at(std::uint32_t pid, bool is_new) {
  const std::uint64_t began_ns = now_ns();
  std::set<std::string> unopened;
  const auto instances = finder_.find(pid, unopened);
  if (!instances && check_exists(pid)) {
    tell_of_unseen_files(pid, "", is_new);
    return instances.error();
  }
  if (!instances || (instances->empty() && !has_memory(pid))) {
    opened_.is_gone(pid);
    if (ended_ns_ == 0) verification_.end(pid, elapsed_ns());
    return instances ? Result<void>() : instances.error();
  }
  for (const LibraryInstance& instance : *instances) {
    if (instance.code == Code::moved) tell_of_moved(instance);
    if (!refused_.contains(instance.probes->on_disk)) {
      if (auto met = meet(instance, is_new); !met && is_still_there(instance)) refuse(*instance.probes, met.error());
    }
    if (refused_.contains(instance.probes->on_disk)) tell_of_refused(instance);
  }
  opened_.looked_at(pid, began_ns);
  verify(pid, *instances);
  if (!unopened.empty()) {
    tell_of_unseen_files(pid, *unopened.begin(), is_new);
  } else if (ended_ns_ == 0) {
    verification_.is_seen(pid, elapsed_ns());
  }
  return {};
}

// A process that was not asked for by number: that it cannot be read, or has ended, is no error.
void TargetSession::look_later(std::uint32_t pid, bool is_new) {
  if (!look_at(pid, is_new)) watches_.remove(pid);
}

// A process that shows a block that was not known: a fork, if not the process itself.
void TargetSession::look_at_discovered(const wp_discovery& discovery) {
  tracer_->relieve();
  if (discovery.incarnation == 0 || tracer_->knows(discovery.incarnation)) return;
  look_later(discovery.pid, true);
  if (!tracer_->knows(discovery.incarnation)) tracer_->on_lost_sight(discovery.pid, discovery.incarnation);
}

// Those that have ended are followed too: what they did may be heard of later.
bool TargetSession::follows(std::uint32_t pid) const { return !tracer_->processes().filters() || opened_.knows(pid); }

void TargetSession::follow_fork(const ProcessEvent& event) {
  if (command_ && event.pid == command_->pid()) return;  // ours
  const bool is_target = command_ ? opened_.knows(event.parent_pid) : !tracer_->processes().filters();
  if (!is_target) return opened_.is_another(event.pid, event.time_ns);
  const std::string comm = opened_.program_of(event.parent_pid).comm;
  heirs_.process_began({event.pid, event.parent_pid, comm, event.time_ns});
  if (!opened_.is_there(event.pid, event.parent_pid, comm, event.time_ns)) tell_of_unheard();
}

// A file that a process has mapped: whether it is to be looked at.
bool TargetSession::look_at_mapped(const ProcessEvent& event) {
  if (!follows(event.pid)) return false;
  const OpenedFiles::Program program = opened_.program_of(event.pid);
  auto probes = finder_.look_up(event.pid, event.mapping, program.parent_pid);
  if (probes && *probes == nullptr) return false;
  if (only_file_ && (probes ? (*probes)->on_disk : event.mapping.file).inode != only_file_->on_disk.inode) return false;
  std::string comm = name_of(event.pid);
  // A look may have found what this tells of before it was heard.
  const bool is_second = verification_.has_found(event.pid, event.mapping.path, program.since_ns, event.time_ns);
  const OpenedFile opened{event.pid, comm, event.mapping, event.time_ns, probes.value_or(nullptr), is_second};
  if (!opened_.add(opened)) {
    verification_.add({event.pid, comm, event.mapping.path, unverified::ended_unseen.name, elapsed_ns()});
  }
  return true;
}

void TargetSession::follow_program(const ProcessEvent& event) {
  heirs_.end(event.pid, event.time_ns);
  opened_.program_started(event.pid, event.comm, event.time_ns);
}

void TargetSession::take_events() {
  using Kind = ProcessEvent::Kind;
  std::set<std::uint32_t> pids;
  for (const ProcessEvent& event : events_.take()) {
    if (ended_ns_ != 0) continue;
    if (event.kind == Kind::file && look_at_mapped(event)) pids.insert(event.pid);
    if (event.kind == Kind::fork) follow_fork(event);
    if (event.kind == Kind::program) follow_program(event);
    if (event.kind == Kind::name) opened_.is_named(event.pid, event.comm);
    if (event.kind == Kind::end) opened_.thread_ended(event.pid, event.time_ns);
  }
  tracer_->processes().take_discoveries([this](const wp_discovery& discovery) { look_at_discovered(discovery); });
  for (const std::uint32_t pid : pids) {
    tracer_->relieve();
    watches_.add(pid, now_ns());
    look_later(pid, true);
  }
  drop_deleted_files();
}

// Files of processes that ended before a look found an instance in them.
void TargetSession::judge_ended() {
  const std::uint64_t now = now_ns();
  opened_.give_up_before(now > WatchList::last_ns ? now - WatchList::last_ns : 0);
  for (const OpenedFile& opened : opened_.take_ended()) tell_of_ended(opened);
}

// Its waits were counted if the file was attached to when it was mapped, and the kernel arms what maps it. Those of later
// processes are.
void TargetSession::tell_of_ended(const OpenedFile& opened) {
  if (ended_ns_ != 0) return;
  const ProbeFile* const probes = opened.probes.get();
  const bool is_shared = probes != nullptr && probes->shares_semaphore_page;
  const bool was_attached = probes != nullptr && attachments_.since_ns(*probes) < std::max(opened.time_ns, counting_ns_);
  if (was_attached && !is_shared && !opened.is_second) return;
  const UnverifiedReason& why = is_shared                          ? unverified::shared_page
                                : was_attached && opened.is_second ? unverified::word_is_zero
                                                                   : unverified::ended_unseen;
  verification_.add({opened.pid, opened.comm, opened.mapping.path, why.name, elapsed_ns()});
  attach_for_later(opened);
  const std::uint64_t attached_ns = probes != nullptr && !was_attached ? attachments_.since_ns(*probes) : UINT64_MAX;
  if (!heirs_.add(
          {opened.pid, opened.mapping.path, 0, opened.time_ns, std::min(opened.ended_ns, attached_ns), attached_ns, &why}))
    tell_of_unheard();
}

void TargetSession::attach_for_later(const OpenedFile& opened) {
  const ProbeFile* const probes = opened.probes.get();
  if (probes == nullptr || attachments_.has(*probes) || refused_.contains(probes->on_disk)) return;
  const FileDescriptor file =
      InstanceFinder::open_mapped(opened.pid, opened.mapping, opened_.program_of(opened.pid).parent_pid);
  if (!file.ok()) return;
  auto attached = before_.check(*probes, opened.mapping.path, warnings_);
  if (attached) attached = attachments_.attach(*probes, file, opened.mapping.path);
  if (!attached) refuse(*probes, attached.error());
}

// Programs that are built, run and deleted, one after the other.
void TargetSession::drop_deleted_files() {
  if (attachments_.size() < dropping_at_) return;
  if (const auto mapped = finder_.mapped_files()) attachments_.drop_deleted(*mapped);
  dropping_at_ = attachments_.size() + 64;
}

void TargetSession::look_at_due(std::uint64_t now) {
  for (const std::uint32_t pid : watches_.take_due(now)) look_later(pid, false);
  if (now >= next_full_look_ns_) look_at_all();
}

// An instance that has reported itself, and is in no file that can be seen.
void TargetSession::tell_of_hidden(std::uint32_t pid) {
  if (ended_ns_ != 0 || !check_exists(pid)) return;
  verification_.add({pid, name_of(pid), "", unverified::no_notes.name});
  if (std::exchange(has_told_hidden_, true)) return;
  warnings_.push_back({"trace", describe_process(pid),
                       "waitprobe is in it, but its probes were not found in any file (packed or unreadable)",
                       "`waitprobe doctor -p` shows what can be seen of a process"});
}

// An instance of the library in the command, or below it, is about to begin and waits for us.
void TargetSession::greet(std::uint32_t pid, std::uint64_t root_address, const std::function<bool()>& waits) {
  take_events();  // that it has mapped the file was told before it came
  std::set<std::string> unopened;
  auto instances = finder_.find(pid, unopened);
  const auto greeted = [&](const LibraryInstance& instance) { return instance.root_address == root_address; };
  if (instances && std::none_of(instances->begin(), instances->end(), greeted)) {
    // Known by the number of a file that had it before, and carried no probes.
    finder_.forget_all();
    instances = finder_.find(pid, unopened);
  }
  if (!instances || std::none_of(instances->begin(), instances->end(), greeted)) return tell_of_hidden(pid);
  for (const LibraryInstance& instance : *instances) {
    if (instance.root_address != root_address) continue;
    if (!refused_.contains(instance.probes->on_disk)) {
      if (auto met = meet(instance, true); !met && is_still_there(instance)) refuse(*instance.probes, met.error());
    }
    if (refused_.contains(instance.probes->on_disk)) tell_of_refused(instance);
    verify(pid, *instances);
    if (waits()) forgive(instance);
  }
}

}  // namespace waitprobe
