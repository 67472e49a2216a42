// SPDX-License-Identifier: MIT
#include "src/serve/http_server.h"

#include <microhttpd.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <exception>
#include <list>
#include <set>

#include "src/serve/http_checks.h"
#include "src/serve/worker_threads.h"

namespace waitprobe {
namespace {

using Clock = std::chrono::steady_clock;

constexpr unsigned answering_threads = 2;                // a slow path leaves one for the others
constexpr std::size_t bytes_per_connection = 16 * 1024;  // request line, headers, and the response's headers
constexpr unsigned accept_margin = 64;                   // connections that are ended and not closed yet
constexpr int sweep_ms = 500;

// What a worker makes, or would have made. The server's thread and a worker share it.
struct Task {
  HttpRequest request;
  bool as_gzip = false;
  std::atomic<bool> is_expired = false;
  HttpAnswer answer;                    // of the worker, until it is among those done
  struct Exchange* exchange = nullptr;  // of the server's thread; null once nobody waits for it
};

// A request from its first line to the end of its response. Of the server's thread alone.
struct Exchange {
  MHD_Connection* connection = nullptr;
  std::string uri;
  bool has_headers = false;
  HttpHeaders headers;
  std::shared_ptr<Task> task;  // once it is suspended
  Clock::time_point asked;
  std::optional<HttpAnswer> answer;
};

}  // namespace

class HttpServer::Running {
 public:
  Running(HttpServerOptions options, HttpContent& content)
      : options_(std::move(options)),
        content_(content),
        names_(options_.listen, options_.host_names),
        connections_(options_.limits),
        answering_(answering_threads) {}
  ~Running() { stop(); }

  Result<void> start();
  void stop();

  std::uint16_t port() const { return port_; }
  HttpServerCounts counts() const {
    return {answered_cnt_.load(), refused_cnt_.load(), ended_cnt_.load(), connection_cnt_.load()};
  }

 private:
  using Connection = HttpConnections::Connection;

  static void* on_request_line(void* cls, const char* uri, MHD_Connection* connection);
  static MHD_Result on_request(void* cls, MHD_Connection* connection, const char* url, const char* method, const char* version,
                               const char* body, std::size_t* body_size, void** exchange);
  static void on_request_end(void* cls, MHD_Connection* connection, void** exchange, MHD_RequestTerminationCode);
  static void on_connection(void* cls, MHD_Connection* connection, void** context, MHD_ConnectionNotificationCode code);
  static std::size_t keep_escapes(void*, MHD_Connection*, char* text) { return std::strlen(text); }

