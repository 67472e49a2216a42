// SPDX-License-Identifier: MIT
//
// A plug-in with a copy of the library of its own.
#include <string>
#include <vector>

#include <waitprobe/wait_counter.h>

extern "C" __attribute__((visibility("default"))) void plugin_wait(unsigned key) {
  thread_local std::vector<waitprobe::WaitCounterHandle> handles;
  while (handles.size() <= key) handles.emplace_back("plugin." + std::to_string(handles.size()));
  const auto guard = handles[key].start();
}
