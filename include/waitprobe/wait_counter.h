// SPDX-License-Identifier: MIT
//
// A guard around each wait. It costs a few instructions while no tracer is attached. Names and meaning are those of PyTorch's
// c10/util/WaitCounter.h.
//
//   void Pool::acquire() {
//     STATIC_SCOPED_WAIT_COUNTER(db.pool.acquire);  // until the end of the scope
//     free_.wait(lock_);
//   }
//
//   auto row = WITH_WAIT_COUNTER(db.query, connection.query(sql));
//
//   STATIC_SCOPED_IDLE_COUNTER(worker.queue);  // the same, but waiting for work
//
// Who receives the waits: tracers attached to the USDT probes of provider `waitprobe`, and backends registered in the process.
//
// C++: 17 or later; needs neither exceptions nor RTTI.
#pragma once

#if !defined(__cplusplus) || __cplusplus < 201703L
#error "waitprobe/wait_counter.h needs C++17 or later: compile with -std=c++17 or later (C code can use waitprobe/c.h)"
// So that this is the only error, however often they are used.
#define STATIC_SCOPED_WAIT_COUNTER(_key) static_cast<void>(0)
#define STATIC_SCOPED_IDLE_COUNTER(_key) static_cast<void>(0)
#define STATIC_SCOPED_WORK_COUNTER(_key) static_cast<void>(0)
#define WITH_WAIT_COUNTER(_key, ...) (__VA_ARGS__)
#define WITH_IDLE_COUNTER(_key, ...) (__VA_ARGS__)
#define WITH_WORK_COUNTER(_key, ...) (__VA_ARGS__)
#else

#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <waitprobe/c.h>

// The classes of the static library are not hidden, only their functions are: a class of the application that holds or extends
// a hidden one would make gcc warn.
#ifdef WAITPROBE_BUILDING_STATIC
#define WAITPROBE_INTERFACE
#else
#define WAITPROBE_INTERFACE WAITPROBE_API
#endif

namespace waitprobe {
namespace detail {

// Follows the waits of one key inside the process.
//
// Threads: start() and stop() are called from any thread, many at once.
// Lifetime: kept until the process ends, and never destroyed.
class WAITPROBE_INTERFACE WaitCounterBackendIf {
 public:
  WAITPROBE_HIDDEN WaitCounterBackendIf() noexcept {}
  WAITPROBE_API virtual ~WaitCounterBackendIf();

  // A wait began. What it returns comes back in the stop() of the same wait.
  virtual std::intptr_t start(std::chrono::steady_clock::time_point now) noexcept = 0;

  // The wait ended; called exactly once for each start(), perhaps by another thread. A wait that was open across a fork ends
  // in the parent only, and one that a longjmp has left never ends.
  virtual void stop(std::chrono::steady_clock::time_point now, std::intptr_t ctx) noexcept = 0;
};

class WAITPROBE_INTERFACE WaitCounterBackendFactoryIf {
 public:
  WAITPROBE_HIDDEN WaitCounterBackendFactoryIf() noexcept {}
  WAITPROBE_API virtual ~WaitCounterBackendFactoryIf();

  // Makes the backend for a key, or returns null to ignore the key. Called once for each key, at its first start after
  // registration, from any thread and outside every lock. May itself use guards.
  virtual std::unique_ptr<WaitCounterBackendIf> create(std::string_view key) noexcept = 0;
};

// Adds a factory, for ever. Counters that exist already see it from their next start on.
//
// Threads: any, at any time. Errors: std::bad_alloc.
WAITPROBE_API void registerWaitCounterBackend(std::unique_ptr<WaitCounterBackendFactoryIf> factory);

// The registered factories, in the order of their registration. Threads: any. Errors: std::bad_alloc.
WAITPROBE_API std::vector<std::shared_ptr<WaitCounterBackendFactoryIf> > getRegisteredWaitCounterBackends();

// What the macros hand to a static handle: a literal, which lives for ever.
struct LiteralKey {
  const char* data;
  std::size_t size;
  waitprobe_class key_class = WAITPROBE_CLASS_WAIT;
};

// Whether a macro was given "a.key" or 'a.key', whose quotes would be part of the key, rather than a.key.
constexpr bool is_quoted(std::string_view key) noexcept {
  return key.find('"') != std::string_view::npos || (!key.empty() && key.back() == '\'');
}

class ScopedWait;

}  // namespace detail

// Names a wait. Two handles of one key are handles of one counter.
//
// Threads: any number may start waits on one handle at once.
// Lifetime: a guard may outlive the handle it came from.
class WaitCounterHandle {
 public:
  // Finds the counter of a key made at run time: a hash look-up. Errors: std::bad_alloc.
  WAITPROBE_API explicit WaitCounterHandle(std::string_view key, waitprobe_class key_class = WAITPROBE_CLASS_WAIT);

