// SPDX-License-Identifier: MIT
#pragma once

namespace waitprobe::cli {

// Keeps some memory back for the moment when there is no more (ulimit -v). It is used then, and whatever counts waits is asked
// to end, as if by a signal: so what was counted until then is not lost. To be called once.
void keep_memory_back();

// Whether that moment came.
bool has_run_out_of_memory();

}  // namespace waitprobe::cli
