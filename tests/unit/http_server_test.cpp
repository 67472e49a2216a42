// SPDX-License-Identifier: MIT
//
// The server over plain sockets; tests/e2e/http_test.py has it under curl and under attack.
#include "src/serve/http_server.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <zlib.h>

#include <atomic>
#include <future>
#include <thread>

namespace waitprobe {
namespace {

using std::chrono::milliseconds;

class Content : public HttpContent {
 public:
  HttpAnswer answer(const HttpRequest& request) override {
    if (request.path == "/slow") slow.wait();
    if (request.path == "/throws") throw std::runtime_error("no");
    if (request.path == "/large") return large;
    if (request.path == "/") return text_answer(200, request.query + "|" + request.accept + "|" + request.peer);
    return text_answer(404, "There is no such page.\n");
  }
  HttpAnswer large = text_answer(200, std::string(100'000, 'x'));
  std::promise<void> go_on;
  std::shared_future<void> slow = go_on.get_future().share();
};

class HttpServerTest : public testing::Test {
 protected:
  void start(HttpServerOptions options = {}) {
    options.listen = parse_listen_address("127.0.0.1:0").value();
    auto started = HttpServer::start(options, content_);
    ASSERT_TRUE(started.ok()) << started.error().why;
    server_ = std::make_unique<HttpServer>(std::move(started.value()));
  }
  FileDescriptor connected() const {
    FileDescriptor fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(server_->port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  static void send_all(const FileDescriptor& fd, const std::string& text) {
    EXPECT_EQ(send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  // Until the server closes it.
  static std::string rest(const FileDescriptor& fd) {
    std::string all;
    char buffer[4096];
    for (ssize_t size; (size = recv(fd.get(), buffer, sizeof buffer, 0)) > 0;)
      all.append(buffer, static_cast<std::size_t>(size));
    return all;
  }
  std::string asked(const std::string& request) const {
    const FileDescriptor fd = connected();
    send_all(fd, request);
    return rest(fd);
  }
  // What a request for it gets, with more lines of headers.
  std::string got(const std::string& path, const std::string& headers = "") const {
    return asked("GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + headers + "\r\n");
  }

  Content content_;
  std::unique_ptr<HttpServer> server_;
};

std::string status(const std::string& response) { return response.substr(0, response.find("\r\n")); }
std::string body(const std::string& response) { return response.substr(response.find("\r\n\r\n") + 4); }

TEST_F(HttpServerTest, AnswersWithWhatTheContentSays) {
  start();
  const std::string response = got("/?a=%20b", "Accept: one\r\nAccept: two\r\n");
  EXPECT_EQ(status(response), "HTTP/1.1 200 OK");
  EXPECT_EQ(body(response), "a=%20b|one, two|127.0.0.1");
  for (const char* header : {"X-Content-Type-Options: nosniff\r\n", "Content-Security-Policy: default-src 'none'",
                             "Cache-Control: no-store\r\n", "Content-Type: text/plain; charset=utf-8\r\n"})
    EXPECT_NE(response.find(header), std::string::npos) << header << response;
  EXPECT_EQ(status(got("/nothing")), "HTTP/1.1 404 Not Found");
  EXPECT_EQ(status(got("/%6c")), "HTTP/1.1 404 Not Found") << "paths are not decoded";
  EXPECT_EQ(status(got("/throws")), "HTTP/1.1 500 Internal Server Error");
  EXPECT_EQ(server_->counts().answered, 3u);
}

TEST_F(HttpServerTest, ManyRequestsOnOneConnection) {
  start();
  const FileDescriptor fd = connected();
  std::string requests;
  for (int i = 0; i < 50; i++) requests += "GET /?" + std::to_string(i) + " HTTP/1.1\r\nHost: a.localhost.\r\n\r\n";
  for (std::size_t at; (at = requests.find("a.localhost.")) != std::string::npos;) requests.replace(at, 12, "localhost");
  send_all(fd, requests + "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  const std::string responses = rest(fd);
  std::size_t at = 0;
  for (int i = 0; i < 50; i++) {
    at = responses.find("\r\n\r\n" + std::to_string(i) + "||", at);
    ASSERT_NE(at, std::string::npos) << i << responses;
  }
}

TEST_F(HttpServerTest, RefusesWhatItDoesNotServe) {
  start();
  const std::string post = asked("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_EQ(status(post), "HTTP/1.1 405 Method Not Allowed");
  EXPECT_NE(post.find("Allow: GET, HEAD\r\n"), std::string::npos);
  EXPECT_NE(post.find("Connection: close\r\n"), std::string::npos);
  EXPECT_EQ(status(asked("GET / HTTP/1.1\r\n\r\n")), "HTTP/1.1 400 Bad Request");
  EXPECT_EQ(status(asked("GET / HTTP/1.1\r\nHost: a\r\nHost: localhost\r\n\r\n")), "HTTP/1.1 400 Bad Request");
  EXPECT_EQ(status(asked("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")), "HTTP/1.1 403 Forbidden");
  EXPECT_EQ(status(asked("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc")).substr(0, 12), "HTTP/1.1 413");
  EXPECT_EQ(status(asked("GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")).substr(0, 12),
            "HTTP/1.1 413");
  EXPECT_EQ(status(asked("GET / HTTP/1.0\r\n\r\n")), "HTTP/1.1 200 OK")
      << "its own version; the connection is closed all the same";
  EXPECT_EQ(status(asked("GET / HTTP/1.1\r\nHost: localhost\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n")).substr(0, 12),
            "HTTP/1.1 431");
  EXPECT_EQ(status(asked("GET /" + std::string(20'000, 'x') + " HTTP/1.1\r\nHost: localhost\r\n\r\n")).substr(0, 12),
            "HTTP/1.1 414");
}

TEST_F(HttpServerTest, CompressesWhatIsLargeForWhomeverWantsIt) {
  start();
  const std::string plain = got("/large");
  EXPECT_EQ(body(plain), content_.large.body->plain());
  EXPECT_NE(plain.find("Vary: Accept, Accept-Encoding"), std::string::npos);
  const std::string packed = got("/large", "Accept-Encoding: br, gzip;q=0.5\r\n");
  EXPECT_NE(packed.find("Content-Encoding: gzip"), std::string::npos);
  EXPECT_EQ(body(packed), content_.large.body->gzipped());
  std::string unpacked(200'000, '\0');
  z_stream stream = {};
  inflateInit2(&stream, 15 + 16);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content_.large.body->gzipped().data()));
  stream.avail_in = static_cast<uInt>(content_.large.body->gzipped().size());
  stream.next_out = reinterpret_cast<Bytef*>(unpacked.data());
  stream.avail_out = static_cast<uInt>(unpacked.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  unpacked.resize(stream.total_out);
  inflateEnd(&stream);
  EXPECT_EQ(unpacked, content_.large.body->plain());
  EXPECT_EQ(got("/", "Accept-Encoding: gzip\r\n").find("gzip"), std::string::npos) << "not what is small";
}

TEST_F(HttpServerTest, ASlowAnswerHoldsUpOnlyTheSamePathAndNotForever) {
  HttpServerOptions options;
  options.turn = milliseconds(300);
  start(options);
  auto first = std::async(std::launch::async, [this] { return got("/slow"); });
  auto second = std::async(std::launch::async, [this] { return got("/slow"); });
  EXPECT_EQ(status(got("/")), "HTTP/1.1 200 OK");
  EXPECT_EQ(status(second.get()), "HTTP/1.1 503 Service Unavailable");
  EXPECT_EQ(status(first.get()), "HTTP/1.1 503 Service Unavailable");
  content_.go_on.set_value();
  EXPECT_EQ(status(got("/slow")), "HTTP/1.1 404 Not Found");
}

TEST_F(HttpServerTest, AsksForAPassword) {
  HttpServerOptions options;
  options.web.users = {{"ann", "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"}};  // "secret"
  start(options);
  const std::string right = "Authorization: Basic YW5uOnNlY3JldA==\r\n", wrong = "Authorization: Basic YW5uOndyb25n\r\n";
  EXPECT_EQ(status(got("/")), "HTTP/1.1 401 Unauthorized");
  EXPECT_EQ(status(got("/", wrong)), "HTTP/1.1 401 Unauthorized");
  std::vector<std::future<std::string>> answers;
  for (int i = 0; i < 10; i++) answers.push_back(std::async(std::launch::async, [&] { return got("/", right); }));
  for (auto& answer : answers) EXPECT_EQ(status(answer.get()), "HTTP/1.1 200 OK");
  EXPECT_EQ(server_->counts().refused, 2u);
  server_->replace_users({});
  EXPECT_EQ(status(got("/")), "HTTP/1.1 200 OK");
}

TEST_F(HttpServerTest, EndsTheOldestIdleConnectionWhereThereAreTooMany) {
  HttpServerOptions options;
  options.limits.connections = 10;
  start(options);
  std::vector<FileDescriptor> idle;
  for (int i = 0; i < 50; i++) idle.push_back(connected());
  EXPECT_EQ(status(got("/")), "HTTP/1.1 200 OK");
  EXPECT_EQ(rest(idle.front()), "");
  EXPECT_LE(server_->counts().connections, 10u);
}

TEST_F(HttpServerTest, EndsConnectionsThatTakeTooLong) {
  HttpServerOptions options;
  options.limits.first_request = milliseconds(2000);
  options.limits.next_request = milliseconds(200);
  start(options);
  const FileDescriptor silent = connected(), half = connected(), kept = connected();
  send_all(half, "GET / HTTP/1.1\r\nHost:");
  send_all(kept, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET");
  EXPECT_EQ(rest(silent), "");
  EXPECT_EQ(rest(half), "");
  EXPECT_EQ(status(rest(kept)), "HTTP/1.1 200 OK");
  while (server_->counts().ended < 3u) std::this_thread::yield();
}

TEST_F(HttpServerTest, StopsAtOnceWhateverIsOpen) {
  start();
  std::vector<FileDescriptor> open;
  for (int i = 0; i < 100; i++) open.push_back(connected());
  for (int i = 0; i < 50; i++) send_all(open[static_cast<std::size_t>(i)], "GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n");
  while (server_->counts().connections < 100) std::this_thread::yield();
  auto stopped = std::async(std::launch::async, [this] { server_->stop(); });
  content_.go_on.set_value();
  const auto before = std::chrono::steady_clock::now();
  stopped.wait();
  EXPECT_LT(std::chrono::steady_clock::now() - before, milliseconds(10'000)) << "it waited for a client";
  for (const FileDescriptor& fd : open) rest(fd);
  server_->stop();
}

TEST(HttpContentTest, KnowsWhoWantsGzip) {
  for (const char* yes : {"gzip", "GZIP", "deflate, gzip", "gzip;q=1.0", "br;q=1, gzip; q=0.001", "*", "x-gzip", "gzip;x=1"})
    EXPECT_TRUE(accepts_gzip(yes)) << yes;
  for (const char* no : {"", "identity", "gzip;q=0", "gzip; q=0.000", "*;q=0", "gzip;q=0, *", "gzipped", ",;,q="})
    EXPECT_FALSE(accepts_gzip(no)) << no;
}

TEST(HttpConnectionsTest, TheNetworkWithMostLosesFirst) {
  HttpConnectionLimits limits;
  limits.connections = 3;
  HttpConnections connections(limits);
  const HttpConnections::Clock::time_point start{};
  auto* lonely = connections.add(-1, "1.1.1.1", start);
  auto* one = connections.add(-1, "2.2.2.2", start + milliseconds(1));
  auto* two = connections.add(-1, "2.2.2.2", start + milliseconds(2));
  auto* three = connections.add(-1, "2.2.2.2", start + milliseconds(3));
  EXPECT_TRUE(one->is_ended);
  EXPECT_FALSE(lonely->is_ended || two->is_ended || three->is_ended);
  connections.request_has_come(two, start + milliseconds(4));
  auto* four = connections.add(-1, "2.2.2.2", start + milliseconds(5));
  EXPECT_TRUE(three->is_ended) << "it has done nothing for longest";
  EXPECT_FALSE(lonely->is_ended || two->is_ended || four->is_ended);
  EXPECT_EQ(connections.count(), 3u);
  for (auto* each : {lonely, one, two, three, four}) connections.remove(each);
  EXPECT_EQ(connections.count(), 0u);
  EXPECT_TRUE(connections.empty());
}

TEST(HttpConnectionsTest, WhatSlowClientsKeepInMemoryIsBounded) {
  HttpConnectionLimits limits;
  limits.unsent_bytes = 100;
  HttpConnections connections(limits);
  const HttpConnections::Clock::time_point start{};
  const int body[3] = {};
  std::vector<HttpConnections::Connection*> all;
  for (int i = 0; i < 5; i++) {
    all.push_back(connections.add(-1, "1.1.1.1", start));
    connections.request_has_come(all.back(), start + milliseconds(i));
  }
  for (auto* each : {all[0], all[1], all[2]}) connections.answer_is_sent_from(each, &body[0], 60, start + milliseconds(8));
  EXPECT_EQ(connections.unsent_bytes(), 60u) << "a shared body counts once";
  connections.answer_is_sent_from(all[3], &body[1], 50, start + milliseconds(9));
  EXPECT_TRUE(all[0]->is_ended && all[1]->is_ended && all[2]->is_ended);
  EXPECT_EQ(connections.unsent_bytes(), 50u);
  connections.request_has_ended(all[3], start);
  connections.answer_is_sent_from(all[4], &body[2], 1000, start + milliseconds(9));
  EXPECT_FALSE(all[3]->is_ended || all[4]->is_ended) << "one alone may be larger";
  for (auto* each : all) connections.remove(each);
  EXPECT_EQ(connections.unsent_bytes(), 0u);
}

}  // namespace
}  // namespace waitprobe
