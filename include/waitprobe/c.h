/* SPDX-License-Identifier: MIT
 *
 * waitprobe for C, and the functions that the C++ guard stands on.
 *
 *   static waitprobe_handle pool = WAITPROBE_HANDLE("db.pool.acquire");
 *   waitprobe_wait *wait = waitprobe_start(&pool);
 *   ... wait for the pool ...
 *   waitprobe_stop(wait);
 *
 *   WAITPROBE_SCOPED("db.query");  (until the end of the scope; C99 or later)
 *
 * Where a thread waits for work, use the idle forms (WAITPROBE_IDLE_HANDLE, WAITPROBE_SCOPED_IDLE): views keep such keys apart, and
 * `waitprobe stuck` does not report them. The work forms (WAITPROBE_WORK_HANDLE, WAITPROBE_SCOPED_WORK) measure a piece of work.
 *
 * While nobody listens, both calls are a load and a branch. When a tracer attaches, start and stop fire USDT probes of
 * provider `waitprobe`.
 *
 * Threads: a handle may be used by any number of threads at once. A wait may be stopped by another thread than the one that
 *   started it, but only once.
 * Signal handlers: may wait, on handles that have been armed before: the first armed wait of a handle allocates, and so may
 *   the first one after a backend was registered, which its factory is asked at.
 * Errors: none. A wait that cannot be followed (no memory) is counted, and waitprobe_start returns null.
 */
#ifndef WAITPROBE_C_H
#define WAITPROBE_C_H

#include <stddef.h>
#include <stdint.h>

/* The static library is hidden inside the ELF file that links it: instances in one process never mix. Its definitions say so,
 * and for a linker the strictest of a symbol's declarations counts; so an application is compiled alike for both libraries. */
#define WAITPROBE_HIDDEN __attribute__((visibility("hidden")))
#ifdef WAITPROBE_BUILDING_STATIC
#define WAITPROBE_API WAITPROBE_HIDDEN
#else
#define WAITPROBE_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
#define WAITPROBE_NOEXCEPT noexcept
#define WAITPROBE_NULL nullptr
extern "C" {
#else
#define WAITPROBE_NOEXCEPT
#define WAITPROBE_NULL NULL
#endif

/* What the waits of a key are. Give a key one class everywhere: within an instance of the library, the first armed wait of a key
 * decides. */
typedef enum waitprobe_class {
  WAITPROBE_CLASS_WAIT, /* something keeps the thread from its work */
  WAITPROBE_CLASS_IDLE, /* the thread has no work: a worker whose queue is empty, an accept loop */
  WAITPROBE_CLASS_WORK  /* a piece of work that is measured, and no wait */
} waitprobe_class;

/* Names a wait. Write it with WAITPROBE_HANDLE; the members are not for use. `key` must outlive the handle until the first
 * wait that somebody listens to. */
typedef struct waitprobe_handle {
  const char *key;
  size_t key_len;
  void *counter; /* found when first armed; atomic */
  waitprobe_class key_class;
} waitprobe_handle;

/* An open wait, or null when nobody listened at its start. */
typedef struct waitprobe_wait waitprobe_wait;

#define WAITPROBE_HANDLE_OF(literal, key_class) \
  { (literal), sizeof(literal) - 1, WAITPROBE_NULL, key_class }
#define WAITPROBE_HANDLE(literal) WAITPROBE_HANDLE_OF(literal, WAITPROBE_CLASS_WAIT)
#define WAITPROBE_IDLE_HANDLE(literal) WAITPROBE_HANDLE_OF(literal, WAITPROBE_CLASS_IDLE)
#define WAITPROBE_WORK_HANDLE(literal) WAITPROBE_HANDLE_OF(literal, WAITPROBE_CLASS_WORK)

/* Points to the word that says whether anybody listens. A pointer, and not the word itself: if an executable named a word in a
 * shared library directly, the linker could give it a copy of its own, and the kernel would raise the other one. */
extern WAITPROBE_API const uint64_t *const waitprobe_armed;

/* The paths of a guard that somebody listens to. Call them through waitprobe_start and waitprobe_stop. */
WAITPROBE_API waitprobe_wait *waitprobe_start_armed(waitprobe_handle *handle) WAITPROBE_NOEXCEPT __attribute__((cold));
/* As waitprobe_start_armed, for the macros of a scope alone: the guard is an automatic variable of the caller, which may
 * be a coroutine. A wait whose guard a longjmp has left behind is then known as such. */
WAITPROBE_API waitprobe_wait *waitprobe_start_armed_scoped(waitprobe_handle *handle, int may_suspend) WAITPROBE_NOEXCEPT
    __attribute__((cold));
WAITPROBE_API void waitprobe_stop_open(waitprobe_wait *wait) WAITPROBE_NOEXCEPT __attribute__((cold));

/* Prepares for a sandbox: makes room for the waits of `threads` threads, 30 open ones each, in this instance of the library.
 * From then on a wait makes no system call, and maps and allocates nothing: what finds no room is a counted loss.
 * WAITPROBE_PREPARE=N in the environment does the same at the start of the program. Under seccomp's strict mode set
 * WAITPROBE_CLOCK=coarse too. May be called again, for more.
 *
 * Returns 0, EINVAL (about a million threads are the most), ENOMEM, or EBUSY in a signal handler. Threads: any, at any time. */
WAITPROBE_API int waitprobe_prepare(size_t threads) WAITPROBE_NOEXCEPT;

/* Says which trace the calling thread works for from now on: the 16 bytes of a trace id of OpenTelemetry or W3C Trace Context.
 * Null, or all zero: none. Waits that begin from then on carry it, also where another thread ends them. `waitprobe slow` and
 * `stuck` and the exemplars of `waitprobe serve` show it.
 *
 * Costs about 1 ns, whether somebody listens or not. Each instance of the library has its own. Threads: each says its own; a child
 * of fork keeps that of the thread that forked. Signal handlers: may call it. */
WAITPROBE_API void waitprobe_set_trace_id(const uint8_t *trace_id) WAITPROBE_NOEXCEPT;

/* The same as functions, for languages that can use neither macros nor inline functions: Python, Rust, Go and others load the shared
 * library and call these. They cost a call each.
 *
 * Makes a key of `key_len` bytes, which are copied. The same bytes make the same key, however often; make it once, not at each wait.
 * A class that this library does not know counts as WAITPROBE_CLASS_WAIT.
 * Null: no memory. Threads: any. Lifetime: for ever. */
typedef struct waitprobe_key waitprobe_key;
WAITPROBE_API waitprobe_key *waitprobe_make_key(const char *key, size_t key_len, waitprobe_class key_class) WAITPROBE_NOEXCEPT;
/* waitprobe_start; null where the key is null. */
WAITPROBE_API waitprobe_wait *waitprobe_begin(waitprobe_key *key) WAITPROBE_NOEXCEPT;
/* waitprobe_stop. */
WAITPROBE_API void waitprobe_end(waitprobe_wait *wait) WAITPROBE_NOEXCEPT;
/* 1 while anybody listens, else 0: whether it is worth the work to make a key. */
WAITPROBE_API int waitprobe_is_armed(void) WAITPROBE_NOEXCEPT;

/* __inline__: C89 has no other. */
static __inline__ waitprobe_wait *waitprobe_start(waitprobe_handle *handle) WAITPROBE_NOEXCEPT {
  return __builtin_expect(__atomic_load_n(waitprobe_armed, __ATOMIC_RELAXED) != 0, 0) ? waitprobe_start_armed(handle)
                                                                                      : WAITPROBE_NULL;
}

static __inline__ void waitprobe_stop(waitprobe_wait *wait) WAITPROBE_NOEXCEPT {
  if (__builtin_expect(wait != WAITPROBE_NULL, 0)) waitprobe_stop_open(wait);
}

static __inline__ void waitprobe_stop_scoped(waitprobe_wait *const *wait) WAITPROBE_NOEXCEPT { waitprobe_stop(*wait); }

#ifdef __cplusplus
} /* extern "C" */
#endif

