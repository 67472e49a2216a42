// SPDX-License-Identifier: MIT
//
// Functions with scoped guards, in a file without coroutines.
#pragma once

namespace test {

// Waits while `body` runs.
void wait_around(void (*body)());

// Begins a wait, so many calls further down, and leaves it by longjmp.
void leave_behind(int depth);

// A wait in each of so many calls and one more.
void recurse(int depth);

// As if a function of the library were in the middle of something: one that has been left, or one that called this one.
void pretend_to_be_inside(bool was_left);

}  // namespace test
