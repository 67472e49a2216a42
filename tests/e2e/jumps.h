// SPDX-License-Identifier: MIT
//
// Guards in a file that has no coroutines.
#pragma once

#include <waitprobe/wait_counter.h>

namespace jumps {

// Begins a wait at one of three places, so many calls down the stack, and leaves it by longjmp.
void leave(int place, int depth);

// Leaves a wait, and one in the handler of a signal that interrupts it, by siglongjmp out of the handler.
void leave_handler();

void wait_around(void (*body)());
void wait_elsewhere();

}  // namespace jumps
