// SPDX-License-Identifier: MIT
#include "src/serve/http_connections.h"

#include <sys/socket.h>

#include <tuple>

namespace waitprobe {

using State = HttpConnections::Connection::State;

HttpConnections::Connection* HttpConnections::add(int fd, std::string network, Clock::time_point now) {
  connections_.emplace_back();
  Connection& added = connections_.back();
  added.fd = fd;
  added.network = std::move(network);
  added.since = now;
  added.self = std::prev(connections_.end());
  live_cnt_++;
  cnt_of_network_[added.network]++;
  if (live_cnt_ > limits_.connections) evict(added, now);
  return &added;
}

void HttpConnections::remove(Connection* connection) {
  if (!connection->is_ended) {
    free_body(*connection);
    live_cnt_--;
    if (--cnt_of_network_[connection->network] == 0) cnt_of_network_.erase(connection->network);
  }
  connections_.erase(connection->self);
}

void HttpConnections::end(Connection& connection) {
  if (connection.is_ended) return;
  shutdown(connection.fd, SHUT_RDWR);
  free_body(connection);
  connection.is_ended = true;
  live_cnt_--;
  ended_cnt_++;
  if (--cnt_of_network_[connection.network] == 0) cnt_of_network_.erase(connection.network);
}

void HttpConnections::evict(Connection& newcomer, Clock::time_point now) {
  Connection* victim = nullptr;
  const auto worth = [this](const Connection& one) {
    return std::make_tuple(-static_cast<int>(cnt_of_network_[one.network]), one.state == State::busy, one.since);
  };
  for (Connection& one : connections_)
    if (!one.is_ended && (victim == nullptr || worth(one) < worth(*victim))) victim = &one;
  // A flood of requests that are being answered is turned away, rather than answered to nobody.
  const bool is_at_work = victim->state == State::busy && now - victim->since < limits_.busy_before_evicted;
  end(is_at_work ? newcomer : *victim);
}

void HttpConnections::request_has_come(Connection* connection, Clock::time_point now) {
  connection->state = State::busy;
  connection->since = now;
}

void HttpConnections::answer_is_sent_from(Connection* connection, const void* body, std::size_t bytes) {
  if (connection->is_ended || body == nullptr) return;
  free_body(*connection);
  connection->body = body;
  Body& kept = bodies_[body];
  if (kept.user_cnt++ == 0) unsent_bytes_ += kept.bytes = bytes;
  while (unsent_bytes_ > limits_.unsent_bytes) {
    Connection* slowest = nullptr;
    for (Connection& one : connections_)
      if (one.body != nullptr && &one != connection && (slowest == nullptr || one.since < slowest->since)) slowest = &one;
    if (slowest == nullptr) break;  // one alone may be large
    end(*slowest);
  }
}

void HttpConnections::free_body(Connection& connection) {
  if (connection.body == nullptr) return;
  const auto kept = bodies_.find(connection.body);
  connection.body = nullptr;
  if (--kept->second.user_cnt > 0) return;
  unsent_bytes_ -= kept->second.bytes;
  bodies_.erase(kept);
}

void HttpConnections::request_has_ended(Connection* connection, Clock::time_point now) {
  free_body(*connection);
  connection->state = State::idle;
  connection->since = now;
}

void HttpConnections::end_expired(Clock::time_point now) {
  for (Connection& one : connections_) {
    const auto most = one.state == State::connected ? limits_.first_request
                      : one.state == State::busy    ? limits_.answer
                                                    : limits_.next_request;
    if (!one.is_ended && now - one.since > most) end(one);
  }
}

}  // namespace waitprobe
