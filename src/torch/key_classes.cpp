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

// Those of string_view are made of substr(), which may throw: without inlining they need libstdc++.
constexpr bool begins(std::string_view text, std::string_view with) noexcept {
  return text.size() >= with.size() && std::char_traits<char>::compare(text.data(), with.data(), with.size()) == 0;
}

constexpr bool ends(std::string_view text, std::string_view with) noexcept {
  return text.size() >= with.size() && begins({text.data() + (text.size() - with.size()), with.size()}, with);
}

template <std::size_t count>
constexpr bool matches(std::string_view key, const Pattern (&patterns)[count]) noexcept {
  for (const Pattern& pattern : patterns) {
    if (begins(key, pattern.begin) && ends(key, pattern.end)) return true;
  }
  return false;
}

}  // namespace

waitprobe_class class_of_torch_key(std::string_view key) noexcept {
  if (begins(key, counters)) {
    std::string_view name = key;
    name.remove_prefix(counters.size());
    if (matches(name, idle)) return WAITPROBE_CLASS_IDLE;
    return matches(name, work) ? WAITPROBE_CLASS_WORK : WAITPROBE_CLASS_WAIT;
  }
  // What 2.6 times of its compiler: all but the wait for its processes is work.
  if (begins(key, "pytorch.dynamo_timed.")) return ends(key, ".wait") ? WAITPROBE_CLASS_WAIT : WAITPROBE_CLASS_WORK;
  return matches(key, other_work) ? WAITPROBE_CLASS_WORK : WAITPROBE_CLASS_WAIT;
}

}  // namespace waitprobe
