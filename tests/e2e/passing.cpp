// SPDX-License-Identifier: MIT
//
// Much that comes and goes, one after the other, each with a few waits: processes, programs, threads, keys, plug-ins.
// Usage: passing processes|programs|threads|keys|plugins CNT [PLUGIN]
// A line says when each tenth is done, and its last line is the truth: how many waits there were, of all keys.
#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include <waitprobe/wait_counter.h>

namespace {

constexpr int keys = 7, at_once = 8;
const std::string label(80, 'x');

void wait_for(const std::string& key) { auto guard = waitprobe::WaitCounterHandle(key).start(); }

std::uint64_t wait_for_all() {
  for (int k = 0; k < keys; k++) wait_for("passing." + label + std::to_string(k));
  return keys;
}

void tell_tenths(std::uint64_t done, std::uint64_t cnt) {
  if (cnt < 10 || done == 0 || done % (cnt / 10) != 0) return;
  std::printf("tenths %" PRIu64 "\n", done / (cnt / 10));
  std::fflush(stdout);
}

[[noreturn]] void give_up(const char* what) {
  std::perror(what);
  std::_Exit(1);
}

void join(pid_t& child) {
  int status = 0;
  if (child != 0 && (waitpid(child, &status, 0) != child || status != 0)) give_up("passing: a child failed");
  child = 0;
}

std::uint64_t processes(std::uint64_t cnt, const char* program) {
  pid_t children[at_once] = {};
  for (std::uint64_t i = 0; i < cnt; i++) {
    tell_tenths(i, cnt);
    // A tool that has half a processor, on a machine that is busy, can follow so many new series.
    if (program == nullptr && i % 20 == 0) usleep(10'000);
    pid_t& child = children[i % at_once];
    join(child);
    child = fork();
    if (child < 0) give_up("passing: cannot fork");
    if (child == 0) {
      wait_for_all();
      if (program == nullptr) _exit(0);
      execl(program, program, "once", "1", nullptr);
      give_up("passing: cannot run itself");
    }
  }
  for (pid_t& child : children) join(child);
  return (program != nullptr ? 2 : 1) * keys * cnt;
}

std::uint64_t plugins(std::uint64_t cnt, const char* name) {
  for (std::uint64_t i = 0; i < cnt; i++) {
    tell_tenths(i, cnt);
    void* plugin = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (plugin == nullptr) give_up(dlerror());
    reinterpret_cast<void (*)()>(dlsym(plugin, "passing_wait"))();
    dlclose(plugin);
    usleep(10'000);
  }
  return cnt;
}

std::uint64_t pass(const std::string& what, std::uint64_t cnt, const char* self, const char* plugin) {
  if (what == "once") return wait_for_all();
  if (what == "processes") return processes(cnt, nullptr);
  if (what == "programs") return processes(cnt, self);
  if (what == "plugins" && plugin != nullptr) return plugins(cnt, plugin);
  for (std::uint64_t i = 0; i < cnt; i++) {
    tell_tenths(i, cnt);
    if (what == "threads") std::thread(wait_for_all).join();
    if (what == "keys") wait_for("passing." + std::to_string(i));
    if (what == "keys" && i % 20 == 0) usleep(1000);  // faster than any program names keys for long
  }
  return what == "threads" ? cnt * keys : cnt;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const std::uint64_t waits =
      pass(argv[1], std::strtoull(argv[2], nullptr, 10), "/proc/self/exe", argc > 3 ? argv[3] : nullptr);
  if (std::strcmp(argv[1], "once") != 0) std::printf("waits %" PRIu64 "\n", waits);
}
