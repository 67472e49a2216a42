// SPDX-License-Identifier: MIT
#include "src/view/json_parts.h"

#include <string_view>

#include "src/view/escape.h"
#include "src/view/frame_text.h"

namespace waitprobe {
namespace {

std::string hex(std::string_view bytes) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += {digits[byte >> 4], digits[byte & 15]};
  }
  return text;
}

}  // namespace

void put_bytes(Json& json, const std::string& name, const std::string& bytes) {
  std::string text = repair_utf8(bytes);
  const bool repaired = text != bytes;
  json[name] = std::move(text);
  if (repaired) json[name + "_hex"] = hex(bytes);
}

Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(repair_utf8(text)); }

Json stack_json(const Stack& stack) {
  Json frames = Json::array();
  for (const Frame& frame : stack) frames.push_back(repair_utf8(frame_text(frame)));
  return frames;
}

void add_unseen(Json& json, const Unseen& unseen) {
  json["unreadable"] = unseen.process_cnt;
  if (unseen.may_be_more) json["unlisted"] = true;
}

std::string ascii_text(const Json& json) { return json.dump(-1, ' ', true); }

void print_line(std::ostream& out, const Json& json) { out << ascii_text(json) << '\n'; }

}  // namespace waitprobe
