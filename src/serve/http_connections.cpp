// SPDX-License-Identifier: MIT
#include "src/serve/http_connections.h"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

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
  if (live_cnt_ > limits_.connections) evict(added);
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

void HttpConnections::evict(const Connection& newcomer) {
  // Whoever attacks has many connections in one state. A good client is in another, or not for long in the same.
  const auto group = [](const Connection& one) {
    return std::make_pair(one.network, one.state == State::idle ? State::connected : one.state);
  };
  std::map<std::pair<std::string, State>, unsigned> cnt_of_group;
  std::string largest_network = newcomer.network;
  for (const auto& [network, cnt] : cnt_of_network_)
    if (cnt > cnt_of_network_[largest_network]) largest_network = network;
  for (const Connection& one : connections_)
    if (!one.is_ended && one.network == largest_network && &one != &newcomer) cnt_of_group[group(one)]++;
  Connection* victim = nullptr;
  for (Connection& one : connections_) {
    if (one.is_ended || one.network != largest_network || &one == &newcomer) continue;
    const auto worth = [&](const Connection& it) {
      return std::make_pair(-static_cast<int>(cnt_of_group[group(it)]), it.since);
    };
    if (victim == nullptr || worth(one) < worth(*victim)) victim = &one;
  }
  if (victim != nullptr) end(*victim);
}

void HttpConnections::request_has_come(Connection* connection, Clock::time_point now) {
  connection->state = State::asked;
  connection->since = now;
}

void HttpConnections::answer_is_sent_from(Connection* connection, const void* body, std::size_t bytes, Clock::time_point now) {
  connection->state = State::sending;
  connection->since = now;
  if (connection->is_ended || body == nullptr) return;
  free_body(*connection);
  connection->body = body;
  Body& kept = bodies_[body];
  if (kept.user_cnt++ == 0) unsent_bytes_ += kept.bytes = bytes;
  while (unsent_bytes_ > limits_.unsent_bytes) {
    // The one that frees most, and of several the slowest.
    const auto worth = [this](const Connection& one) {
      const Body& of = bodies_.at(one.body);
      return std::make_pair(of.bytes / of.user_cnt, -one.since.time_since_epoch());
    };
    Connection* slowest = nullptr;
    for (Connection& one : connections_)
      if (one.body != nullptr && &one != connection && (slowest == nullptr || worth(*slowest) < worth(one))) slowest = &one;
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

bool HttpConnections::is_any_sending() const {
  return std::any_of(connections_.begin(), connections_.end(),
                     [](const Connection& one) { return one.state == State::sending; });
}

void HttpConnections::end_expired(Clock::time_point now) {
  for (Connection& one : connections_) {
    const auto most = one.state == State::connected ? limits_.first_request
                      : one.state == State::idle    ? limits_.next_request
                                                    : limits_.answer;
    if (one.is_ended) continue;
    // libmicrohttpd reads what is there once, and then waits for more: it may not see that there is no more.
    char ignored;
    const bool has_gone = (one.state == State::connected || one.state == State::idle) &&
                          now - one.since > limits_.before_looked_at && recv(one.fd, &ignored, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
    if (has_gone || now - one.since > most) end(one);
  }
}

}  // namespace waitprobe
