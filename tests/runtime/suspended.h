// SPDX-License-Identifier: MIT
//
// Functions that are left in the middle, and go on later: coroutines, and fibres, which have stacks of their own.
#pragma once

#include <ucontext.h>

#include <coroutine>
#include <vector>

namespace test {

// A coroutine that runs up to its first co_await.
struct Task {
  struct promise_type {
    Task get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() {}
  };
  std::coroutine_handle<promise_type> handle;
};

// Starts so many at once, and then has each go on to its end.
inline void run_coroutines(long n, Task (*coroutine)()) {
  std::vector<Task> tasks;
  for (long i = 0; i < n; i++) tasks.push_back(coroutine());
  for (Task& task : tasks) {
    task.handle.resume();
    task.handle.destroy();
  }
}

struct Fibre {
  ucontext_t context;
  std::vector<char> stack = std::vector<char>(16384);
};
inline ucontext_t scheduler;
inline Fibre* running = nullptr;

inline void resume(Fibre& fibre) {
  running = &fibre;
  swapcontext(&scheduler, &fibre.context);
}

// Leaves the fibre that runs, until it is resumed.
inline void leave_fibre() { swapcontext(&running->context, &scheduler); }

__attribute__((noinline)) inline void start(Fibre& fibre, void (*body)()) {
  getcontext(&fibre.context);
  fibre.context.uc_stack.ss_sp = fibre.stack.data();
  fibre.context.uc_stack.ss_size = fibre.stack.size();
  fibre.context.uc_link = &scheduler;
  makecontext(&fibre.context, body, 0);
  resume(fibre);
}

// Starts so many at once, each of which leaves itself once, and then has them go on to their ends.
inline void run_fibres(long n, void (*body)()) {
  std::vector<Fibre> fibres(static_cast<std::size_t>(n));
  for (Fibre& fibre : fibres) start(fibre, body);
  for (Fibre& fibre : fibres) resume(fibre);
}

}  // namespace test
