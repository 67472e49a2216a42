// SPDX-License-Identifier: MIT
//
// The push to a receiver that says what a test wants; tests/e2e/push_test.py has a real one.
#include "src/serve/otlp_push.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "src/serve/listen_address.h"

namespace waitprobe {
namespace {

using std::chrono::milliseconds;

// Answers each request with the next of its responses, the last of them for ever; an empty one is a closed connection.
class Receiver {
 public:
  explicit Receiver(std::vector<std::string> responses) : responses_(std::move(responses)) {
    auto listening = listen_on(parse_listen_address("127.0.0.1:0").value());
    socket_ = std::move(listening->fd);
    port_ = listening->port;
    thread_ = std::thread([this] { run(); });
  }
  ~Receiver() {
    is_stopping_ = true;
    thread_.join();
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  void run() {
    while (!is_stopping_) {
      const FileDescriptor one(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!one.ok()) {
        std::this_thread::sleep_for(milliseconds(1));
        continue;
      }
      std::string request;
      char buffer[4096];
      while (request.find("END") == request.npos) {
        const ssize_t size = recv(one.get(), buffer, sizeof buffer, 0);
        if (size <= 0) break;
        request.append(buffer, static_cast<std::size_t>(size));
      }
      std::string response;
      {
        const std::lock_guard lock(mutex_);
        requests_.push_back(request);
        response = responses_[std::min(requests_.size(), responses_.size()) - 1];
      }
      if (response == "hang")
        while (!is_stopping_ && recv(one.get(), buffer, sizeof buffer, MSG_DONTWAIT) != 0)
          std::this_thread::sleep_for(milliseconds(1));
      else if (!response.empty())
        send(one.get(), response.data(), response.size(), MSG_NOSIGNAL);
    }
  }
  std::vector<std::string> responses_, requests_;
  mutable std::mutex mutex_;
  FileDescriptor socket_;
  std::uint16_t port_ = 0;
  std::atomic<bool> is_stopping_ = false;
  std::thread thread_;
};

std::string answered(const std::string& status, const std::string& headers = "", const std::string& body = "{}") {
  return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\nConnection: close\r\n" + headers +
         "\r\n" + body;
}

OtlpPushOptions quick(const std::string& url) {
  OtlpPushOptions options;
  options.url = url;
  options.interval = milliseconds(50);
  options.first_wait = milliseconds(10);
  options.longest_wait = milliseconds(40);
  return options;
}

// Until the counts are as wanted; false after some seconds.
template <class Wanted>
bool becomes(const OtlpPush& push, const Wanted& wanted) {
  for (int i = 0; i < 10'000; i++) {
    if (wanted(push.counts())) return true;
    std::this_thread::sleep_for(milliseconds(1));
  }
  return false;
}

TEST(OtlpPushTest, SendsWhatItIsGivenAtEachInterval) {
  const Receiver receiver({answered("200 OK")});
  std::atomic<int> made = 0;
  auto options = quick(receiver.url());
  options.headers = {"X-Tenant: a b"};
  auto push = OtlpPush::start(options, [&made] { return "{\"number\":" + std::to_string(++made) + "}END"; });
  ASSERT_TRUE(push.ok()) << push.error().why;
  ASSERT_TRUE(becomes(*push, [](const OtlpPushCounts& counts) { return counts.sent >= 3; })) << push->counts().last_error;
  push->stop();
  const auto requests = receiver.requests();
  EXPECT_EQ(requests[0].find("POST /v1/metrics HTTP/1.1\r\n"), 0u);
  for (const char* header : {"\r\nContent-Type: application/json\r\n", "\r\nX-Tenant: a b\r\n"})
    EXPECT_NE(requests[0].find(header), std::string::npos) << requests[0];
  EXPECT_NE(requests[0].find("\r\n\r\n{\"number\":1}END"), std::string::npos);
  EXPECT_NE(requests[1].find("\r\n\r\n{\"number\":2}END"), std::string::npos);
  EXPECT_EQ(push->counts().failed, 0u);
  EXPECT_EQ(push->counts().dropped, 0u);
}

TEST(OtlpPushTest, TriesAgainWhereTheProtocolSaysSo) {
  const Receiver receiver(
      {answered("503 Busy"), answered("429 Slow down"), "", answered("502 x"), answered("504 x"), answered("200 OK")});
  auto options = quick(receiver.url());
  options.interval = milliseconds(500);
  auto push = OtlpPush::start(options, [] { return "first END"; });
  ASSERT_TRUE(becomes(*push, [](const OtlpPushCounts& counts) { return counts.sent == 1; })) << push->counts().last_error;
  EXPECT_EQ(push->counts().failed, 5u);
  EXPECT_EQ(push->counts().dropped, 0u);
  EXPECT_EQ(push->counts().last_error, "");
}

TEST(OtlpPushTest, DropsWhatTheReceiverDoesNotWant) {
  const Receiver receiver(
      {answered("400 Bad Request"), answered("301 Moved", "Location: http://127.0.0.1:1/\r\n"), answered("200 OK")});
  auto options = quick(receiver.url());
  options.interval = milliseconds(200);
  auto push = OtlpPush::start(options, [] { return "END"; });
  ASSERT_TRUE(becomes(*push, [](const OtlpPushCounts& counts) { return counts.failed == 1; }));
  EXPECT_EQ(push->counts().last_error, "status 400: {}");
  ASSERT_TRUE(becomes(*push, [](const OtlpPushCounts& counts) { return counts.sent == 1; }));
  EXPECT_EQ(push->counts().dropped, 2u);
  EXPECT_EQ(push->counts().failed, 2u);
}

TEST(OtlpPushTest, TellsOfWhatTheReceiverHasRejected) {
  const std::string some = R"({"partialSuccess":{"rejectedDataPoints":"5","errorMessage":"too old"}})";
  const std::string none = R"({"partialSuccess":{"rejectedDataPoints":0}})";
  const Receiver receiver({answered("200 OK", "", some), answered("200 OK", "", none)});
  auto options = quick(receiver.url());
  options.interval = milliseconds(200);
  auto push = OtlpPush::start(options, [] { return "END"; });
  ASSERT_TRUE(becomes(*push, [](const OtlpPushCounts& counts) { return counts.failed == 1; }));
  EXPECT_EQ(push->counts().last_error, "it has rejected 5 points: too old");
  ASSERT_TRUE(becomes(*push, [](const OtlpPushCounts& counts) { return counts.sent == 1; }));
}

TEST(OtlpPushTest, DoesNotReadAnAnswerWithoutEnd) {
  const Receiver receiver({answered("200 OK", "", std::string(100'000, 'x')), answered("200 OK")});
  auto push = OtlpPush::start(quick(receiver.url()), [] { return "END"; });
  ASSERT_TRUE(becomes(*push, [](const OtlpPushCounts& counts) { return counts.failed == 1; }));
  EXPECT_EQ(push->counts().last_error, "its answer is too long");
  ASSERT_TRUE(becomes(*push, [](const OtlpPushCounts& counts) { return counts.sent == 1; }));
}

TEST(OtlpPushTest, RefusesWhatCannotWork) {
  OtlpPushOptions options = quick("https://127.0.0.1:1");
  options.ca_file = "/nonexistent";
  EXPECT_FALSE(OtlpPush::start(options, [] { return "END"; }));
  options.ca_file.clear();
  options.headers = {"X: a\x01"};
  EXPECT_FALSE(OtlpPush::start(options, [] { return "END"; }));
}

TEST(OtlpPushTest, WaitsAsLongAsItIsTold) {
  const Receiver receiver({answered("503 Busy", "Retry-After: 1\r\n"), answered("200 OK")});
  const auto before = std::chrono::steady_clock::now();
  int made = 0;
  auto push = OtlpPush::start(quick(receiver.url()), [&made] { return std::to_string(++made) + " END"; });
  ASSERT_TRUE(becomes(*push, [](const OtlpPushCounts& counts) { return counts.sent == 1; }));
  EXPECT_GT(std::chrono::steady_clock::now() - before, milliseconds(1000));
  push->stop();
  EXPECT_GT(push->counts().dropped, 5u) << "newer ones have taken the place of those that waited";
  EXPECT_EQ(receiver.requests()[1].find("\r\n\r\n1 END"), std::string::npos) << "the newest is sent";
}

TEST(OtlpPushTest, ADeadReceiverCostsOneBody) {
  std::string url;
  { url = Receiver({""}).url(); }
  auto push = OtlpPush::start(quick(url), [] { return std::string(1'000'000, 'x'); });
  ASSERT_TRUE(becomes(*push, [](const OtlpPushCounts& counts) { return counts.failed >= 5 && counts.dropped >= 3; }));
  EXPECT_NE(push->counts().last_error, "");
  EXPECT_EQ(push->counts().sent, 0u);
}

TEST(OtlpPushTest, StopsWhileItWaitsForAnAnswer) {
  const Receiver receiver({"hang"});
  auto push = OtlpPush::start(quick(receiver.url()), [] { return "END"; });
  while (receiver.requests().empty()) std::this_thread::sleep_for(milliseconds(1));
  const auto before = std::chrono::steady_clock::now();
  push->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - before, milliseconds(300));
  EXPECT_EQ(push->counts().sent, 0u);
}

TEST(OtlpPushTest, ABodyThatCannotBeMadeIsNone) {
  const Receiver receiver({answered("200 OK")});
  int made = 0;
  auto push = OtlpPush::start(quick(receiver.url()), [&made]() -> std::string {
    if (made++ < 2) throw std::runtime_error("no");
    return "END";
  });
  ASSERT_TRUE(becomes(*push, [](const OtlpPushCounts& counts) { return counts.sent == 1; }));
}

TEST(OtlpPushTest, KnowsAUrl) {
  EXPECT_EQ(otlp_url("http://localhost:4318").value(), "http://localhost:4318/v1/metrics");
  EXPECT_EQ(otlp_url("https://a.example/").value(), "https://a.example/v1/metrics");
  EXPECT_EQ(otlp_url("http://[::1]:4318/otlp/v1/metrics?a=b").value(), "http://[::1]:4318/otlp/v1/metrics?a=b");
  for (const char* bad :
       {"", "localhost:4318", "ftp://a", "file:///etc/passwd", "http://", "http://a b", "http://a:99999", "grpc://a"})
    EXPECT_FALSE(otlp_url(bad).ok()) << bad;
  OtlpPushOptions options = quick("http://localhost:1");
  for (const char* bad : {"Authorization", ": x", "A: b\r\nC: d"}) {
    options.headers = {bad};
    EXPECT_FALSE(OtlpPush::start(options, [] { return ""; }).ok()) << bad;
  }
}

}  // namespace
}  // namespace waitprobe
