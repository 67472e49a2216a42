// SPDX-License-Identifier: MIT
//
// What tracers_test.py builds in many ways. Waits 600 times on two keys once a byte has come on standard input, or at once with
// `now`, and ends with its input. With -DPART=1 the program, which opens the plug-in that it is given; with -DPART=2 that
// plug-in; with neither both in one.
#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#if !defined(PART) || PART == 2
#include <waitprobe/wait_counter.h>

extern "C" __attribute__((visibility("default"))) void wait_often() {
  for (int i = 0; i < 300; i++) {
    STATIC_WAIT_COUNTER(ways.one).start().stop();
    STATIC_WAIT_COUNTER(ways.two).start().stop();
  }
}
#endif

#if !defined(PART) || PART == 1
int main(int argc, char** argv) {
#if defined(PART)
  void* plugin = argc > 1 ? dlopen(argv[1], RTLD_NOW) : nullptr;
  if (plugin == nullptr) return 1;
  const auto wait_often = reinterpret_cast<void (*)()>(dlsym(plugin, "wait_often"));
#endif
  const bool now = argc > 1 && std::strcmp(argv[argc - 1], "now") == 0;
  char byte;
  if (write(STDOUT_FILENO, "ready\n", 6) != 6) return 1;
  if (!now && read(STDIN_FILENO, &byte, 1) != 1) return 1;
  wait_often();
  if (write(STDOUT_FILENO, "done\n", 5) != 5) return 1;
  if (!now) (void)!read(STDIN_FILENO, &byte, 1);
}
#endif
