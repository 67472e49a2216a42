// SPDX-License-Identifier: MIT
//
// Finds the targets, attaches a tracer to their files, and follows them: programs that start, plug-ins that are loaded, the
// command that reports itself, processes that end. Single-threaded: everything that happens is dealt with inside run_until().
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "src/collect/trace/attachments.h"
#include "src/collect/process/target_choice.h"
#include "src/collect/safety/before_attaching.h"
#include "src/collect/trace/command.h"
#include "src/collect/process/library_instances.h"
#include "src/collect/trace/heirs.h"
#include "src/collect/process/opened_files.h"
#include "src/collect/trace/process_events.h"
#include "src/collect/trace/process_filter.h"
#include "src/collect/trace/rendezvous.h"
#include "src/collect/trace/verification.h"
#include "src/collect/process/watch_list.h"
#include "src/model/result.h"
#include "src/model/snapshot.h"

namespace waitprobe {

// What a session is there for: BPF programs, and what is done with what they tell.
class Tracer {
 public:
  virtual ~Tracer() = default;

  // Which programs belong on which probes. Called once.
  virtual std::vector<ProbeProgram> probe_programs() const = 0;
  virtual ProcessFilter& processes() = 0;
  // Its links to tracepoints, which are detached with those to probes.
  virtual std::span<TracepointLink> tracepoints() = 0;

  // An instance of the library whose file is attached to; the same one may come again. `is_new` says that it has begun since
  // the session did.
  virtual void on_instance(const LibraryInstance& instance, bool is_new) = 0;
  // How many processes the session should have looked at, and was not told of for want of room.
  virtual std::uint64_t untold_cnt() const { return 0; }
  // An incarnation that was discovered: whether it belongs to an instance that has come, and that it does not, though its process
  // was looked at: that has ended before, or closed the instance.
  virtual bool knows(std::uint64_t /*incarnation*/) const { return true; }
  virtual void on_lost_sight(std::uint32_t /*pid*/, std::uint64_t /*incarnation*/) {}

  // Called before each of many looks: where the kernel is about to run out of places, it must not wait for all of them.
  virtual void relieve() {}

  // Readable when there is something to serve; -1: never.
  virtual int fd() const { return -1; }
  // When it wants to be served at the latest (nanoseconds of CLOCK_MONOTONIC).
  virtual std::uint64_t next_ns() const { return UINT64_MAX; }
  // Called whenever the session wakes. True: run_until() is to return.
  virtual bool serve() { return false; }
};

// Lifetime: destroying it detaches. Threads: one at a time.
class TargetSession {
 public:
  // Errors: a target does not exist.
  static Result<void> check(const TargetChoice& choice);

  // Attaches to everything there is to attach to. `stop_signals` is a signalfd, or -1. Lifetime: the tracer must outlive it.
  // Errors: the target's, or the kernel's. REQUIRES: check().
  static Result<std::unique_ptr<TargetSession>> open(const TargetChoice& choice, Tracer& tracer, int stop_signals);

  // From this moment (nanoseconds of CLOCK_MONOTONIC) on it counts: files that are attached to later are late.
  void count_from(std::uint64_t since_ns) { counting_ns_ = since_ns; }

  // Runs the command, if there is one.
  Result<void> start();

  enum class Event { deadline, stopped, ended, woken };

  // Until the moment (nanoseconds of CLOCK_MONOTONIC), until the signalfd or `wake_fd` is readable, until the targets have
  // ended, or until the tracer asks for it.
  Event run_until(std::uint64_t deadline_ns, int wake_fd = -1);

  // Attaches to nothing more. run_until() goes on to serve the command.
  void stop_counting();
  void detach() { attachments_.detach(tracer_->tracepoints()); }

  // When the targets had ended, or it stopped counting; 0: neither.
  std::uint64_t ended_ns() const { return ended_ns_; }
  // Since it began to count, until it ended.
  std::uint64_t elapsed_ns() const;

  // Reads again that the guards of all targets are armed. To be called before each snapshot.
  void verify();
  void doubt(Unverified process) { verification_.add(std::move(process)); }
  Caveats caveats() const { return {attached_late(), verification_.unverified()}; }
  // Programs and libraries that are attached to.
  std::size_t file_cnt() const { return attachments_.size(); }
  // Whether a target has mapped PyTorch: waits there that have no counter cannot be seen.
  bool has_pytorch() const { return finder_.has_seen_pytorch(); }

