// SPDX-License-Identifier: MIT
#include <algorithm>
#include <exception>

#include "src/serve/http_server_running.h"

namespace waitprobe {
namespace {

constexpr std::size_t most_unchecked_passwords = 16;  // that wait for their turn

}  // namespace

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
  auto* exchange = new HttpExchange;
  exchange->connection = connection;
  exchange->uri = uri;
  return exchange;
}

void HttpServer::Running::on_request_end(void* cls, MHD_Connection* connection, void** context, MHD_RequestTerminationCode) {
  auto* self = static_cast<Running*>(cls);
  if (Connection* of = connection_of(connection)) self->connections_.request_has_ended(of, Clock::now());
  auto* exchange = static_cast<HttpExchange*>(*context);
  *context = nullptr;
  if (exchange == nullptr) return;
  if (exchange->task) exchange->task->exchange = nullptr;
  self->suspended_.erase(exchange);
  delete exchange;
}

MHD_Result HttpServer::Running::on_request(void* cls, MHD_Connection*, const char*, const char* method, const char* version,
                                           const char*, std::size_t* body_size, void** context) {
  auto* self = static_cast<Running*>(cls);
  auto* exchange = static_cast<HttpExchange*>(*context);
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
MHD_Result HttpServer::Running::take(HttpExchange& exchange, const char* method, const char* version) {
  exchange.has_headers = true;
  if (Connection* of = connection_of(exchange.connection)) connections_.request_has_come(of, Clock::now());
  exchange.headers = headers_of(exchange.connection);
  auto refused = refusal(method, version, exchange.headers, certificate_ ? nullptr : &names_);
  if (!refused && certificate_ && !certificate_->client_authorities().empty()) {
    const MHD_ConnectionInfo* session = MHD_get_connection_info(exchange.connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    if (session == nullptr || !has_client_certificate(static_cast<gnutls_session_t>(session->tls_session)))
      refused = text_answer(403, "A certificate of the client is required.\n");
  }
  if (!refused) return MHD_YES;
  refused_cnt_++;
  return respond(exchange, *refused, true);
}

MHD_Result HttpServer::Running::ask(HttpExchange& exchange) {
  auto task = std::make_shared<HttpTask>();
  const std::string& uri = exchange.uri;
  const auto question = uri.find('?');
  const auto* address = MHD_get_connection_info(exchange.connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
  task->request.path = uri.substr(0, question);
  if (question != uri.npos) task->request.query = uri.substr(question + 1);
  task->request.accept = exchange.headers.accept;
  task->request.peer = address_text(address);
  task->request.came_ns = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count());
  task->network = network_text(address);
  task->as_gzip = accepts_gzip(exchange.headers.accept_encoding);
  exchange.task = task;
  if (passwords_.are_needed()) return authenticate(exchange);
  answering_.post(task->request.path, [this, task] { make(task); });
  return suspend(exchange);
}

MHD_Result HttpServer::Running::authenticate(HttpExchange& exchange) {
  const std::shared_ptr<HttpTask> task = exchange.task;
  char* password = nullptr;
  char* user = MHD_basic_auth_get_username_password(exchange.connection, &password);
  if (user != nullptr) task->request.user = user;
  if (password != nullptr) task->password = password;
  const bool has_both = user != nullptr && password != nullptr;
  MHD_free(user);
  MHD_free(password);
  const auto refuse = [&](const HttpAnswer& answer) {
    refused_cnt_++;
    return respond(exchange, answer, false);
  };
  if (!has_both) return refuse(unauthorized());
  switch (passwords_.look_up(task->request.user, task->password, task->network, Clock::now())) {
    case Passwords::Known::right:
      answering_.post(task->request.path, [this, task] { make(task); });
      return suspend(exchange);
    case Passwords::Known::must_be_checked:
      if (checking_.waiting() >= most_unchecked_passwords)
        return refuse(try_later(429, 1, "Too many passwords wait for a check."));
      checking_.post("", [this, task] { check(task); });
      return suspend(exchange);
    case Passwords::Known::too_many_wrong:
      break;
  }
  return refuse(try_later(429, 30, "Too many wrong passwords."));
}

MHD_Result HttpServer::Running::suspend(HttpExchange& exchange) {
  exchange.task->exchange = &exchange;
  exchange.asked = Clock::now();
  suspended_.insert(&exchange);
  MHD_suspend_connection(exchange.connection);
  return MHD_YES;
}

// On the thread for passwords.
void HttpServer::Running::check(const std::shared_ptr<HttpTask>& task) {
  if (task->is_expired) return;
  bool is_right = false;
  try {
    is_right = passwords_.check(task->request.user, task->password, task->network);
  } catch (const std::exception&) {  // no memory
  }
  std::fill(task->password.begin(), task->password.end(), '\0');
  if (is_right) return answering_.post(task->request.path, [this, task] { make(task); });
  task->is_refused = true;
  task->answer = unauthorized();
  hand_back(task);
}

// On a worker.
void HttpServer::Running::make(const std::shared_ptr<HttpTask>& task) {
  if (task->is_expired) return;
  try {
    task->answer = content_.answer(task->request);
    if (task->as_gzip && is_worth_gzip(task->answer)) task->answer.body->gzipped();
    answered_cnt_++;
  } catch (const std::exception&) {
    task->answer = text_answer(500, "The answer could not be made.\n");
  }
  hand_back(task);
}

void HttpServer::Running::hand_back(const std::shared_ptr<HttpTask>& task) {
  {
    const std::lock_guard lock(done_mutex_);
    done_.push_back(task);
  }
  wake();
}

void HttpServer::Running::take_done() {
  std::deque<std::shared_ptr<HttpTask>> done;
  {
    const std::lock_guard lock(done_mutex_);
    done.swap(done_);
  }
  for (const auto& task : done) {
    if (task->exchange == nullptr) continue;
    if (task->is_refused) refused_cnt_++;
    give(*task->exchange, std::move(task->answer));
  }
}

void HttpServer::Running::give(HttpExchange& exchange, HttpAnswer answer) {
  exchange.answer = std::move(answer);
  exchange.task->exchange = nullptr;
  suspended_.erase(&exchange);
  MHD_resume_connection(exchange.connection);
}

MHD_Result HttpServer::Running::respond(HttpExchange& exchange, const HttpAnswer& answer, bool is_last) {
  const bool as_gzip = exchange.task != nullptr && exchange.task->as_gzip;
  if (Connection* of = connection_of(exchange.connection); of != nullptr && answer.body != nullptr)
    connections_.answer_is_sent_from(of, answer.body.get(), answer.body->plain().size(), Clock::now());
  return send_answer(exchange.connection, answer, as_gzip, is_last);
}

void HttpServer::Running::expire(Clock::time_point now) {
  connections_.end_expired(now);
  std::vector<HttpExchange*> late;
  for (HttpExchange* exchange : suspended_) {
    const Connection* of = connection_of(exchange->connection);
    if ((of != nullptr && of->is_ended) || now - exchange->asked > options_.turn) late.push_back(exchange);
  }
  for (HttpExchange* exchange : late) {
    exchange->task->is_expired = true;  // nobody makes it any more
    refused_cnt_++;
    give(*exchange, try_later(503, 5, "Other requests took too long."));
  }
  if (!late.empty()) wake();  // they go on in the next round
}

}  // namespace waitprobe
