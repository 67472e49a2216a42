// SPDX-License-Identifier: MIT
//
// File descriptors that the kernel takes long to close, while nothing depends on it: the event of a tracepoint takes 20 to 100 ms, one
// after the other, and whoever has started the tool would wait for it to end meanwhile.
#pragma once

#include "src/collect/machine/file_descriptor.h"

namespace waitprobe {

// Keeps it open until the program ends. Threads: one at a time.
void close_late(FileDescriptor file);

// Lets a child close what was kept, as soon as this process has ended. To be called at the end of the program. If there can be no
// child, the end of this process takes longer.
void leave_late_closes_to_child();

}  // namespace waitprobe