  MHD_Result take(Exchange& exchange, const char* method, const char* version);
  MHD_Result ask(Exchange& exchange);
  MHD_Result respond(Exchange& exchange, const HttpAnswer& answer, bool is_last);
  void give(Exchange& exchange, HttpAnswer answer);
  void make(const std::shared_ptr<Task>& task);
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
  HostCheck names_;
  HttpConnections connections_;
  FileDescriptor wake_fd_;
  MHD_Daemon* daemon_ = nullptr;
  int epoll_fd_ = -1;
  std::uint16_t port_ = 0;
  std::set<Exchange*> suspended_;
  std::mutex done_mutex_;
  std::deque<std::shared_ptr<Task>> done_;
  std::atomic<bool> is_stopping_ = false;
  std::atomic<std::uint64_t> answered_cnt_ = 0, refused_cnt_ = 0, ended_cnt_ = 0;
  std::atomic<unsigned> connection_cnt_ = 0;
  WorkerThreads answering_;
  std::thread thread_;
};

Result<void> HttpServer::Running::start() {
  auto listening = listen_on(options_.listen);
  if (!listening) return listening.error();
  port_ = listening->port;
  wake_fd_ = FileDescriptor(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!wake_fd_.ok()) return Error{"serve on", options_.listen.text, errno_text(errno), ""};
  // Without a thread of its own: then all its work, and all of ours on its connections, is done on one thread.
  const unsigned flags = MHD_USE_EPOLL | MHD_USE_SUSPEND_RESUME;
  errno = 0;
  daemon_ = MHD_start_daemon(flags, 0, nullptr, nullptr, &on_request, this,                                       //
                             MHD_OPTION_LISTEN_SOCKET, listening->fd.get(),                                       //
                             MHD_OPTION_CONNECTION_LIMIT, options_.limits.connections + accept_margin,            //
                             MHD_OPTION_CONNECTION_MEMORY_LIMIT, bytes_per_connection,                            //
                             MHD_OPTION_CONNECTION_TIMEOUT, 0U,                                                   //
                             MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK, &keep_escapes, this,  //
                             MHD_OPTION_URI_LOG_CALLBACK, &on_request_line, this, MHD_OPTION_NOTIFY_COMPLETED, &on_request_end,
                             this, MHD_OPTION_NOTIFY_CONNECTION, &on_connection, this, MHD_OPTION_END);
  if (daemon_ == nullptr)
    return Error{"serve on", options_.listen.text, errno != 0 ? errno_text(errno) : "libmicrohttpd does not start", ""};
  listening->fd.release();  // the daemon closes it
  epoll_fd_ = MHD_get_daemon_info(daemon_, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
  thread_ = start_quiet_thread([this] { run(); });
  return {};
}

void HttpServer::Running::stop() {
  is_stopping_ = true;
  if (wake_fd_.ok()) wake();
  answering_.stop();
  if (thread_.joinable()) thread_.join();
  if (daemon_ != nullptr) MHD_stop_daemon(daemon_);  // whose thread could not be started
  daemon_ = nullptr;
}

void HttpServer::Running::wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = write(wake_fd_.get(), &one, sizeof one);
}

void HttpServer::Running::run() {
  while (!is_stopping_) {
    // Nobody waits for anything where there is no connection.
    int timeout_ms = connections_.empty() ? -1 : sweep_ms;
    MHD_UNSIGNED_LONG_LONG wanted_ms = 0;
    if (MHD_get_timeout(daemon_, &wanted_ms) == MHD_YES && (timeout_ms < 0 || wanted_ms < static_cast<unsigned>(timeout_ms)))
      timeout_ms = static_cast<int>(std::min<MHD_UNSIGNED_LONG_LONG>(wanted_ms, sweep_ms));
    pollfd fds[] = {{epoll_fd_, POLLIN, 0}, {wake_fd_.get(), POLLIN, 0}};
    poll(fds, 2, timeout_ms);
    std::uint64_t ignored;
    [[maybe_unused]] const auto size = read(wake_fd_.get(), &ignored, sizeof ignored);
    take_done();
    MHD_run(daemon_);
    expire(Clock::now());
    keep_counts();
  }
  // MHD ends no connection that is suspended.
  for (Exchange* exchange : suspended_) MHD_resume_connection(exchange->connection);
  suspended_.clear();
  MHD_stop_daemon(daemon_);
  daemon_ = nullptr;
  keep_counts();
}

void HttpServer::Running::keep_counts() {
  ended_cnt_ = connections_.ended_cnt();
  connection_cnt_ = connections_.count();
}

void HttpServer::Running::on_connection(void* cls, MHD_Connection* connection, void** context,
                                        MHD_ConnectionNotificationCode code) {
  auto* self = static_cast<Running*>(cls);
  if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
    if (*context != nullptr) self->connections_.remove(static_cast<Connection*>(*context));
    *context = nullptr;
    return;
  }
  const auto* address = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
  const int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
  *context = self->connections_.add(fd, network_text(address), Clock::now());
}

void* HttpServer::Running::on_request_line(void*, const char* uri, MHD_Connection* connection) {
  auto* exchange = new Exchange;
  exchange->connection = connection;
  exchange->uri = uri;
  return exchange;
}

void HttpServer::Running::on_request_end(void* cls, MHD_Connection* connection, void** context, MHD_RequestTerminationCode) {
  auto* self = static_cast<Running*>(cls);
  if (Connection* of = connection_of(connection)) self->connections_.request_has_ended(of, Clock::now());
  auto* exchange = static_cast<Exchange*>(*context);
  *context = nullptr;
  if (exchange == nullptr) return;
  if (exchange->task) exchange->task->exchange = nullptr;
  self->suspended_.erase(exchange);
  delete exchange;
}

MHD_Result HttpServer::Running::on_request(void* cls, MHD_Connection*, const char*, const char* method, const char* version,
                                           const char*, std::size_t* body_size, void** context) {
  auto* self = static_cast<Running*>(cls);
  auto* exchange = static_cast<Exchange*>(*context);
  if (exchange == nullptr || self->is_stopping_) return MHD_NO;
  if (*body_size != 0) {  // of a request that is refused
    *body_size = 0;
    return MHD_YES;
  }
  try {
    if (!exchange->has_headers) return self->take(*exchange, method, version);
    if (exchange->answer) return self->respond(*exchange, *exchange->answer, false);
    return self->ask(*exchange);
  } catch (const std::exception&) {  // no memory
    return MHD_NO;
  }
}

