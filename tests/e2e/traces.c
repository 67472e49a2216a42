/* SPDX-License-Identifier: MIT
 *
 * Threads that say which trace they work for, for traces_test.py. Does each scene that it is told, one after the other, at a line of
 * its input each; says "done" after each, and ends with its input. What a scene says is 16 times its letter. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <waitprobe/c.h>

#define MS 1000000L

static void say(char letter) {
  uint8_t id[16];
  memset(id, letter, sizeof id);
  waitprobe_set_trace_id(id);
}

static void sleep_ns(long ns) {
  const struct timespec time = {ns / 1000000000L, ns % 1000000000L};
  nanosleep(&time, NULL);
}

static waitprobe_handle before = WAITPROBE_HANDLE("trace.before"), after = WAITPROBE_HANDLE("trace.after"),
                        cleared = WAITPROBE_HANDLE("trace.cleared"), unsaid = WAITPROBE_HANDLE("trace.unsaid"),
                        handed = WAITPROBE_HANDLE("trace.handed"), nested = WAITPROBE_HANDLE("trace.nested"),
                        busy = WAITPROBE_HANDLE("trace.busy"), child = WAITPROBE_HANDLE("trace.child"),
                        reused = WAITPROBE_HANDLE("trace.reused"), dying = WAITPROBE_HANDLE("trace.dying"),
                        interrupted = WAITPROBE_HANDLE("trace.interrupted"), held = WAITPROBE_HANDLE("trace.held"),
                        short_one = WAITPROBE_HANDLE("trace.short");

/* Its name is that of a type where names are mangled. */
__attribute__((noinline)) static void w(waitprobe_handle *handle, long ns) {
  waitprobe_wait *wait = waitprobe_start(handle);
  sleep_ns(ns);
  waitprobe_stop(wait);
  __asm__ volatile(""); /* so that the stop is no jump, and this function in its stack */
}

/* Said before the first wait of the thread. */
static void say_before(void) {
  say('b');
  w(&before, 3 * MS);
}

/* Said when the thread has waited before, amid another wait: that one has none. */
static void say_after(void) {
  waitprobe_wait *wait = waitprobe_start(&unsaid);
  sleep_ns(3 * MS);
  say('a');
  w(&after, 3 * MS);
  waitprobe_stop(wait);
}

static void clear(void) {
  say('c');
  w(&short_one, 1);
  waitprobe_set_trace_id(NULL);
  w(&cleared, 3 * MS);
}

static void *stop_it(void *wait) {
  say('x');
  sleep_ns(3 * MS);
  waitprobe_stop(wait);
  return NULL;
}

/* Ended by another thread, which works for another trace and has not waited itself. */
static void hand_over(void) {
  say('h');
  pthread_t other;
  pthread_create(&other, NULL, stop_it, waitprobe_start(&handed));
  pthread_join(other, NULL);
}

/* More than a block holds, the last of them in another block. */
static void nest(void) {
  waitprobe_wait *waits[40];
  for (int i = 0; i < 40; i++) {
    if (i == 35) say('n');
    waits[i] = i < 39 ? waitprobe_start(&unsaid) : waitprobe_start(&nested);
  }
  sleep_ns(3 * MS);
  for (int i = 39; i >= 0; i--) waitprobe_stop(waits[i]);
}

/* So many that the ring grows, and in the end a slow one amid them. */
static void be_busy(void) {
  say('y');
  for (int i = 0; i < 2000000; i++) {
    if (i == 1990000) say('z');
    waitprobe_wait *wait = waitprobe_start(&busy);
    if (i == 1990000) sleep_ns(200 * MS);
    waitprobe_stop(wait);
    if (i == 1990000) say('y');
  }
}

static void fork_one(void) {
  say('f');
  w(&short_one, 1);
  const pid_t pid = fork();
  if (pid == 0) {
    w(&child, 3 * MS);
    _exit(0);
  }
  waitpid(pid, NULL, 0);
}

static void *wait_without(void *unused) {
  w(&reused, 3 * MS);
  return unused;
}

/* The block of a thread that said something is taken by one that does not. */
static void reuse(void) {
  pthread_t other;
  pthread_create(&other, NULL, wait_without, NULL);
  pthread_join(other, NULL);
}

/* What is left in its ring when a process is killed. */
static void die(void) {
  if (fork() == 0) {
    say('d');
    w(&dying, 3 * MS);
    raise(SIGKILL);
  }
  wait(NULL);
}

static volatile int say_other;
static void on_signal(int number) {
  (void)number;
  say(say_other ? 'j' : 'i');
  say('i');
}

/* A signal handler says another one in between, as often as it can, and the old one again. */
static void be_interrupted(void) {
  say('i');
  signal(SIGALRM, on_signal);
  timer_t timer;
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
  const struct itimerspec often = {{0, 50000}, {0, 50000}};
  timer_create(CLOCK_MONOTONIC, &event, &timer);
  say_other = 1;
  timer_settime(timer, 0, &often, NULL);
  for (int i = 0; i < 300000; i++) {
    waitprobe_wait *wait = waitprobe_start(&interrupted);
    if (i % 1000 == 0) usleep(1000);
    waitprobe_stop(wait);
  }
  timer_delete(timer);
  signal(SIGALRM, SIG_DFL);
}

static void hold(void) {
  say('o');
  waitprobe_start(&held);
}

static const struct scene {
  const char *name;
  void (*play)(void);
} scenes[] = {{"before", say_before}, {"after", say_after},
              {"clear", clear},       {"hand_over", hand_over},
              {"nest", nest},         {"busy", be_busy},
              {"fork", fork_one},     {"reuse", reuse},
              {"die", die},           {"interrupted", be_interrupted}};

static void *play(void *scene) {
  ((const struct scene *)scene)->play();
  return NULL;
}

int main(void) {
  char name[32];
  while (scanf("%31s", name) == 1) {
    if (strcmp(name, "hold") == 0) hold(); /* stays open */
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++) {
      if (strcmp(name, scenes[i].name) != 0) continue;
      pthread_t thread;
      pthread_create(&thread, NULL, play, (void *)&scenes[i]);
      pthread_join(thread, NULL);
    }
    puts("done");
    fflush(stdout);
  }
  return 0;
}
