// SPDX-License-Identifier: MIT
//
// A plug-in with a copy of the library of its own, which can be closed: nothing of it lives as long as a thread.
#include <waitprobe/wait_counter.h>

extern "C" __attribute__((visibility("default"))) void passing_wait() { STATIC_SCOPED_WAIT_COUNTER(passing.plugin); }
