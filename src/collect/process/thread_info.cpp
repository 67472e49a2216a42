// SPDX-License-Identifier: MIT
#include "src/collect/process/thread_info.h"

#include <linux/futex.h>
#include <seccomp.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <string_view>

#include "src/collect/process/process.h"

namespace waitprobe {
namespace {

// "202 0x7f12 0x80 ...": the number of the call and its arguments; "-1 0x7f12 ..." outside of every call, or "running".
struct SystemCall {
  std::string name;  // empty: in none
  std::uint64_t arguments[4] = {};
};

SystemCall parse_call(const std::string& text) {
  int number = -1;
  const char *at = text.data(), *const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(at, end, number);
  if (error != std::errc() || number < 0) return {};
  const std::unique_ptr<char, decltype(&std::free)> name(seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number), std::free);
  SystemCall call;
  call.name = name != nullptr ? name.get() : std::to_string(number);
  at = rest;
  for (std::uint64_t& argument : call.arguments) {
    if (end - at < 3) break;
    at = std::from_chars(at + 3, end, argument, 16).ptr;  // behind " 0x"
  }
  return call;
}

// Whether only locks are waited for in such a way: a mutex of glibc, Rust and others that somebody waits for has the value 2, and
// the calls of priority inheritance are for locks alone.
bool is_for_lock(const FutexWait& futex) {
  return futex.operation == FUTEX_LOCK_PI || futex.operation == FUTEX_LOCK_PI2 || futex.value == 2;
}

// Not in those that wait for a time, for an answer of somebody (read, recvfrom), or for a lock.
bool may_await_work(char state, const SystemCall& call, const std::optional<FutexWait>& futex) {
  constexpr std::string_view calls[] = {"accept", "accept4",  "epoll_pwait",    "epoll_pwait2",   "epoll_wait",
                                        "msgrcv", "poll",     "ppoll",          "io_uring_enter", "io_getevents",
                                        "select", "pselect6", "mq_timedreceive"};
  if (state != 'S') return false;
  if (futex) return !is_for_lock(*futex);
  return std::find(std::begin(calls), std::end(calls), call.name) != std::end(calls);
}

// Of the lines of /proc/PID/task/TID/status.
std::uint64_t number_of(std::uint32_t pid, std::uint32_t tid, const char* line) {
  const std::string text = status_of(pid, tid, line).value_or("");
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

FutexWait futex_wait(const std::uint64_t (&arguments)[4]) {
  const auto operation = static_cast<std::uint32_t>(arguments[1] & FUTEX_CMD_MASK);
  return {arguments[0], operation, static_cast<std::uint32_t>(arguments[2]), arguments[3] != 0};
}

std::optional<std::uint64_t> switches_of(std::uint32_t pid, std::uint32_t tid) {
  const std::uint64_t cnt = number_of(pid, tid, "voluntary_ctxt_switches") + number_of(pid, tid, "nonvoluntary_ctxt_switches");
  return cnt != 0 ? std::optional(cnt) : std::nullopt;
}

std::optional<ThreadInfo> thread_info(std::uint32_t pid, std::uint32_t tid) {
  const std::string folder = "/proc/" + std::to_string(pid) + "/task/" + std::to_string(tid) + "/";
  const auto stat = parse_stat(read_proc_file(folder + "stat").value_or(""));
  if (!stat) return std::nullopt;
  const SystemCall call = parse_call(read_proc_file(folder + "syscall").value_or(""));
  ThreadInfo info;
  info.name = stat->name;
  info.state = stat->state;
  info.start_ticks = stat->start_ticks;
  info.wchan = read_proc_file(folder + "wchan").value_or("");
  info.system_call = call.name;
  if (call.name == "futex") info.futex = futex_wait(call.arguments);
  info.may_await_work = may_await_work(stat->state, call, info.futex);
  if (info.wchan == "0") info.wchan.clear();
  return info;
}

}  // namespace waitprobe
