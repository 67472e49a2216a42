// SPDX-License-Identifier: MIT
#include "src/torch/key_classes.h"

namespace waitprobe {
namespace {

// `begin` and `end` of a key; a whole key has no `end`.
struct Pattern {
  std::string_view begin;
  std::string_view end;
};

constexpr std::string_view counters = "pytorch.wait_counter.";

// Behind "pytorch.wait_counter.".
constexpr Pattern work[] = {
    {"", "_compile"},  // dynamo_compile, entire_forward_compile, fx_codegen_and_compile, ...
    {"compile_", ""},  // compile_inductor, compile_triton, ...
    {"Scheduler.", ""},
    {"triton_autotuner", ""},
    {"subproc_pool.job", ""},
    {"subproc_pool.first_job", ""},
    {"", "._object_to_tensor"},  // pickling
    {"", "._tensor_to_object"},
    {"FlightRecorder__dump", ""},
    {"ProcessGroup", "__checkTimeout"},
};

// Open for as long as there is a pool of compiler processes, or while it is switched off.
constexpr Pattern idle[] = {{"subproc_pool.running", ""}, {"subproc_pool.quiesced", ""}};

// The few with other beginnings.
constexpr Pattern other_work[] = {
    {"pytorch.filelock.region", ""},
    {"pytorch.triton.benchmark", ""},
    {"pytorch.ProcessGroup", "__dumpDebuggingInfo"},
};

template <std::size_t count>
constexpr bool matches(std::string_view key, const Pattern (&patterns)[count]) noexcept {
  for (const Pattern& pattern : patterns) {
    if (key.starts_with(pattern.begin) && key.ends_with(pattern.end)) return true;
  }
  return false;
}

}  // namespace

waitprobe_class class_of_torch_key(std::string_view key) noexcept {
  if (key.starts_with(counters)) {
    const std::string_view name = key.substr(counters.size());
    if (matches(name, idle)) return WAITPROBE_CLASS_IDLE;
    return matches(name, work) ? WAITPROBE_CLASS_WORK : WAITPROBE_CLASS_WAIT;
  }
  // What 2.6 times of its compiler: all but the wait for its processes is work.
  if (key.starts_with("pytorch.dynamo_timed.")) return key.ends_with(".wait") ? WAITPROBE_CLASS_WAIT : WAITPROBE_CLASS_WORK;
  return matches(key, other_work) ? WAITPROBE_CLASS_WORK : WAITPROBE_CLASS_WAIT;
}

}  // namespace waitprobe
