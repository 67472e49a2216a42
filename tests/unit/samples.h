// SPDX-License-Identifier: MIT
//
// What the tests of views show.
#pragma once

#include <iterator>
#include <string>
#include <vector>

#include "src/model/carrier.h"
#include "src/model/open_wait.h"
#include "src/model/slow_wait.h"
#include "tests/unit/build_snapshot.h"

namespace waitprobe {

inline Snapshot of_one_process() {
  return snapshot({series("db.pool.acquire", {1'200'000, 1'500'000, 980'000'000, 2'000}), series("disk.read", {35'000, 40'000}),
                   series("a.key.that.is.much.too.long.for.the.column.it.stands.in", {5})});
}

inline Snapshot of_two_processes() {
  Snapshot s = of_one_process();
  s.series.push_back(series("other", {7'000'000'000}, 18));
  return s;
}

inline Snapshot with_nasty_keys() {
  Snapshot s = snapshot({});
  std::uint64_t ns = 1'000'000;
  for (const std::string& key : nasty_keys()) {
    s.series.push_back(series(key, {ns}));
    s.series.back().comm = "\x1b]0;evil\x07";
    ns -= 1'000;
  }
  return s;
}

inline Snapshot with_nasty_names() {
  Snapshot s = snapshot({series("a", {5}, 17), series("a", {4}, 18)});
  s.series[0].comm = "\x1b]0;evil\x07\xff\xc2\x9b";
  s.series[1].comm = std::string(15, '\n');
  s.caveats.attached_late = {{17, s.series[0].comm, "/opt/\x1b[2J\xff\xe2\x80\xae.so", 1'500'000'000}};
  s.caveats.unverified = {{18, s.series[1].comm, "/opt/\x1b[2J\xff", "\x1b[31mof a newer version"}};
  return s;
}

// Of one process everything is known, of others it is not.
inline Snapshot with_unverified() {
  Snapshot s = of_one_process();
  for (std::uint32_t pid : {21U, 22U, 23U})
    s.caveats.unverified.push_back({pid, "worker", "/srv/worker", unverified::word_is_zero.name});
  s.caveats.unverified.push_back({21, "worker", "/srv/" + std::string(90, 'p') + ".so", unverified::shared_page.name});
  for (std::uint32_t pid = 100; pid < 115; pid++) {
    s.caveats.unverified.push_back({pid, "short" + std::to_string(pid), "", unverified::ended_unseen.name});
  }
  s.has_pytorch = true;
  return s;
}

// Two ranks that meet, of which one has a worker, the launcher that started them, and keys that only some of them have.
inline Snapshot of_ranks() {
  Snapshot s = snapshot({series("train.barrier", {1'200'000, 1'500'000, 980'000'000}, 17),
                         series("loader.next", {35'000, 40'000}, 17), series("dataset.read", {2'000'000, 2'100'000}, 18),
                         series("loader.next", {700'000}, 19), series("train.barrier", {2'000, 1'000, 10'000}, 19),
                         series("pytorch.wait_counter.TCPStore__waitForWorkers", {5}, 20),
                         series("pytorch.wait_counter.TCPStore__waitForWorkers", {9'000'000'000}, 17)});
  s.group_by = "RANK";
  for (Series& one : s.series) {
    if (one.pid != 20) one.group = one.pid == 19 ? "10" : "9";
  }
  return s;
}

inline Snapshot of_nasty_groups() {
  Snapshot s = with_nasty_keys();
  s.group_by = "\x1b[31m";
  const std::vector<std::string> keys = nasty_keys();
  for (std::size_t i = 0; i < s.series.size(); i++) {
    if (i != 3) s.series[i].group = keys[i];
  }
  for (Series one : with_nasty_keys().series) {
    one.group = "0";
    s.series.push_back(one);
  }
  return s;
}

inline Snapshot with_losses() {
  Snapshot s = of_one_process();
  s.losses = {.series_full = 1,
              .gap = 2,
              .late = 3,
              .stale = 11,
              .reentered = 4,
              .unreadable = 5,
              .no_memory = 6,
              .blocks_full = 7,
              .missed = 8,
              .unfollowed = 9,
              .ring_full = 10};
  s.clamped_cnt = 10;
  s.abandoned_cnt = 23;  // of which 11 have ended after all
  s.caveats.attached_late = {{17, "server", "/opt/plugins/" + std::string(90, 'p') + ".so", 1'500'000'000}};
  return s;
}

inline Inventory inventory() {
  Inventory i;
  i.carriers = {{17, "server", "/usr/bin/server", true, WP_CLOCK_CYCLES, nasty_keys()},
                {18, "\x1b[1mworker", "/opt/" + std::string(100, 'x'), false, WP_CLOCK_UNDECIDED, std::vector<std::string>()},
                {19, "other", "/usr/bin/other", std::nullopt, std::nullopt, std::nullopt},
                {20, "astray", "/bin/astray", false, WP_CLOCK_DISAGREED, std::vector<std::string>()}};
  for (Carrier& carrier : i.carriers) carrier.traced = carrier.armed;
  i.carriers[3].armed = true;  // by itself
  i.unseen.process_cnt = 3;
  return i;
}

inline SlowWait slow_wait(const std::string& key, std::uint64_t duration_ns) {
  SlowWait wait;
  wait.time_unix_ns = 1'700'000'000'123'456'789;
  wait.pid = 17;
  wait.tid = 18;
  wait.comm = "server";
  wait.thread = "worker";
  wait.key = key.substr(0, WP_KEY_MAX);
  wait.key_len = key.size();
  wait.duration_ns = duration_ns;
  wait.wait_id = 99;
  return wait;
}

inline Frame frame(const std::string& function, const std::string& file, std::uint32_t line, const std::string& module,
                   std::uint64_t offset) {
  Frame f;
  f.function = function;
  f.source_file = file;
  f.line = line;
  f.module = module;
  f.offset = offset;
  return f;
}

// All that may be known of a frame, or not.
inline Stack stack() {
  Frame noise =
      frame("std::unique_lock<std::mutex>::lock()", "/usr/include/c++/12/bits/unique_lock.h", 139, "/usr/bin/server", 0x1234);
  noise.is_inlined = true;
  return {noise, frame("Cache::find(std::string const&)", "/src/cache.cpp", 42, "/usr/bin/server", 0x1234),
          frame("serve(int)", "", 0, "/usr/lib/libserve.so", 0x5678), frame("", "", 0, "/usr/lib/libstripped.so.1", 0x9abc),
          frame("", "", 0, "", 0x7f0012345678)};
}

inline Stack nasty_stack() {
  return {frame(std::string(3000, 'f') + "()", std::string(300, 'd') + "/" + std::string(300, 'c') + ".cpp", UINT32_MAX, "", 1),
          frame("evil\x1b[2J\n(\xff)", "/\x1b]0;x\x07.cpp", 1, "/bin/\xe2\x80\xae", 2)};
}

inline OpenWait open_wait(const std::string& key, std::optional<std::uint64_t> age_ns) {
  OpenWait wait;
  wait.pid = 17;
  wait.comm = "server";
  wait.tid = 18;
  wait.thread = "worker-1";
  wait.key = key.substr(0, WP_KEY_MAX);
  wait.key_len = key.size();
  wait.age_ns = age_ns;
  wait.wait_id = 99;
  wait.state = 'S';
  wait.wchan = "futex_wait_queue";
  wait.system_call = "futex";
  return wait;
}

// Stuck ones with and without a stack, one whose thread has ended, and those that are meant to last.
inline OpenWaits open_waits() {
  OpenWaits found;
  found.time_unix_ns = 1'700'000'000'000'000'000;
  found.older_ns = 1'000'000'000;
  found.waits = {open_wait("account.lock", 12'300'000'000), open_wait("queue.idle", 9'000'000'000),
                 open_wait("disk.read", 5'000'000'000),     open_wait("a.guard.that.was.handed.on", 4'000'000'000),
                 open_wait("accept", 3'000'000'000),        open_wait("worker.queue", 2'000'000'000),
                 open_wait("model.compile", 1'500'000'000)};
  found.waits[0].stack = stack();
  found.waits[1].lasting = Lasting::by_evidence;
  found.waits[2].state = 'D';
  found.waits[2].no_stack_reason = "it did not stop: it is blocked in the kernel";
  found.waits[3].tid = 0;
  found.waits[3].thread = found.waits[3].wchan = found.waits[3].system_call = "";
  found.waits[3].state = 0;
  found.waits[4].lasting = Lasting::by_option;
  found.waits[5].lasting = Lasting::by_class;
  found.waits[4].key_class = found.waits[5].key_class = KeyClass::idle;
  found.waits[6].key_class = KeyClass::work;
  found.younger_cnt = 7;
  found.untracked = {{17, "server"}, {19, "\x1b]0;evil\x07"}};
  found.unseen.process_cnt = 3;
  found.stopped_cnt = 2;
  found.stopped_ns = 304'000;
  return found;
}

// Ranks that wait for one of them.
inline OpenWaits open_waits_of_ranks() {
  OpenWaits found = open_waits();
  found.group_by = "RANK";
  for (OpenWait& wait : found.waits) wait.group = "10";
  found.waits[0].group = std::nullopt;
  found.waits[2].group = nasty_keys()[4];
  found.groups_without = {
      {"1", {{21, "python3"}, {22, "python3"}}}, {"2", {}}, {nasty_keys()[4], {{23, nasty_keys()[4]}}}, {"3", {}}};
  return found;
}

inline OpenWaits nasty_open_waits() {
  OpenWaits found;
  for (const std::string& key : nasty_keys()) {
    found.waits.push_back(open_wait(key, UINT64_MAX));
    found.waits.back().comm = "\x1b]0;evil\x07";
    found.waits.back().thread = std::string(15, '\n');
    found.waits.back().wchan = std::string(300, '\x1b');
  }
  found.waits.back().stack = nasty_stack();
  found.waits[0].lasting = found.waits[1].lasting = Lasting::by_evidence;
  found.untracked.resize(9, {UINT32_MAX, std::string(15, '\n')});
  return found;
}

inline LockHolder lock_holder(std::uint32_t tid, const std::string& thread, const std::string& key, const std::string& call) {
  LockHolder holder;
  holder.tid = tid;
  holder.thread = thread;
  holder.key = key;
  holder.key_len = key.size();
  holder.state = 'S';
  holder.wchan = "hrtimer_nanosleep";
  holder.system_call = call;
  return holder;
}

// Mutexes with holders of each kind, a deadlock, and threads without a guard.
inline OpenWaits open_waits_for_locks() {
  OpenWaits found;
  found.time_unix_ns = 1'700'000'000'000'000'000;
  found.waits.resize(5, open_wait("cache.lock", 12'300'000'000));
  found.waits[0].holders = {lock_holder(24, "saver", "disk.fsync", "fsync")};
  found.waits[0].holders[0].stack = stack();
  found.waits[1].holders = {lock_holder(25, "middle", "", "futex"), lock_holder(24, "saver", "disk.fsync", "fsync")};
  found.waits[1].holders[0].no_stack_reason = "it did not stop: it is blocked in the kernel";
  found.waits[2].holders.resize(1);
  found.waits[2].holders[0].tid = 26;
  found.waits[2].holders[0].has_ended = true;
  found.waits[3].holders = {lock_holder(27, "", "a.key", "")};  // in a core dump
  found.waits[3].holders[0].state = 0;
  found.waits[3].holders[0].wchan = "";
  found.waits[4].tid = 28;
  found.waits[4].holders = {lock_holder(29, "\x1b]0;evil\x07", "\x1b[31m", "futex"),
                            lock_holder(28, "one", "cache.lock", "futex")};
  found.deadlocks = {{{17, "server"}, found.waits[4].holders, false},
                     {{18, "other"}, {lock_holder(30, "lonely", "", "futex")}, true}};
  found.waits[4].pid = 17;
  found.sleepers = {{{17, "server"}, 31, "reader", "rpc_wait_bit_killable", "fsync", 104'000'000},
                    {{18, "\n"}, 32, "\x1b[31m", "", "", 1'000'000'000}};
  return found;
}

// A snapshot whose figures are as great as they can be.
inline Snapshot of_extremes() {
  wp_hist most = {};
  for (auto& count : most.bucket) count = UINT64_MAX / WP_BUCKETS;
  most.total_ns = most.max_ns = most.inverted_min_ns = UINT64_MAX;
  Snapshot s = snapshot({series(std::string(10'000, '\n'), {1}, UINT32_MAX), series("b", {1})}, UINT64_MAX);
  s.series[0].histogram = Histogram(most);
  s.series[0].comm = std::string(15, '\x1b');
  for (const LossRow& loss : all_losses) s.losses.*loss.count = UINT64_MAX / std::size(all_losses);
  s.caveats.attached_late = {{UINT32_MAX, std::string(15, '\n'), std::string(4096, '\n'), UINT64_MAX}};
  s.left_out_cnt = 1'234'567'890'123;
  return s;
}

}  // namespace waitprobe
