// SPDX-License-Identifier: MIT
#include "src/serve/http_server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include <algorithm>
#include <exception>

#include "src/serve/http_server_running.h"

namespace waitprobe {
namespace {

constexpr std::size_t bytes_per_connection = 16 * 1024;  // request line, headers, and the response's headers
constexpr unsigned accept_margin = 64;                   // connections that are ended and not closed yet
constexpr int sweep_ms = 500;

}  // namespace

Result<void> HttpServer::Running::start() {
  if (options_.web.tls) {
    auto certificate = TlsCertificate::read(*options_.web.tls);
    if (!certificate) return certificate.error();
    certificate_ = std::move(*certificate);
  }
  auto listening = listen_on(options_.listen);
  if (!listening) return listening.error();
  port_ = listening->port;
  wake_fd_ = FileDescriptor(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!wake_fd_.ok()) return Error{"serve on", options_.listen.text, errno_text(errno), ""};
  // Without a thread of its own: then all its work, and all of ours on its connections, is done on one thread.
  unsigned flags = MHD_USE_EPOLL | MHD_USE_SUSPEND_RESUME;
  std::vector<MHD_OptionItem> tls;
  if (certificate_) {
    flags |= MHD_USE_TLS;
    tls.push_back({MHD_OPTION_HTTPS_CERT_CALLBACK2, 0, reinterpret_cast<void*>(&TlsCertificate::retrieve)});
    tls.push_back({MHD_OPTION_HTTPS_PRIORITIES, 0, const_cast<char*>(certificate_->priorities())});
    if (!certificate_->client_authorities().empty())
      tls.push_back({MHD_OPTION_HTTPS_MEM_TRUST, 0, const_cast<char*>(certificate_->client_authorities().c_str())});
  }
  tls.push_back({MHD_OPTION_END, 0, nullptr});
  errno = 0;
  daemon_ = MHD_start_daemon(flags, 0, nullptr, nullptr, &on_request, this,                                       //
                             MHD_OPTION_LISTEN_SOCKET, listening->fd.get(),                                       //
                             MHD_OPTION_CONNECTION_LIMIT, options_.limits.connections + accept_margin,            //
                             MHD_OPTION_CONNECTION_MEMORY_LIMIT, bytes_per_connection,                            //
                             MHD_OPTION_CONNECTION_TIMEOUT, 0U,                                                   //
                             MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK, &keep_escapes, this,  //
                             MHD_OPTION_URI_LOG_CALLBACK, &on_request_line, this,                                 //
                             MHD_OPTION_NOTIFY_COMPLETED, &on_request_end, this,                                  //
                             MHD_OPTION_NOTIFY_CONNECTION, &on_connection, this,                                  //
                             MHD_OPTION_ARRAY, tls.data(), MHD_OPTION_END);
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
  checking_.stop();
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
  TlsCertificate::use_on_this_thread(certificate_.get());
  unsigned rounds_without_events = 0;
  while (!is_stopping_) {
    // Nobody waits for anything where there is no connection.
    int timeout_ms = connections_.empty() ? -1 : sweep_ms;
    MHD_UNSIGNED_LONG_LONG wanted_ms = 0;
    if (MHD_get_timeout(daemon_, &wanted_ms) == MHD_YES && (timeout_ms < 0 || wanted_ms < static_cast<unsigned>(timeout_ms)))
      timeout_ms = static_cast<int>(std::min<MHD_UNSIGNED_LONG_LONG>(wanted_ms, sweep_ms));
    // While a TLS handshake waits for its client, libmicrohttpd always says that it has something to do. Events end the wait.
    if (timeout_ms == 0 && certificate_ && rounds_without_events > 2) timeout_ms = connections_.is_any_sending() ? 1 : 10;
    pollfd fds[] = {{epoll_fd_, POLLIN, 0}, {wake_fd_.get(), POLLIN, 0}};
    rounds_without_events = poll(fds, 2, timeout_ms) == 0 ? rounds_without_events + 1 : 0;
    std::uint64_t ignored;
    [[maybe_unused]] const auto size = read(wake_fd_.get(), &ignored, sizeof ignored);
    take_done();
    MHD_run(daemon_);
    expire(Clock::now());
    keep_counts();
  }
  // MHD ends no connection that is suspended.
  for (HttpExchange* exchange : suspended_) MHD_resume_connection(exchange->connection);
  suspended_.clear();
  MHD_stop_daemon(daemon_);
  daemon_ = nullptr;
  keep_counts();
}

void HttpServer::Running::keep_counts() {
  ended_cnt_ = connections_.ended_cnt();
  connection_cnt_ = connections_.count();
}

HttpServer::HttpServer(std::unique_ptr<Running> running) : running_(std::move(running)) {}
HttpServer::HttpServer(HttpServer&&) noexcept = default;
HttpServer& HttpServer::operator=(HttpServer&&) noexcept = default;
HttpServer::~HttpServer() = default;

Result<HttpServer> HttpServer::start(HttpServerOptions options, HttpContent& content) {
  // Without a free file descriptor, libmicrohttpd accepts nobody, and nobody is ended to make room.
  rlimit files = {};
  unsigned& most = options.limits.connections = std::max(1U, options.limits.connections);
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) most = static_cast<unsigned>(std::clamp<rlim_t>(files.rlim_cur / 4, 1, most));
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
void HttpServer::replace_users(std::map<std::string, std::string> users) { running_->replace_users(std::move(users)); }
void HttpServer::stop() { running_->stop(); }

}  // namespace waitprobe
