// SPDX-License-Identifier: MIT
//
// What the kernel tells of files that processes map to run, and of programs that they start, as it happens: on the whole
// machine, and also of processes that have ended by the time they are heard of.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "src/collect/file_descriptor.h"
#include "src/collect/process.h"
#include "src/model/result.h"

struct perf_buffer;
struct perf_event_header;

namespace waitprobe {

struct MapEvent {
  enum class Kind { file, program };  // a file was mapped; exec has given the process another memory
  Kind kind = Kind::file;
  std::uint32_t pid = 0;
  std::uint64_t time_ns = 0;  // CLOCK_MONOTONIC
  Mapping mapping;            // of a file
  std::string comm;           // of a program; any bytes
};

// Threads: one at a time. Costs whoever maps a file to run it, and nobody else; docs/design.md says how much was seen.
class MapEvents {
 public:
  // Errors: the kernel's.
  static Result<MapEvents> open();

  // Readable when there is something to take.
  int fd() const;

  // What has happened since the last call, in the order of time.
  std::vector<MapEvent> take();

  // How many were lost for want of room.
  std::uint64_t lost_cnt() const;
  // False when there is a CPU that came, or was away, since open(): what happens there is not told.
  bool hears_all() const;

 private:
  struct Free {
    void operator()(perf_buffer* buffer) const;
  };

  static void on_record(std::vector<MapEvent>& events, const perf_event_header* record);

  // Owned, so that its address survives a move.
  std::unique_ptr<std::vector<MapEvent>> read_ = std::make_unique<std::vector<MapEvent>>();
  FileDescriptor map_;  // libbpf uses it until the buffer is freed
  std::unique_ptr<perf_buffer, Free> buffer_;
};

}  // namespace waitprobe
