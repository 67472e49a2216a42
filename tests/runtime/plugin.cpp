// SPDX-License-Identifier: MIT
//
// A plug-in that waits, built twice: with a static copy of the library of its own, and with the shared library.
#include <pthread.h>

#include <waitprobe/wait_counter.h>

#include "tests/runtime/plugin.h"
#include "tests/runtime/recorder.h"

namespace {

test::Tally* tally = nullptr;
PluginEnd* end = nullptr;

}  // namespace

// In an inline function, whose statics are shared with the host unless the library takes care.
inline void plugin_wait_inline() { STATIC_SCOPED_WAIT_COUNTER(plugin.wait); }

namespace {

// Runs at dlclose, behind the destructor of the library's copy.
struct WaitsWhenUnloaded {
  ~WaitsWhenUnloaded() {
    if (end == nullptr) return;
    // Takes the number of the key that the library has just given back.
    pthread_key_create(&end->key, nullptr);
    plugin_wait_inline();
    end->value_of_key = pthread_getspecific(end->key);
    end->starts = tally->starts;
    end->stops = tally->stops;
  }
} waits_when_unloaded;

}  // namespace

extern "C" {

void plugin_follow() { tally = &test::Recorder::follow("").of("plugin.wait"); }

void plugin_wait(int n) {
  for (int i = 0; i < n; i++) plugin_wait_inline();
}

int plugin_seen() { return tally != nullptr && tally->wrong == 0 && tally->starts == tally->stops ? tally->stops.load() : -1; }

void plugin_report_end(PluginEnd* to) { end = to; }

void plugin_wait_on(waitprobe_handle* handle) { waitprobe_stop(waitprobe_start(handle)); }

}  // extern "C"
