// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/model/key_class.h"
#include "src/model/stack.h"
#include "src/model/unseen.h"

namespace waitprobe {

// Why a wait that is still open is nothing to worry about.
enum class Lasting {
  no,
  by_class,     // its key is idle, as the program says
  by_option,    // its key is idle, as the user says
  by_evidence,  // it looks like that of a worker which nobody has given work yet
};

// A thread that holds a mutex which another thread waits for. What is not known is empty or 0.
struct LockHolder {
  std::uint32_t tid = 0;
  bool has_ended = false;     // without unlocking it; then `tid` is what its process called it
  std::string thread;         // its name; any bytes
  std::string key;            // of the wait that it is inside of; any bytes
  std::uint64_t key_len = 0;  // of the whole key
  char state = 0;             // as in OpenWait
  std::string wchan;
  std::string system_call;
  Stack stack;
  std::string no_stack_reason;  // if one was asked for and there is none
};

// A wait that has begun and not ended: a row of `stuck`. What is not known is empty or 0.
struct OpenWait {
  std::uint32_t pid = 0;
  std::string comm;           // of the process; any bytes
  std::uint32_t tid = 0;      // of the thread that began it; 0 when that has ended
  std::string thread;         // its name; any bytes
  std::string key;            // any bytes, the first WP_KEY_MAX of them
  std::uint64_t key_len = 0;  // of the whole key
  KeyClass key_class = KeyClass::wait;
  std::optional<std::uint64_t> age_ns;  // absent in a core dump of which it is not known when it was made
  std::uint64_t order = 0;              // the greater the older, also where ages are not known
  std::uint64_t wait_id = 0;
  std::string trace_id;     // 32 hexadecimal digits; empty: the thread had said none
  char state = 0;           // of the thread, as /proc tells it: R S D T t Z X I
  std::string wchan;        // where in the kernel it sleeps
  std::string system_call;  // which it is in
  // Who holds the mutex that the thread waits for, who holds the one that that one waits for, and so on. The last one waits for
  // none, as far as is known, or is the thread itself or one that is here already: then they wait for each other.
  std::vector<LockHolder> holders;
  Lasting lasting = Lasting::no;
  std::optional<std::string> group;  // of its process, where groups are wanted; any bytes
  Stack stack;
  std::string no_stack_reason;  // if one was asked for and there is none
};

// What `stuck` found.
struct OpenWaits {
  struct Process {
    std::uint32_t pid = 0;
    std::string comm;  // any bytes
  };

  // Threads each of which waits for a mutex that the next one holds, and the last one for one of the first: at one moment.
  struct Deadlock {
    Process process;
    std::vector<LockHolder> threads;
    bool is_timed = false;  // one of them waits no longer than for a time
  };

  // A thread without an open wait that the kernel waits in the name of.
  struct Sleeper {
    Process process;
    std::uint32_t tid = 0;
    std::string thread;  // its name; any bytes
    std::string wchan;
    std::string system_call;
    std::uint64_t seen_ns = 0;  // for so long it was seen to sleep without a break
  };

  std::uint64_t time_unix_ns = 0;
  std::uint64_t older_ns = 0;   // younger ones are only counted
  std::vector<OpenWait> waits;  // oldest first
  std::uint64_t younger_cnt = 0;
  std::vector<Deadlock> deadlocks;  // those that threads of these waits are in, or wait for
  std::vector<Sleeper> sleepers;
  bool is_of_some_keys = false;    // waits of others are not here
  std::vector<Process> untracked;  // waits that began there while nobody listened are not known
  std::vector<Process> crowded;    // have more open waits than were read
  std::vector<Process> other_abi;  // carry a library of another version, whose waits cannot be read
  Unseen unseen;
  std::uint32_t stopped_cnt = 0;  // threads that were stopped for their stacks,
  std::uint64_t stopped_ns = 0;   // and for how long the one that was stopped longest
  std::string core_file;          // empty: living processes
  bool ages_are_known = true;     // otherwise none is, and all waits are here
  std::string group_by;           // the environment variable whose values are the groups; empty: there are none
  // Those none of whose processes has a wait here that is not meant to last, in the order of `group`.
  struct GroupWithout {
    std::string group;  // any bytes
    std::vector<Process> processes;
  };
  std::vector<GroupWithout> groups_without;
  bool has_pytorch = false;  // in one of the processes: of its waits, only those that have a counter can be seen

  // A thread waits for one mutex at a time, so it is in no more than one.
  bool is_in_deadlock(std::uint32_t pid, std::uint32_t tid) const {
    const auto is_it = [&](const LockHolder& thread) { return thread.tid == tid; };
    return std::any_of(deadlocks.begin(), deadlocks.end(), [&](const Deadlock& one) {
      return one.process.pid == pid && std::any_of(one.threads.begin(), one.threads.end(), is_it);
    });
  }

  // Whether all open waits of all processes that were to be looked at would be here.
  bool is_certain() const { return untracked.empty() && crowded.empty() && other_abi.empty() && !unseen.any(); }
};

}  // namespace waitprobe
