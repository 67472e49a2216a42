// SPDX-License-Identifier: MIT
//
// What processes do that the tool has to follow, as the kernel tells it while it happens, also of those that have ended by the
// time it is read: perf_event_open with a file descriptor for each CPU.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "src/collect/machine/file_descriptor.h"
#include "src/collect/process/process.h"
#include "src/model/result.h"

struct perf_buffer;
struct perf_event_header;

namespace waitprobe {

struct ProcessEvent {
  enum class Kind {
    file,     // a file was mapped so that it may be executed
    program,  // exec has given the process another memory, and a name
    name,     // it has given itself a name
    fork,     // it has begun, as a copy of its parent
    end,      // one of its threads has ended, perhaps the last
  };
  Kind kind = Kind::file;
  std::uint32_t pid = 0;
  std::uint64_t time_ns = 0;     // CLOCK_MONOTONIC
  Mapping mapping;               // of a file
  std::string comm;              // of a program and of a name; any bytes
  std::uint32_t parent_pid = 0;  // of a fork
};

// Threads: one at a time. Costs whoever maps a file to run it, and makes and ends threads; docs/design.md says how much was
// seen.
class ProcessEvents {
 public:
  // Errors: the kernel's.
  static Result<ProcessEvents> open();

  // Readable when there is something to take; -1 while it is too early to look again, since nothing but threads has come.
  int fd() const;
  // When take() is to be called at the latest, whatever fd() says (nanoseconds of CLOCK_MONOTONIC).
  std::uint64_t next_ns() const { return next_ns_; }

  // What has happened since the last call, in the order of time, whichever CPU it was on.
  std::vector<ProcessEvent> take();

  // Whether more were lost for want of room since it was asked last, or there is a CPU that came, or was away, since open():
  // what happens there is not told.
  bool missed_any();

 private:
  struct Free {
    void operator()(perf_buffer* buffer) const;
  };

  // What has been read from the rings and not been taken.
  struct Read {
    std::vector<ProcessEvent> events;
    bool has_any = false;
    bool only_threads = true;
  };

  static void on_record(Read& read, const perf_event_header* header);

  // Owned, so that its address survives a move.
  std::unique_ptr<Read> read_ = std::make_unique<Read>();
  FileDescriptor map_;  // libbpf uses it until the buffer is freed
  std::unique_ptr<perf_buffer, Free> buffer_;
  std::uint64_t next_ns_ = UINT64_MAX;
  bool is_quiet_ = false;  // until then
  std::uint64_t lost_cnt_ = 0;
};

}  // namespace waitprobe
