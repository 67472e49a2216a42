// SPDX-License-Identifier: MIT
//
// What http_server.cpp (the thread) and http_requests.cpp (what is done with a request) share.
#pragma once

#include <microhttpd.h>

#include <atomic>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "src/serve/http_checks.h"
#include "src/serve/http_server.h"
#include "src/serve/passwords.h"
#include "src/serve/tls_certificate.h"
#include "src/serve/worker_threads.h"

namespace waitprobe {

struct HttpExchange;

// What a worker makes, or would have made. The server's thread and a worker share it.
struct HttpTask {
  HttpRequest request;
  std::string password, network;  // until it is checked
  bool is_refused = false;        // the user or the password is wrong
  bool as_gzip = false;
  std::atomic<bool> is_expired = false;
  HttpAnswer answer;                 // of the worker, until it is among those done
  HttpExchange* exchange = nullptr;  // of the server's thread; null once nobody waits for it
};

// A request from its first line to the end of its response. Of the server's thread alone.
struct HttpExchange {
  MHD_Connection* connection = nullptr;
  std::string uri;
  bool has_headers = false;
  HttpHeaders headers;
  std::shared_ptr<HttpTask> task;  // once it is suspended
  std::chrono::steady_clock::time_point asked;
  std::optional<HttpAnswer> answer;
};

class HttpServer::Running {
 public:
  static constexpr unsigned answering_threads = 2;  // a slow path leaves one for the others

  Running(HttpServerOptions options, HttpContent& content)
      : options_(std::move(options)),
        content_(content),
        passwords_(options_.web.users),
        names_(options_.listen, options_.host_names),
        connections_(options_.limits),
        answering_(answering_threads),
        checking_(1) {}
  ~Running() { stop(); }

  Result<void> start();
  void stop();
  void replace_users(std::map<std::string, std::string> users) { passwords_.replace(std::move(users)); }

  std::uint16_t port() const { return port_; }
  HttpServerCounts counts() const {
    return {answered_cnt_.load(), refused_cnt_.load(), ended_cnt_.load(), connection_cnt_.load()};
  }

 private:
  using Clock = std::chrono::steady_clock;
  using Connection = HttpConnections::Connection;

  static void* on_request_line(void* cls, const char* uri, MHD_Connection* connection);
  static MHD_Result on_request(void* cls, MHD_Connection* connection, const char* url, const char* method, const char* version,
                               const char* body, std::size_t* body_size, void** exchange);
  static void on_request_end(void* cls, MHD_Connection* connection, void** exchange, MHD_RequestTerminationCode);
  static void on_connection(void* cls, MHD_Connection* connection, void** context, MHD_ConnectionNotificationCode code);
  static std::size_t keep_escapes(void*, MHD_Connection*, char* text) { return std::strlen(text); }

  MHD_Result take(HttpExchange& exchange, const char* method, const char* version);
  MHD_Result ask(HttpExchange& exchange);
  MHD_Result authenticate(HttpExchange& exchange);
  MHD_Result suspend(HttpExchange& exchange);
  MHD_Result respond(HttpExchange& exchange, const HttpAnswer& answer, bool is_last);
  void give(HttpExchange& exchange, HttpAnswer answer);
  void check(const std::shared_ptr<HttpTask>& task);
  void make(const std::shared_ptr<HttpTask>& task);
  void hand_back(const std::shared_ptr<HttpTask>& task);
  void take_done();
  void expire(Clock::time_point now);
  void run();
  void wake();
  void keep_counts();

  static Connection* connection_of(MHD_Connection* connection) {
    const MHD_ConnectionInfo* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info == nullptr ? nullptr : static_cast<Connection*>(info->socket_context);
  }

  HttpServerOptions options_;
  HttpContent& content_;
  Passwords passwords_;
  std::unique_ptr<TlsCertificate> certificate_;
  HostCheck names_;
  HttpConnections connections_;
  FileDescriptor wake_fd_;
  MHD_Daemon* daemon_ = nullptr;
  int epoll_fd_ = -1;
  std::uint16_t port_ = 0;
  std::set<HttpExchange*> suspended_;
  std::mutex done_mutex_;
  std::deque<std::shared_ptr<HttpTask>> done_;
  std::atomic<bool> is_stopping_ = false;
  std::atomic<std::uint64_t> answered_cnt_ = 0, refused_cnt_ = 0, ended_cnt_ = 0;
  std::atomic<unsigned> connection_cnt_ = 0;
  WorkerThreads answering_, checking_;
  std::thread thread_;
};

}  // namespace waitprobe