  // What went wrong on the way and did not end the session; handed over once.
  std::vector<Error> take_warnings() { return std::exchange(warnings_, {}); }
  bool has_warnings() const { return !warnings_.empty(); }
  void warn(Error warning) { warnings_.push_back(std::move(warning)); }

  // Null when the targets are not a command.
  Command* command() { return command_ ? &*command_ : nullptr; }

 private:
  struct LateInstance {
    AttachedLate late;
    std::uint64_t id = 0;            // of the instance that was found late, and of the forks that have it from there
    std::uint64_t root_address = 0;  // 0: whatever greets there, this one was late
    std::uint64_t mapped_ns = 0;     // 0: not heard of yet
  };

  std::vector<AttachedLate> attached_late() const;

  TargetSession(Tracer& tracer, int stop_signals, bool is_forced, ProcessEvents events);

  Result<void> open_targets(const TargetChoice& choice);
  Result<void> open_pids(const std::vector<std::uint32_t>& pids, bool may_have_ended);
  Result<void> open_file(const std::string& path);
  Result<void> open_command(const TargetChoice& choice);
  void open_all();
  void remember(std::uint32_t pid);
  void look_at_all();
  Result<void> watch_end(std::uint32_t pid);

  Result<void> look_at(std::uint32_t pid, bool is_new);
  Result<void> meet(const LibraryInstance& instance, bool is_new);
  std::string name_of(std::uint32_t pid) const;  // also of one that has ended, if it was heard of
  void tell_if_late(const LibraryInstance& instance, bool is_just_attached);
  void settle_earlier(const LibraryInstance& instance, std::uint64_t mapped_ns);
  void add_late(LateInstance instance);
  void tell_of_heir(const Fork& heir, const Unattached& of);
  void forgive(const LibraryInstance& instance);
  void verify(std::uint32_t pid, const std::vector<LibraryInstance>& instances);
  void tell_of_descendants();
  void refuse(const ProbeFile& file, Error why);
  void tell_of_refused(const LibraryInstance& instance);
  void tell_of_moved(const LibraryInstance& instance);
  void tell_of_unseen_files(std::uint32_t pid, const std::string& file, bool is_new);
  void tell_of_hidden(std::uint32_t pid);
  void look_later(std::uint32_t pid, bool is_new);
  void look_at_discovered(const wp_discovery& discovery);
  void take_events();
  bool follows(std::uint32_t pid) const;
  void follow_fork(const ProcessEvent& event);
  void follow_program(const ProcessEvent& event);
  bool look_at_mapped(const ProcessEvent& event);
  void judge_ended();
  void tell_of_ended(const OpenedFile& opened);
  void attach_for_later(const OpenedFile& opened);
  void tell_of_unheard();
  void look_at_due(std::uint64_t now_ns);
  void drop_deleted_files();
  void greet(std::uint32_t pid, std::uint64_t root_address, const std::function<bool()>& waits);
  bool targets_have_ended() const;
  void wait_for_something(std::uint64_t until_ns, int wake_fd);

  Tracer* tracer_;
  Attachments attachments_;
  Verification verification_;
  InstanceFinder finder_;
  BeforeAttaching before_;
  WatchList watches_;
  ProcessEvents events_;
  OpenedFiles opened_;
  Heirs heirs_;
  std::optional<ProbeFile> only_file_;  // of -f: it is attached to, and no other
  std::uint64_t next_full_look_ns_ = UINT64_MAX;
  std::optional<Rendezvous> rendezvous_;
  std::optional<Command> command_;
  std::vector<FileDescriptor> ends_;  // pidfds of the targets
  int stop_signals_;
  std::uint64_t untold_cnt_ = 0;   // of the tracer's, those that have been told of
  std::uint64_t counting_ns_ = 0;  // since when; 0: still attaching
  std::uint64_t ended_ns_ = 0;     // 0: still counting
  std::vector<LateInstance> late_instances_;
  std::uint64_t late_cnt_ = 0;
  std::vector<Error> warnings_;
  std::set<std::pair<std::uint32_t, std::uint64_t>> moved_;  // pid and root of instances without their code: told once
  bool has_told_hidden_ = false;
  std::size_t dropping_at_ = 64;  // with so many files attached to, those that have been deleted are dropped
  std::set<FileId> refused_;      // files that could not be attached to: told once, and left alone
};

}  // namespace waitprobe
