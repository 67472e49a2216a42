// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <list>
#include <map>
#include <string>

namespace waitprobe {

struct HttpConnectionLimits {
  unsigned connections = 256;                       // each takes up to 16 KiB, and with TLS some 40 KiB more
  std::size_t unsent_bytes = 32 << 20;              // of bodies that slow clients keep in memory; a shared one counts once
  std::chrono::milliseconds first_request{10'000};  // from the connection, with the TLS handshake, to the end of the headers
  std::chrono::milliseconds next_request{75'000};   // from the end of an answer to the end of the next headers
  std::chrono::milliseconds answer{60'000};         // from the end of the headers until the answer is sent
  std::chrono::milliseconds before_looked_at{200};  // whether its client has gone without having sent a whole request
};

// The open connections of a server, none of which can hold up the others for long. One that exceeds its time is ended. Where
// there are too many, one ends: of the network that has most and the state that most of those are in, the one that has been in
// it for longest. Not thread-safe: all calls, and closing the sockets, are of one thread. To end a connection is to shut its
// socket down, which its owner finds out.
class HttpConnections {
 public:
  using Clock = std::chrono::steady_clock;
  struct Connection;

  explicit HttpConnections(const HttpConnectionLimits& limits) : limits_(limits) {}

  // `network` is what is limited as one client: an IPv4 address, or the first half of an IPv6 address.
  Connection* add(int fd, std::string network, Clock::time_point now);
  void remove(Connection* connection);
  void request_has_come(Connection* connection, Clock::time_point now);
  // `body` says which bodies are the same.
  void answer_is_sent_from(Connection* connection, const void* body, std::size_t bytes, Clock::time_point now);
  void request_has_ended(Connection* connection, Clock::time_point now);

  void end_expired(Clock::time_point now);
  bool is_any_sending() const;
  bool empty() const { return connections_.empty(); }
  unsigned count() const { return live_cnt_; }
  std::size_t unsent_bytes() const { return unsent_bytes_; }
  unsigned long ended_cnt() const { return ended_cnt_; }

 private:
  void end(Connection& connection);
  void evict(const Connection& newcomer);
  void free_body(Connection& connection);

  struct Body {
    unsigned user_cnt = 0;
    std::size_t bytes = 0;
  };
  HttpConnectionLimits limits_;
  std::list<Connection> connections_;
  std::map<std::string, unsigned> cnt_of_network_;  // of those that are not ended
  std::map<const void*, Body> bodies_;
  std::size_t unsent_bytes_ = 0;
  unsigned live_cnt_ = 0;
  unsigned long ended_cnt_ = 0;
};

struct HttpConnections::Connection {
  int fd = -1;
  std::string network;
  enum class State { connected, asked, sending, idle } state = State::connected;
  Clock::time_point since;  // when it last did something
  bool is_ended = false;
  const void* body = nullptr;
  std::list<Connection>::iterator self;
};

}  // namespace waitprobe
