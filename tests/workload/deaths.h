// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "tests/workload/truth_file.h"
#include "tests/workload/work.h"

// What --die knows. By a thread that is not the main one, while all others wait on, unless it says otherwise.
inline const std::vector<std::string> ways_to_die = {
    "exit",        "_exit",
    "exec",  // of /bin/true, by the main thread
    "exec-thread", "segv",  "abort",
    "term",         // a signal's default action
    "handled",      // a signal whose handler ends the process
    "oom",          // takes memory until somebody ends it; gives up at 1 GiB
    "thread-exit",  // each thread for itself, the main thread too
    "raw-exit",     // so too, without the C library
};

// Does the waits of one process, on as many threads as asked for and on the main one, which then die or stay. Returns if they
// stay, once all have waited; the state of the threads is never freed.
Truth work_to_the_end(const Options& options, Keys& keys, TruthFile& file, void (*ready)(const Options&),
                      void (*wait_for_go)(const Options&));
