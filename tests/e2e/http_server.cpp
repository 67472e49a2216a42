// SPDX-License-Identifier: MIT
//
// The server of src/serve with made-up content, for http_test.py and https_test.py:
//   waitprobe-http-server LISTEN WEB_CONFIG|- [NAME...]
// It prints its port, and at SIGTERM how many milliseconds it took to stop. SIGHUP reads the users again.
#include <signal.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <thread>

#include "src/serve/http_server.h"

namespace waitprobe {
namespace {

class Content : public HttpContent {
 public:
  HttpAnswer answer(const HttpRequest& request) override {
    if (request.path == "/") return text_answer(200, "user " + request.user + "\n");
    if (request.path == "/metrics") return shared_;
    // A body of its own for each, as a scrape would be that nobody shares.
    if (request.path == "/own") return text_answer(200, std::string(3'000'000, 'x'));
    if (request.path == "/slow") {
      std::this_thread::sleep_for(std::chrono::milliseconds(std::stoi(request.query)));
      return text_answer(200, "slow\n");
    }
    return text_answer(404, "There is no such page.\n");
  }

 private:
  HttpAnswer shared_ = text_answer(200, [] {
    std::string text;
    for (int i = 0; i < 20'000; i++)
      text += "waitprobe_wait_seconds_count{key=\"key." + std::to_string(i) + "\"} " + std::to_string(i * i) + "\n";
    return text;
  }());
};

int fail(const Error& error) {
  std::fprintf(stderr, "cannot %s %s: %s\n", error.what.c_str(), error.on.c_str(), error.why.c_str());
  return 1;
}

int run(const char* listen, const std::string& web, std::vector<std::string> names) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int one : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, one);
  sigprocmask(SIG_BLOCK, &signals, nullptr);

  HttpServerOptions options;
  const auto address = parse_listen_address(listen);
  if (!address) return fail(address.error());
  options.listen = *address;
  options.host_names = std::move(names);
  if (web != "-") {
    auto config = read_web_config(web);
    if (!config) return fail(config.error());
    options.web = std::move(*config);
  }
  if (const auto exposure = check_exposure(options.listen, options.web, false); !exposure) return fail(exposure.error());
  Content content;
  auto server = HttpServer::start(options, content);
  if (!server) return fail(server.error());
  std::printf("%u\n", server->port());
  std::fflush(stdout);
  int signal = 0;
  while (sigwait(&signals, &signal) == 0 && signal == SIGHUP)
    if (auto config = read_web_config(web)) server->replace_users(std::move(config->users));
  const auto before = std::chrono::steady_clock::now();
  server->stop();
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - before);
  const HttpServerCounts counts = server->counts();
  std::printf("stopped in %lld ms; answered %llu, refused %llu, ended %llu\n", static_cast<long long>(took.count()),
              static_cast<unsigned long long>(counts.answered), static_cast<unsigned long long>(counts.refused),
              static_cast<unsigned long long>(counts.ended));
  return 0;
}

}  // namespace
}  // namespace waitprobe

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  return waitprobe::run(argv[1], argv[2], {argv + 3, argv + argc});
}
