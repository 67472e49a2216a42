// SPDX-License-Identifier: MIT
//
// A program whose main thread ends before the others do. main() leaves by pthread_exit when a byte comes from stdin. With a
// byte from the descriptor that the argument names, a thread waits 51 times and ends, and another one 52 times more, then
// prints the truth and keeps a wait open until that descriptor ends.
#include <pthread.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

#include <waitprobe/wait_counter.h>

namespace {

bool take_byte(int fd) {
  char byte;
  return read(fd, &byte, 1) == 1;
}

void wait_times(int cnt) {
  for (int i = 0; i < cnt; i++) {
    STATIC_SCOPED_WAIT_COUNTER(gone.wait);
  }
}

void go_on(int fd) {
  wait_times(52);
  std::puts(R"({"keys":{"gone.wait":103}})");
  std::fflush(stdout);
  STATIC_SCOPED_WAIT_COUNTER(gone.open);
  take_byte(fd);
}

}  // namespace

int main(int, char** argv) {
  std::thread([fd = std::atoi(argv[1])] {
    take_byte(fd);
    wait_times(51);
    std::thread(go_on, fd).detach();
  }).detach();
  take_byte(STDIN_FILENO);
  pthread_exit(nullptr);
}
