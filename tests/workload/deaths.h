// SPDX-License-Identifier: MIT
#pragma once

#include "tests/workload/truth_file.h"
#include "tests/workload/work.h"

// Does the waits of one process, on as many threads as asked for and on the main one, which then die or stay. Returns if they
// stay, once all have waited; the state of the threads is never freed.
Truth work_to_the_end(const Options& options, Keys& keys, TruthFile& file, void (*ready)(const Options&),
                      void (*wait_for_go)(const Options&));
