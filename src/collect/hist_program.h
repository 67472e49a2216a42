// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "bpf/abi.h"
#include "src/model/result.h"
#include "src/model/snapshot.h"

struct bpf_program;
struct hist_bpf;
struct ring_buffer;

namespace waitprobe {

// The BPF programs of bpf/hist.bpf.c, loaded, and their maps. Attached to no probe yet: class Attachments does that.
//
// Threads: one at a time.
class HistProgram {
 public:
  // Loads the programs and starts to follow processes as `config` says. Errors: a right or a kernel feature is missing.
  static Result<HistProgram> load(const wp_config& config);

  const bpf_program* on_wait_stop() const;

  // REQUIRES: config.filter_targets.
  Result<void> add_target(std::uint32_t pid);
  bool is_target(std::uint32_t pid) const;

  // Readable when a program has started; then on_exec is to be called, which hands over the processes.
  int execs_fd() const;
  void take_execs(const std::function<void(std::uint32_t pid)>& started);

  // The running totals, as they are at this moment.
  std::vector<Series> series() const;
  Losses losses() const;

 private:
  struct DestroySkeleton {
    void operator()(hist_bpf* skeleton) const;
  };
  struct FreeRing {
    void operator()(ring_buffer* ring) const;
  };
  struct Unmap {
    std::size_t bytes;
    void operator()(const void* memory) const;
  };
  template <class T>
  using MappedArray = std::unique_ptr<const T[], Unmap>;

  template <class T>
  static Result<MappedArray<T>> map_array(int fd);
  static int on_exec_record(void* started, void* data, std::size_t size);

  std::unique_ptr<hist_bpf, DestroySkeleton> skeleton_;
  std::unique_ptr<ring_buffer, FreeRing> execs_;
  // Where take_execs() hands over; owned, so that its address survives a move.
  std::unique_ptr<std::function<void(std::uint32_t)>> started_ = std::make_unique<std::function<void(std::uint32_t)>>();
  MappedArray<wp_hist> hists_;
  MappedArray<wp_series_info> infos_;
};

}  // namespace waitprobe