#define WAITPROBE_CONCAT_(a, b) a##b
#define WAITPROBE_CONCAT(a, b) WAITPROBE_CONCAT_(a, b)

/* The start of WAITPROBE_SCOPED. No function: the library is to see the frame of the caller. C++ has STATIC_SCOPED_WAIT_COUNTER
 * for that, which knows about coroutines too; here a wait is not bound to a frame that may not be one. */
#ifdef __cplusplus
#define WAITPROBE_START_SCOPED(handle) waitprobe_start(&handle)
#else
#define WAITPROBE_START_SCOPED(handle)                                                                                     \
  (__builtin_expect(__atomic_load_n(waitprobe_armed, __ATOMIC_RELAXED) != 0, 0) ? waitprobe_start_armed_scoped(&handle, 0) \
                                                                                : WAITPROBE_NULL)
#endif
#define WAITPROBE_SCOPED_(literal, key_class, handle, wait)                 \
  static waitprobe_handle handle = WAITPROBE_HANDLE_OF(literal, key_class); \
  waitprobe_wait *const wait __attribute__((cleanup(waitprobe_stop_scoped), unused)) = WAITPROBE_START_SCOPED(handle)
#define WAITPROBE_SCOPED_NUMBERED(literal, key_class, number) \
  WAITPROBE_SCOPED_(literal, key_class, WAITPROBE_CONCAT(waitprobe_handle_, number), WAITPROBE_CONCAT(waitprobe_wait_, number))

/* Waits from here to the end of the scope: WAITPROBE_SCOPED("db.query"). A declaration; may stand several times in one scope.
 * Needs gcc or clang, and C99 or C++11. */
#define WAITPROBE_SCOPED(literal) WAITPROBE_SCOPED_NUMBERED(literal, WAITPROBE_CLASS_WAIT, __COUNTER__)
#define WAITPROBE_SCOPED_IDLE(literal) WAITPROBE_SCOPED_NUMBERED(literal, WAITPROBE_CLASS_IDLE, __COUNTER__)
#define WAITPROBE_SCOPED_WORK(literal) WAITPROBE_SCOPED_NUMBERED(literal, WAITPROBE_CLASS_WORK, __COUNTER__)

#endif
