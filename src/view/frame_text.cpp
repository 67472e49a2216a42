// SPDX-License-Identifier: MIT
#include "src/view/frame_text.h"

#include <cstdio>

namespace waitprobe {
namespace {

std::string last_part(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string hex(std::uint64_t number) {
  char text[32];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(number));
  return text;
}

}  // namespace

bool is_noise(const Frame& frame) {
  const std::string& name = frame.function;
  return frame.is_inlined && (name.starts_with("std::") || name.starts_with("__gthread_") || name.starts_with("__gnu_cxx::"));
}

std::string frame_text(const Frame& frame) {
  if (frame.module.empty()) return hex(frame.offset);
  if (frame.function.empty()) return last_part(frame.module) + "+" + hex(frame.offset);
  if (frame.source_file.empty()) return frame.function + " (" + last_part(frame.module) + ")";
  return frame.function + " (" + last_part(frame.source_file) + ":" + std::to_string(frame.line) + ")";
}

}  // namespace waitprobe
