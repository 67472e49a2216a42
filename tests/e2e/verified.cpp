// SPDX-License-Identifier: MIT
//
// Processes of which not everything can be vouched for. Prints what it is about to do, waits 23 times, and ends.
//   verified WAY [PLUGIN]
//     plain        nothing else
//     daemon       in a child that outlives it, with a pause of 10 ms each, until a byte comes on the standard input
//     twice        in PLUGIN, 23 times in each of two namespaces of the loader
//     plugin       in PLUGIN instead, which it opens when a byte has come on the standard input
//     child        the same in a child, after a wait of its own there
//     heir         in a child, in PLUGIN that its parent has opened, and lives on until the standard input ends
//     closed       the same as plugin in a thread that ends, closes it, and lives on until the standard input ends
//     reopened     in PLUGIN, which it closes, and once more in it when it has opened it again; only then may it greet a tool
//     copies       in PLUGIN0.so, PLUGIN1.so, ..., as many as there are, by one thread, and ends without telling anybody
//     again N      and once more in its own program, started anew, N times, when a byte has come on the standard input
//     disarm       after it has overwritten the word that arms it
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include <waitprobe/wait_counter.h>

namespace {

void wait_once() { STATIC_SCOPED_WAIT_COUNTER(verified.wait); }

int run_daemon() {
  if (fork() != 0) return 0;
  setsid();
  pollfd ended = {STDIN_FILENO, POLLIN, 0};
  while (poll(&ended, 1, 10) == 0) wait_once();
  return 0;
}

void wait_in(void* library, unsigned key) {
  auto* wait = library != nullptr ? reinterpret_cast<void (*)(unsigned)>(dlsym(library, "plugin_wait")) : nullptr;
  if (wait == nullptr) {
    std::fprintf(stderr, "verified: cannot open a plug-in: %s\n", dlerror());
    _exit(1);
  }
  for (int i = 0; i < 23; i++) wait(key);
}

int run_twice(const char* plugin) {
  for (unsigned n = 0; n < 2; n++) wait_in(dlmopen(LM_ID_NEWLM, plugin, RTLD_NOW | RTLD_LOCAL), n);
  // So that the tool has looked at both.
  char byte;
  return read(STDIN_FILENO, &byte, 1) >= 0 ? 0 : 1;
}

// As many programs in one process, one after the other.
void run_again(const char* self, int times) {
  char byte;
  if (times == 0 || (getenv("VERIFIED_GO") == nullptr && read(STDIN_FILENO, &byte, 1) != 1)) return;
  setenv("VERIFIED_GO", "1", 1);
  execl(self, self, "again", std::to_string(times - 1).c_str(), nullptr);
}

int run_plugin(const char* plugin) {
  char byte;
  if (read(STDIN_FILENO, &byte, 1) != 1) return 1;
  wait_in(dlopen(plugin, RTLD_NOW | RTLD_LOCAL), 0);
  _exit(0);
}

int run_child(const char* plugin) {
  char byte;
  if (read(STDIN_FILENO, &byte, 1) != 1) return 1;
  const pid_t child = fork();
  int status = 1;
  if (child != 0) return waitpid(child, &status, 0) == child ? status : 1;
  wait_once();
  wait_in(dlopen(plugin, RTLD_NOW | RTLD_LOCAL), 0);
  _exit(0);
}

int run_heir(const char* plugin) {
  char byte;
  if (read(STDIN_FILENO, &byte, 1) != 1) return 1;
  void* library = dlopen(plugin, RTLD_NOW | RTLD_LOCAL);
  const pid_t child = fork();
  if (child == 0) {
    wait_in(library, 0);
    _exit(0);
  }
  int status = 1;
  if (waitpid(child, &status, 0) != child || status != 0) return 1;
  std::puts("the child has ended");
  std::fflush(stdout);
  return read(STDIN_FILENO, &byte, 1) == 0 ? 0 : 1;
}

int run_closed(const char* plugin) {
  char byte;
  if (read(STDIN_FILENO, &byte, 1) != 1) return 1;
  void* library = dlopen(plugin, RTLD_NOW | RTLD_LOCAL);
  std::thread([&] { wait_in(library, 0); }).join();
  dlclose(library);
  return read(STDIN_FILENO, &byte, 1) == 0 ? 0 : 1;
}

int run_reopened(const char* plugin) {
  const char* const tool = getenv("WAITPROBE_ATTACH");
  const std::string kept = tool != nullptr ? tool : "";
  unsetenv("WAITPROBE_ATTACH");
  void* library = dlopen(plugin, RTLD_NOW | RTLD_LOCAL);
  std::thread([&] { wait_in(library, 0); }).join();
  dlclose(library);
  setenv("WAITPROBE_ATTACH", kept.c_str(), 1);
  wait_in(dlopen(plugin, RTLD_NOW | RTLD_LOCAL), 0);
  return 0;
}

int run_copies(const std::string& plugin) {
  for (int n = 0;; n++) {
    const std::string file = plugin + std::to_string(n) + ".so";
    if (access(file.c_str(), F_OK) != 0) _exit(0);
    wait_in(dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL), 0);
  }
}

void disarm() {
  const int memory = open("/proc/self/mem", O_WRONLY | O_CLOEXEC);
  const std::uint64_t zero = 0;
  (void)!pwrite(memory, &zero, sizeof zero, static_cast<off_t>(reinterpret_cast<std::uint64_t>(waitprobe_armed)));
  close(memory);
}

}  // namespace

int main(int argc, char** argv) {
  const char* way = argc > 1 ? argv[1] : "plain";
  if (std::strcmp(way, "daemon") == 0) return run_daemon();
  if (std::strcmp(way, "twice") == 0) return run_twice(argv[2]);
  if (std::strcmp(way, "plugin") == 0) return run_plugin(argv[2]);
  if (std::strcmp(way, "child") == 0) return run_child(argv[2]);
  if (std::strcmp(way, "heir") == 0) return run_heir(argv[2]);
  if (std::strcmp(way, "closed") == 0) return run_closed(argv[2]);
  if (std::strcmp(way, "reopened") == 0) return run_reopened(argv[2]);
  if (std::strcmp(way, "copies") == 0) return run_copies(argv[2]);
  for (int i = 0; i < 23; i++) {
    if (i == 7 && std::strcmp(way, "disarm") == 0) disarm();
    wait_once();
  }
  if (std::strcmp(way, "again") == 0) run_again(argv[0], std::atoi(argv[2]));
  if (std::strcmp(way, "disarm") == 0) std::getchar();
  return 0;
}
