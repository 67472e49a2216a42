// SPDX-License-Identifier: MIT
#include "src/view/escape.h"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace waitprobe {
namespace {

struct Character {
  std::uint32_t code = 0;
  std::size_t bytes = 0;  // 0: not valid UTF-8
};

// The first character of `bytes`. Overlong forms, surrogates and what is above U+10FFFF are not valid.
Character decode(std::string_view bytes) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i])); };
  const std::uint32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || bytes.size() < length) return {};
  std::uint32_t code = lead & (0x7fU >> length);
  for (std::size_t i = 1; i < length; i++) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3f);
  }
  constexpr std::uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < least[length] || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff) return {};
  return {code, length};
}

struct Range {
  std::uint32_t first, last;
};

template <std::size_t N>
bool is_in(const Range (&ranges)[N], std::uint32_t code) {
  for (const Range& range : ranges) {
    if (code >= range.first && code <= range.last) return true;
  }
  return false;
}

// Controls; characters that cannot be seen or that turn the direction of what follows; private use and non-characters.
constexpr Range unprintable[] = {{0x00, 0x1f},     {0x7f, 0x9f},     {0xad, 0xad},       {0x34f, 0x34f},   {0x61c, 0x61c},
                                 {0x115f, 0x1160}, {0x17b4, 0x17b5}, {0x180b, 0x180e},   {0x200b, 0x200f}, {0x2028, 0x202e},
                                 {0x2060, 0x206f}, {0x3164, 0x3164}, {0xe000, 0xf8ff},   {0xfe00, 0xfe0f}, {0xfeff, 0xfeff},
                                 {0xfff0, 0xfffb}, {0xfffe, 0xffff}, {0xe0000, 0x10ffff}};
constexpr Range combining[] = {{0x300, 0x36f},   {0x483, 0x489},   {0x591, 0x5bd},   {0x610, 0x61a},  {0x64b, 0x65f},
                               {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x20d0, 0x20ff}, {0xfe20, 0xfe2f}};
constexpr Range wide[] = {{0x1100, 0x115e}, {0x2e80, 0xa4cf}, {0xac00, 0xd7a3},   {0xf900, 0xfaff},  {0xfe30, 0xfe6f},
                          {0xff00, 0xff60}, {0xffe0, 0xffe6}, {0x1f300, 0x1faff}, {0x20000, 0x3fffd}};

std::size_t width_of(std::uint32_t code) { return is_in(combining, code) ? 0 : is_in(wide, code) ? 2 : 1; }

void append_hex(std::string& out, std::string_view bytes) {
  constexpr char digits[] = "0123456789abcdef";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
  }
}

}  // namespace

std::string escape(std::string_view bytes) {
  std::string out;
  while (!bytes.empty()) {
    const Character c = decode(bytes);
    const std::string_view raw = bytes.substr(0, c.bytes != 0 ? c.bytes : 1);
    if (c.code == '\n' && c.bytes == 1) {
      out += "\\n";
    } else if (c.code == '\t' && c.bytes == 1) {
      out += "\\t";
    } else if (c.code == '\\') {
      out += "\\\\";
    } else if (c.bytes == 0 || is_in(unprintable, c.code)) {
      append_hex(out, raw);
    } else {
      out += raw;
    }
    bytes.remove_prefix(raw.size());
  }
  return out;
}

std::string repair_utf8(std::string_view bytes) {
  std::string out;
  while (!bytes.empty()) {
    const Character c = decode(bytes);
    const std::string_view raw = bytes.substr(0, c.bytes != 0 ? c.bytes : 1);
    if (c.bytes != 0) {
      out += raw;
    } else {
      append_hex(out, raw);
    }
    bytes.remove_prefix(raw.size());
  }
  return out;
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    const Character c = decode(text);
    width += width_of(c.code);
    text.remove_prefix(c.bytes != 0 ? c.bytes : 1);
  }
  return width;
}

std::string shorten(std::string_view text, std::size_t width) {
  if (display_width(text) <= width) return std::string(text);
  std::vector<std::string_view> characters;
  for (std::string_view rest = text; !rest.empty(); rest.remove_prefix(characters.back().size())) {
    const Character c = decode(rest);
    characters.push_back(rest.substr(0, c.bytes != 0 ? c.bytes : 1));
  }
  const std::size_t room = width - 1;  // beside the ellipsis
  const std::size_t at_end = room / 2;
  std::string start, end;
  std::size_t used = 0;
  for (auto c = characters.rbegin(); c != characters.rend() && used + display_width(*c) <= at_end; ++c) {
    used += display_width(*c);
    end.insert(0, *c);
  }
  for (auto c = characters.begin(); c != characters.end() && used + display_width(*c) <= room; ++c) {
    used += display_width(*c);
    start += *c;
  }
  return start + "…" + end;
}

std::string pad(std::string_view text, std::size_t width) {
  std::string padded = shorten(text, width);
  padded.append(width - std::min(width, display_width(padded)), ' ');
  return padded;
}

std::string align_right(std::string_view text, std::size_t width) {
  return std::string(width - std::min(width, text.size()), ' ').append(text);
}

}  // namespace waitprobe
