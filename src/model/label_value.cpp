// SPDX-License-Identifier: MIT
#include "src/model/label_value.h"

namespace waitprobe {
namespace {

constexpr std::string_view replacement = "\xef\xbf\xbd";
constexpr std::string_view ellipsis = "\xe2\x80\xa6";

unsigned byte_at(std::string_view text, std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0; }

bool is_continuation(unsigned byte) { return (byte & 0xc0) == 0x80; }

// How many bytes the character takes that begins at `at`; 0 if it is broken or a control character.
std::size_t length_of_good(std::string_view text, std::size_t at) {
  const unsigned a = byte_at(text, at), b = byte_at(text, at + 1), c = byte_at(text, at + 2), d = byte_at(text, at + 3);
  if (a < 0x80) return (a >= 0x20 && a != 0x7f) || a == '\t' || a == '\n' ? 1 : 0;
  if (!is_continuation(b)) return 0;
  // The least and the greatest second byte rule out overlong forms, surrogates, C1 controls and what is above U+10FFFF.
  if (a >= 0xc2 && a <= 0xdf) return a == 0xc2 && b < 0xa0 ? 0 : 2;
  if (!is_continuation(c)) return 0;
  if (a >= 0xe0 && a <= 0xef) return (a == 0xe0 && b < 0xa0) || (a == 0xed && b >= 0xa0) ? 0 : 3;
  if (!is_continuation(d)) return 0;
  if (a >= 0xf0 && a <= 0xf4) return (a == 0xf0 && b < 0x90) || (a == 0xf4 && b >= 0x90) ? 0 : 4;
  return 0;
}

}  // namespace

std::string label_value(std::string_view bytes, bool is_cut) {
  std::string value;
  std::size_t fits = 0;  // with an ellipsis
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t length = length_of_good(bytes, at);
    value += length == 0 ? replacement : bytes.substr(at, length);
    at += length == 0 ? 1 : length;
    if (value.size() > most_label_bytes) {
      is_cut = true;
      break;
    }
    if (value.size() + ellipsis.size() <= most_label_bytes) fits = value.size();
  }
  if (is_cut) value.replace(fits, std::string::npos, ellipsis);
  return value;
}

std::string key_label(std::string_view kept, std::uint64_t key_len) {
  return key_len == 0 ? "(empty key)" : label_value(kept, key_len > kept.size());
}

}  // namespace waitprobe
