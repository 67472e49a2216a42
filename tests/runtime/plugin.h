// SPDX-License-Identifier: MIT
#pragma once

#include <pthread.h>

#include <waitprobe/c.h>

// What a plug-in saw when it was unloaded.
struct PluginEnd {
  int starts = -1;
  int stops = -1;
  pthread_key_t key = 0;               // made after the library has given back its own
  const void* value_of_key = &starts;  // in the unloading thread, which has set none
};

extern "C" {
__attribute__((visibility("default"))) void plugin_follow();     // registers a backend
__attribute__((visibility("default"))) void plugin_wait(int n);  // n waits
__attribute__((visibility("default"))) int plugin_seen();        // waits that the backend saw begin and end, -1 if it is wrong
__attribute__((visibility("default"))) void plugin_report_end(PluginEnd* to);
__attribute__((visibility("default"))) void plugin_wait_on(waitprobe_handle* handle);
}
