// SPDX-License-Identifier: MIT
#include "src/collect/safety/sandboxes.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdlib>
#include <map>
#include <memory>
#include <thread>

#include "src/collect/machine/clock.h"
#include "src/collect/process/seccomp_filter.h"
#include "src/collect/process/seized_thread.h"

namespace waitprobe {
namespace {

#if defined(__aarch64__)
constexpr std::uint32_t this_architecture = AUDIT_ARCH_AARCH64;
#else
constexpr std::uint32_t this_architecture = AUDIT_ARCH_X86_64;
#endif

constexpr std::uint64_t patience_ns = 1'000'000'000;  // with all threads of a process together

constexpr std::uint64_t some_address = 0x7f0000000000, some_code = 0x7f0000100000, page = 4096;
constexpr auto in_this_folder = static_cast<std::uint64_t>(static_cast<std::int64_t>(AT_FDCWD));
constexpr std::uint64_t no_file = UINT64_MAX;

// To get memory, of which a fork's child is to see nothing.
constexpr WaitCall memory_calls[] = {
    {SYS_mmap, {0, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, no_file, 0}},
    {SYS_munmap, {some_address, page, 0, 0, 0, 0}},
    {SYS_madvise, {some_address, page, MADV_WIPEONFORK, 0, 0, 0}},
};
// To name the instance and the thread, and to choose a clock.
constexpr WaitCall first_calls[] = {
    {SYS_getrandom, {some_address, sizeof(std::uint64_t), GRND_NONBLOCK, 0, 0, 0}},
    {SYS_gettid, {}},
    {SYS_prctl, {PR_GET_TSC, some_address, 0, 0, 0, 0}},
    {SYS_openat, {in_this_folder, some_address, O_RDONLY | O_CLOEXEC, 0, 0, 0}},
    {SYS_read, {3, some_address, 32, 0, 0, 0}},
    {SYS_close, {3, 0, 0, 0, 0, 0}},
};

std::string name_of(const WaitCall& call) {
  const std::unique_ptr<char, decltype(&std::free)> name(seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, call.number),
                                                         &std::free);
  return name != nullptr ? name.get() : "system call " + std::to_string(call.number);
}

std::string names_of(const std::vector<WaitCall>& calls) {
  std::string text;
  for (const WaitCall& call : calls) text += (text.empty() ? "" : ", ") + name_of(call);
  return text;
}

std::map<std::uint32_t, Sandbox> sandboxed_threads(std::uint32_t pid) {
  std::map<std::uint32_t, Sandbox> threads;
  for (const std::uint32_t tid : thread_numbers(pid)) {
    const auto mode = status_of(pid, tid, "Seccomp");
    if (mode == "1") threads[tid] = Sandbox::strict;
    if (mode == "2") threads[tid] = Sandbox::filtered;
  }
  return threads;
}

// Which of the calls its filters kill; nothing when that cannot be found out.
std::optional<std::vector<WaitCall>> killed_calls(std::uint32_t tid, const std::vector<WaitCall>& calls) {
  std::vector<SeccompProgram> filters;
  {
    SeizedThread thread(tid);
    if (!thread.is_ours()) {
      if (errno == ESRCH) return std::vector<WaitCall>();  // it has ended
      return std::nullopt;
    }
    if (!thread.wait_until_stopped() || !thread.read_filters(filters)) return std::nullopt;
  }
  std::vector<WaitCall> killed;
  for (const WaitCall& call : calls) {
    seccomp_data data = {call.number, this_architecture, some_code, {}};
    for (std::size_t i = 0; i < std::size(call.arguments); i++) data.args[i] = call.arguments[i];
    const auto answer = run_filters(filters, data);
    if (!answer) return std::nullopt;
    if (is_deadly(*answer)) killed.push_back(call);
  }
  return killed;
}

SandboxVerdict examine_threads(const LibraryInstance& instance, const std::map<std::uint32_t, Sandbox>& threads,
                               const std::vector<WaitCall>& calls) {
  SandboxVerdict verdict;
  std::size_t unknown_cnt = 0;
  const std::uint64_t deadline_ns = now_ns() + patience_ns;
  for (const auto& [tid, sandbox] : threads) {
    if (sandbox == Sandbox::strict) {
      return {"seccomp's strict mode kills it for system calls of a thread's first traced wait: " + names_of(calls), ""};
    }
    const auto killed = now_ns() < deadline_ns ? killed_calls(tid, calls) : std::nullopt;
    if (killed && !killed->empty()) {
      return {"its seccomp filter kills it for system calls of a thread's first traced wait: " + names_of(*killed), ""};
    }
    if (!killed && status_of(instance.pid, tid, "Seccomp")) unknown_cnt++;
  }
  if (unknown_cnt != 0) {
    verdict.unknown = "the seccomp filters of " + std::to_string(unknown_cnt) +
                      " of its threads cannot be read; it dies if they forbid " + names_of(calls);
  }
  return verdict;
}

}  // namespace

Sandbox sandbox_of(std::uint32_t pid) {
  Sandbox worst = Sandbox::none;
  for (const auto& [tid, sandbox] : sandboxed_threads(pid)) {
    if (worst != Sandbox::strict) worst = sandbox;
  }
  return worst;
}

std::vector<WaitCall> calls_left(const std::optional<wp_root>& root, std::size_t thread_cnt) {
  const std::uint32_t prepared = root ? root->prepared : std::uint32_t{WP_PREPARED_NOTHING};
  if (prepared == WP_PREPARED_ALL) return {};
  std::size_t block_cnt = prepared == WP_PREPARED_AT_START ? WP_FIRST_CHUNK_BLOCKS : 0;
  for (std::size_t i = 1; block_cnt != 0 && i < WP_CHUNKS && root->chunks[i] != 0; i++) {
    block_cnt += std::size_t{WP_FIRST_CHUNK_BLOCKS} << i;
  }
  std::vector<WaitCall> calls;
  if (thread_cnt > block_cnt) calls.assign(std::begin(memory_calls), std::end(memory_calls));
  if (block_cnt == 0) calls.insert(calls.end(), std::begin(first_calls), std::end(first_calls));
  return calls;
}

SandboxVerdict examine_sandbox(const LibraryInstance& instance) {
  const auto root = read_root(ProcessMemory(instance.pid), instance.root_address);
  const auto calls = calls_left(root, thread_numbers(instance.pid).size());
  if (calls.empty()) return {};  // whatever its threads may do
  const auto threads = sandboxed_threads(instance.pid);
  if (threads.empty()) return {};
  SandboxVerdict verdict;
  // In a thread of its own: what it has seized and could not stop is let go when it ends.
  std::thread([&] { verdict = examine_threads(instance, threads, calls); }).join();
  return verdict;
}

}  // namespace waitprobe
