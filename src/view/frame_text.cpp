// SPDX-License-Identifier: MIT
#include "src/view/frame_text.h"

#include <cstdio>

#include "src/view/escape.h"

namespace waitprobe {
namespace {

std::string last_part(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string hex(std::uint64_t number) {
  char text[32];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(number));
  return text;
}

bool is_noise(const Frame& frame) {
  const std::string& name = frame.function;
  return frame.is_inlined && (name.starts_with("std::") || name.starts_with("__gthread_") || name.starts_with("__gnu_cxx::"));
}

}  // namespace

std::string frame_text(const Frame& frame) {
  if (frame.module.empty()) return hex(frame.offset);
  if (frame.function.empty()) return last_part(frame.module) + "+" + hex(frame.offset);
  if (frame.source_file.empty()) return frame.function + " (" + last_part(frame.module) + ")";
  return frame.function + " (" + last_part(frame.source_file) + ":" + std::to_string(frame.line) + ")";
}

void print_frames(std::ostream& out, const Stack& stack, std::size_t indent, std::size_t width, Colours colours) {
  for (const Frame& frame : stack) {
    if (is_noise(frame)) continue;
    out << std::string(indent, ' ') << emphasised(shorten(escape(frame_text(frame)), width - indent), Emphasis::dim, colours)
        << '\n';
  }
}

}  // namespace waitprobe