  // For the macros: constant-initialised, so that a function-local static needs no guard variable.
  WAITPROBE_HIDDEN constexpr explicit WaitCounterHandle(detail::LiteralKey key) noexcept
      : handle_{key.data, key.size, nullptr, key.key_class} {}

  WAITPROBE_HIDDEN WaitCounterHandle(const WaitCounterHandle& other) noexcept
      : handle_{other.handle_.key, other.handle_.key_len, __atomic_load_n(&other.handle_.counter, __ATOMIC_ACQUIRE),
                other.handle_.key_class} {}
  WaitCounterHandle& operator=(const WaitCounterHandle&) = delete;

  // Ends its wait when it is destroyed, unless stop() has done so.
  //
  // Threads: a guard may be stopped or destroyed by another thread than the one that started it, but not by two at once.
  class WaitGuard {
   public:
    WAITPROBE_HIDDEN WaitGuard(WaitGuard&& other) noexcept : open_(std::exchange(other.open_, nullptr)) {}
    WaitGuard(const WaitGuard&) = delete;
    WaitGuard& operator=(const WaitGuard&) = delete;
    WaitGuard& operator=(WaitGuard&&) = delete;
    WAITPROBE_HIDDEN ~WaitGuard() { stop(); }

    // Ends the wait; a second call does nothing.
    WAITPROBE_HIDDEN void stop() noexcept { waitprobe_stop(std::exchange(open_, nullptr)); }

   private:
    friend class WaitCounterHandle;
    WAITPROBE_HIDDEN explicit WaitGuard(waitprobe_handle* handle) noexcept : open_(waitprobe_start(handle)) {}

    // The guard's own address never leaves, so that it can live in a register.
    waitprobe_wait* open_;
  };

  // Starts a wait.
  WAITPROBE_HIDDEN WaitGuard start() noexcept { return WaitGuard(&handle_); }

 private:
  friend class detail::ScopedWait;

  waitprobe_handle handle_;
};

#if defined(__cpp_constinit)
#define WAITPROBE_CONSTINIT constinit
#else
#define WAITPROBE_CONSTINIT
#endif

namespace detail {

// The handle of one macro: `key` has a type of its own wherever it is written. Hidden: the handle of a macro in an inline
// function would otherwise be shared by all ELF files that have that function, which keeps plug-ins from being unloaded.
template <typename Key>
WAITPROBE_HIDDEN inline WaitCounterHandle& static_handle(Key key) noexcept {
  static WAITPROBE_CONSTINIT WaitCounterHandle handle{key()};
  return handle;
}

// The guard of the scoped macros. It cannot be moved, and so ends with the frame of the function that it stands in; or in a
// coroutine, with that of the coroutine.
class ScopedWait {
 public:
  // Inlined even without optimisation: the library is to see the frame of the function, and where in it this stands.
  __attribute__((always_inline)) WAITPROBE_HIDDEN ScopedWait(WaitCounterHandle& counter, bool may_suspend) noexcept
      : open_(__builtin_expect(__atomic_load_n(waitprobe_armed, __ATOMIC_RELAXED) != 0, 0)
                  ? waitprobe_start_armed_scoped(&counter.handle_, may_suspend)
                  : nullptr) {}
  ScopedWait(const ScopedWait&) = delete;
  ScopedWait& operator=(const ScopedWait&) = delete;
  WAITPROBE_HIDDEN ~ScopedWait() { waitprobe_stop(open_); }

 private:
  waitprobe_wait* open_;
};

}  // namespace detail
}  // namespace waitprobe

