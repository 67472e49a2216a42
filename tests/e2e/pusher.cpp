// SPDX-License-Identifier: MIT
//
// The push of src/serve with made-up bodies, for push_test.py:
//   waitprobe-pusher URL INTERVAL_MS BODY_BYTES TIMEOUT_MS [CA_FILE]
// It prints its counts at SIGUSR1 and at SIGTERM, then also how many milliseconds it took to stop.
#include <signal.h>

#include <chrono>
#include <cstdio>
#include <string>

#include "src/serve/otlp_push.h"

namespace {

void print(const waitprobe::OtlpPushCounts& counts, const char* key, long value) {
  std::printf("{\"sent\":%llu,\"failed\":%llu,\"dropped\":%llu,\"%s\":%ld,\"error\":\"%s\"}\n",
              static_cast<unsigned long long>(counts.sent), static_cast<unsigned long long>(counts.failed),
              static_cast<unsigned long long>(counts.dropped), key, value, counts.last_error.c_str());
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) return 2;
  sigset_t signals;
  sigemptyset(&signals);
  for (const int one : {SIGTERM, SIGINT, SIGUSR1}) sigaddset(&signals, one);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  waitprobe::OtlpPushOptions options;
  options.url = argv[1];
  options.interval = std::chrono::milliseconds(std::stoi(argv[2]));
  options.timeout = std::chrono::milliseconds(std::stoi(argv[4]));
  options.first_wait = std::chrono::milliseconds(50);
  options.longest_wait = std::chrono::milliseconds(400);
  if (argc > 5) options.ca_file = argv[5];
  const std::string padding(std::stoul(argv[3]), 'x');
  int number = 0;
  auto push = waitprobe::OtlpPush::start(options, [&] {
    return "{\"resourceMetrics\":[],\"number\":" + std::to_string(++number) + ",\"text\":\"\\u00e4\xc3\xa4" + padding + "\"}";
  });
  if (!push) {
    std::fprintf(stderr, "cannot %s %s: %s\n", push.error().what.c_str(), push.error().on.c_str(), push.error().why.c_str());
    return 1;
  }
  int signal = 0;
  while (sigwait(&signals, &signal) == 0 && signal == SIGUSR1) print(push->counts(), "stopped_ms", -1);
  const auto before = std::chrono::steady_clock::now();
  push->stop();
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - before);
  print(push->counts(), "stopped_ms", static_cast<long>(took.count()));
  return 0;
}
