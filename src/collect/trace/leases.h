// SPDX-License-Identifier: MIT
//
// The tool's end of a pool of places in the kernel, of which BPF programs take, and which it gives back (bpf/leases.h).
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cstdint>
#include <memory>
#include <set>

#include "bpf/tool_abi.h"
#include "src/collect/machine/file_descriptor.h"
#include "src/model/result.h"

namespace waitprobe {

// Threads: one at a time. Lifetime: the map and `shared` must outlive it.
class Leases {
 public:
  Leases() = default;

  // All places of the map are free. Errors: its memory cannot be mapped. REQUIRES: no program that takes runs yet.
  static Result<Leases> open(const bpf_map* ring, wp_leases& shared);

  // The places that have been taken, and not given back.
  const std::set<std::uint32_t>& used();

  std::uint32_t size() const { return size_; }
  std::uint32_t free_cnt() const;

  // Whether so many are used that some are to be given back: a quarter, or, since wait_for_more() was called, a quarter of those
  // that were free then. The tool is woken (bpf/abi.h, struct wp_discovery).
  bool is_crowded() const { return size_ - free_cnt() >= crowded_; }
  void wait_for_more();

  // REQUIRES: it is in used(), and nobody can still use it.
  void give_back(std::uint32_t place);

 private:
  struct Unmap {
    std::size_t bytes;
    void operator()(std::uint32_t* ring) const;
  };

  std::unique_ptr<std::uint32_t[], Unmap> ring_;
  wp_leases* shared_ = nullptr;
  std::uint32_t size_ = 0;
  std::uint32_t crowded_ = 0;
  std::uint64_t seen_ = 0;   // places that were ever taken, and are known to be
  std::uint64_t given_ = 0;  // ever, those at the start included
  std::set<std::uint32_t> used_;
};

// Whether the entry of this key leads to this place. Where none does, a program may still be at work that has just taken it.
template <class Key>
bool leads_to(const bpf_map* entries, const Key& key, std::uint32_t place) {
  std::uint32_t known = 0;
  return bpf_map_lookup_elem(bpf_map__fd(entries), &key, &known) == 0 && known == place;
}

// Waits for BPF programs.
class RunningPrograms {
 public:
  RunningPrograms() = default;
  // Errors: the kernel's.
  static Result<RunningPrograms> open();

  // Returns when all programs have ended that were running when it was called, on whatever CPU. Takes some milliseconds to some
  // tens of them.
  void wait() const;

 private:
  FileDescriptor outer_;
  FileDescriptor inner_;
};

}  // namespace waitprobe