// The headers are there. A response that is queued now is the last of its connection: MHD does not read on.
MHD_Result HttpServer::Running::take(Exchange& exchange, const char* method, const char* version) {
  exchange.has_headers = true;
  if (Connection* of = connection_of(exchange.connection)) connections_.request_has_come(of, Clock::now());
  exchange.headers = headers_of(exchange.connection);
  const auto refused = refusal(method, version, exchange.headers, &names_);
  if (!refused) return MHD_YES;
  refused_cnt_++;
  return respond(exchange, *refused, true);
}

MHD_Result HttpServer::Running::ask(Exchange& exchange) {
  auto task = std::make_shared<Task>();
  const std::string& uri = exchange.uri;
  const auto question = uri.find('?');
  task->request.path = uri.substr(0, question);
  if (question != uri.npos) task->request.query = uri.substr(question + 1);
  task->request.accept = exchange.headers.accept;
  task->request.peer =
      address_text(MHD_get_connection_info(exchange.connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr);
  task->as_gzip = accepts_gzip(exchange.headers.accept_encoding);
  task->exchange = &exchange;
  exchange.task = task;
  exchange.asked = Clock::now();
  suspended_.insert(&exchange);
  MHD_suspend_connection(exchange.connection);
  answering_.post(task->request.path, [this, task] { make(task); });
  return MHD_YES;
}

// On a worker.
void HttpServer::Running::make(const std::shared_ptr<Task>& task) {
  if (task->is_expired) return;
  try {
    task->answer = content_.answer(task->request);
    if (task->as_gzip && is_worth_gzip(task->answer)) task->answer.body->gzipped();
    answered_cnt_++;
  } catch (const std::exception&) {
    task->answer = text_answer(500, "The answer could not be made.\n");
  }
  {
    const std::lock_guard lock(done_mutex_);
    done_.push_back(task);
  }
  wake();
}

void HttpServer::Running::take_done() {
  std::deque<std::shared_ptr<Task>> done;
  {
    const std::lock_guard lock(done_mutex_);
    done.swap(done_);
  }
  for (const auto& task : done)
    if (task->exchange != nullptr) give(*task->exchange, std::move(task->answer));
}

void HttpServer::Running::give(Exchange& exchange, HttpAnswer answer) {
  exchange.answer = std::move(answer);
  exchange.task->exchange = nullptr;
  suspended_.erase(&exchange);
  MHD_resume_connection(exchange.connection);
}

MHD_Result HttpServer::Running::respond(Exchange& exchange, const HttpAnswer& answer, bool is_last) {
  const bool as_gzip = exchange.task != nullptr && exchange.task->as_gzip;
  if (Connection* of = connection_of(exchange.connection); of != nullptr && answer.body != nullptr)
    connections_.answer_is_sent_from(of, answer.body.get(), answer.body->plain().size());
  return send_answer(exchange.connection, answer, as_gzip, is_last);
}

void HttpServer::Running::expire(Clock::time_point now) {
  connections_.end_expired(now);
  std::vector<Exchange*> late;
  for (Exchange* exchange : suspended_)
    if (now - exchange->asked > options_.turn) late.push_back(exchange);
  for (Exchange* exchange : late) {
    exchange->task->is_expired = true;
    HttpAnswer busy = text_answer(503, "Other requests took too long. Try again.\n");
    busy.headers.emplace_back("Retry-After", "5");
    refused_cnt_++;
    give(*exchange, std::move(busy));
  }
  if (!late.empty()) wake();  // they go on in the next round
}

HttpServer::HttpServer(std::unique_ptr<Running> running) : running_(std::move(running)) {}
HttpServer::HttpServer(HttpServer&&) noexcept = default;
HttpServer& HttpServer::operator=(HttpServer&&) noexcept = default;
HttpServer::~HttpServer() = default;

Result<HttpServer> HttpServer::start(HttpServerOptions options, HttpContent& content) {
  const std::string address = options.listen.text;
  try {
    auto running = std::make_unique<Running>(std::move(options), content);
    if (const auto started = running->start(); !started) return started.error();
    return HttpServer(std::move(running));
  } catch (const std::exception& no_thread) {
    return Error{"serve on", address, no_thread.what(), ""};
  }
}

std::uint16_t HttpServer::port() const { return running_->port(); }
HttpServerCounts HttpServer::counts() const { return running_->counts(); }
void HttpServer::stop() { running_->stop(); }

}  // namespace waitprobe