// 1 where <coroutine> has been included, without which there is no coroutine: its include guard is empty (libc++), 1
// (libstdc++), or not a macro at all. A module may have it without any macro.
#define WAITPROBE_COROUTINES_ 0, 1,
#define WAITPROBE_COROUTINES_1 0, 1,
#define WAITPROBE_SECOND(a, b, ...) b
#define WAITPROBE_SECOND_OF(...) WAITPROBE_SECOND(__VA_ARGS__, 0, 0)
#define WAITPROBE_IS_INCLUDED_(_guard) WAITPROBE_SECOND_OF(WAITPROBE_COROUTINES_##_guard)
#define WAITPROBE_IS_INCLUDED(_guard) WAITPROBE_IS_INCLUDED_(_guard)
#if defined(__cpp_modules)
#define WAITPROBE_MAY_SUSPEND true
#elif defined(_LIBCPP_VERSION)
#define WAITPROBE_MAY_SUSPEND (WAITPROBE_IS_INCLUDED(_LIBCPP_COROUTINE) != 0)
#else
#define WAITPROBE_MAY_SUSPEND (WAITPROBE_IS_INCLUDED(_GLIBCXX_COROUTINE) != 0)
#endif

// Clang's analysis of locks looks at a lambda as at a function that holds none of them.
#if defined(__has_attribute)
#if __has_attribute(no_thread_safety_analysis)
#define WAITPROBE_NO_THREAD_SAFETY_ANALYSIS __attribute__((no_thread_safety_analysis))
#endif
#endif
#ifndef WAITPROBE_NO_THREAD_SAFETY_ANALYSIS
#define WAITPROBE_NO_THREAD_SAFETY_ANALYSIS
#endif

// Each public macro stringifies its argument itself: passed on as it is, the argument would be expanded first, and `linux` and
// `unix` are macros in many modes of the compilers.
#define WAITPROBE_STATIC_HANDLE(_literal, _class)                                    \
  ::waitprobe::detail::static_handle([]() noexcept {                                 \
    static_assert(!::waitprobe::detail::is_quoted(_literal),                         \
                  "waitprobe: write the key without quotes, as in db.pool.acquire"); \
    return ::waitprobe::detail::LiteralKey{_literal, sizeof(_literal) - 1, _class};  \
  })
#define WAITPROBE_SCOPED_GUARD(_literal, _class)                                         \
  const ::waitprobe::detail::ScopedWait WAITPROBE_CONCAT(waitprobe_guard_, __COUNTER__)( \
      WAITPROBE_STATIC_HANDLE(_literal, _class), WAITPROBE_MAY_SUSPEND)
#define WAITPROBE_AROUND(_literal, _class, ...)                  \
  ([&]() WAITPROBE_NO_THREAD_SAFETY_ANALYSIS -> decltype(auto) { \
    WAITPROBE_SCOPED_GUARD(_literal, _class);                    \
    return __VA_ARGS__;                                          \
  }())

// The handle of the key that the argument spells: STATIC_WAIT_COUNTER(db.pool.acquire) has the key "db.pool.acquire".
#define STATIC_WAIT_COUNTER(_key) WAITPROBE_STATIC_HANDLE(#_key, WAITPROBE_CLASS_WAIT)

// Waits from here to the end of the scope.
#define STATIC_SCOPED_WAIT_COUNTER(_key) WAITPROBE_SCOPED_GUARD(#_key, WAITPROBE_CLASS_WAIT)

// The value of the expression, which is waited for: a reference where the expression is a call that returns one.
#define WITH_WAIT_COUNTER(_key, ...) WAITPROBE_AROUND(#_key, WAITPROBE_CLASS_WAIT, __VA_ARGS__)

// The same, where a thread waits for work: a worker whose queue is empty, an accept loop. Views keep such keys apart, and
// `waitprobe stuck` does not report them.
#define STATIC_IDLE_COUNTER(_key) WAITPROBE_STATIC_HANDLE(#_key, WAITPROBE_CLASS_IDLE)
#define STATIC_SCOPED_IDLE_COUNTER(_key) WAITPROBE_SCOPED_GUARD(#_key, WAITPROBE_CLASS_IDLE)
#define WITH_IDLE_COUNTER(_key, ...) WAITPROBE_AROUND(#_key, WAITPROBE_CLASS_IDLE, __VA_ARGS__)

// The same, around a piece of work that is measured.
#define STATIC_WORK_COUNTER(_key) WAITPROBE_STATIC_HANDLE(#_key, WAITPROBE_CLASS_WORK)
#define STATIC_SCOPED_WORK_COUNTER(_key) WAITPROBE_SCOPED_GUARD(#_key, WAITPROBE_CLASS_WORK)
#define WITH_WORK_COUNTER(_key, ...) WAITPROBE_AROUND(#_key, WAITPROBE_CLASS_WORK, __VA_ARGS__)

#endif  // C++17
