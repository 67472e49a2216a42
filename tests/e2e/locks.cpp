// SPDX-License-Identifier: MIT
//
// Threads that wait for mutexes, for holders_test.py: locks SCENE. Says "ready" when all wait, and ends with its standard input.
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <mutex>
#include <semaphore>
#include <string>
#include <thread>

#include <waitprobe/wait_counter.h>

namespace {

void name_thread(const char* name) { pthread_setname_np(pthread_self(), name); }

[[noreturn]] __attribute__((noinline)) void stay() {
  for (;;) pause();
}

// Threads that end with the process.
template <typename Function>
void start(Function function) {
  std::thread(function).detach();
}

std::mutex a, b, c;
std::counting_semaphore<8> held(0);

__attribute__((noinline)) void save_with_a_known_stack() {
  STATIC_SCOPED_WAIT_COUNTER(disk.fsync);
  held.release();
  stay();
}

void lock_in_guard(const char* name, std::mutex& mutex) {
  name_thread(name);
  STATIC_SCOPED_WAIT_COUNTER(cache.lock);
  mutex.lock();
}

void holder() {
  start([] {
    name_thread("saver");
    a.lock();
    save_with_a_known_stack();
  });
  held.acquire();
  for (const char* name : {"finder-1", "finder-2"}) start([name] { lock_in_guard(name, a); });
}

// Two steps, the one between without a guard.
void chain() {
  start([] {
    name_thread("last");
    b.lock();
    save_with_a_known_stack();
  });
  held.acquire();
  start([] {
    name_thread("middle");
    a.lock();
    held.release();
    b.lock();
  });
  held.acquire();
  start([] { lock_in_guard("first", a); });
}

void circle() {
  std::mutex* const mutexes[] = {&a, &b, &c};
  const char* const names[] = {"one", "two", "three"};
  static std::counting_semaphore<8> all_hold(0);
  for (int i = 0; i < 3; i++) {
    start([&mutex = *mutexes[i], &next = *mutexes[(i + 1) % 3], name = names[i]] {
      mutex.lock();
      held.release();
      all_hold.acquire();
      lock_in_guard(name, next);
    });
  }
  for (int i = 0; i < 3; i++) held.acquire();
  all_hold.release(3);
  // Who waits for them, and is not one of them.
  usleep(100'000);
  start([] { lock_in_guard("behind", a); });
}

void itself() {
  start([] {
    a.lock();
    lock_in_guard("lonely", a);
  });
}

void made(pthread_mutex_t& mutex, int protocol, int robust) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setprotocol(&attributes, protocol);
  pthread_mutexattr_setrobust(&attributes, robust);
  pthread_mutex_init(&mutex, &attributes);
}

void of_kind(int protocol, int robust) {
  static pthread_mutex_t mutex;
  made(mutex, protocol, robust);
  start([] {
    name_thread("saver");
    pthread_mutex_lock(&mutex);
    save_with_a_known_stack();
  });
  held.acquire();
  start([] {
    name_thread("finder-1");
    STATIC_SCOPED_WAIT_COUNTER(cache.lock);
    pthread_mutex_lock(&mutex);
  });
}

// Two that wait for each other, one of them for an hour.
void timed() {
  static pthread_mutex_t x = PTHREAD_MUTEX_INITIALIZER, y = PTHREAD_MUTEX_INITIALIZER;
  start([] {
    name_thread("patient");
    pthread_mutex_lock(&x);
    held.release();
    usleep(100'000);
    STATIC_SCOPED_WAIT_COUNTER(cache.lock);
    pthread_mutex_lock(&y);
  });
  start([] {
    name_thread("impatient");
    pthread_mutex_lock(&y);
    held.release();
    usleep(100'000);
    STATIC_SCOPED_WAIT_COUNTER(cache.lock);
    timespec until = {};
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 3600;
    pthread_mutex_clocklock(&x, CLOCK_MONOTONIC, &until);
  });
}

void ended() {
  std::thread([] { a.lock(); }).join();
  start([] { lock_in_guard("orphan", a); });
}

// A lock whose word looks like that of a mutex, and that says nothing of who has it.
void other_lock() {
  static std::atomic<int> word[4] = {2, 7, 0, 0};
  word[2] = static_cast<int>(getpid());
  start([] {
    name_thread("spinner");
    STATIC_SCOPED_WAIT_COUNTER(cache.lock);
    word[0].wait(2);
  });
}

// The kernel waits in the name of a thread without a guard.
void uninterruptible() {
  start([] {
    name_thread("reader");
    if (vfork() == 0) {
      for (char byte; read(STDIN_FILENO, &byte, 1) > 0;) {
      }
      _exit(0);
    }
    stay();
  });
  WITH_WAIT_COUNTER(some.wait, usleep(1));
}

}  // namespace

int main(int argc, char** argv) {
  const struct {
    const char* name;
    void (*play)();
  } scenes[] = {{"holder", holder},
                {"chain", chain},
                {"circle", circle},
                {"itself", itself},
                {"inherit", [] { of_kind(PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_STALLED); }},
                {"robust", [] { of_kind(PTHREAD_PRIO_NONE, PTHREAD_MUTEX_ROBUST); }},
                {"timed", timed},
                {"ended", ended},
                {"other", other_lock},
                {"uninterruptible", uninterruptible}};
  for (const auto& scene : scenes) {
    if (argc != 2 || std::strcmp(scene.name, argv[1]) != 0) continue;
    scene.play();
    usleep(300'000);
    (void)!write(STDOUT_FILENO, "ready\n", 6);
    for (char byte; read(STDIN_FILENO, &byte, 1) > 0;) {
    }
    _exit(0);
  }
  return 2;
}
