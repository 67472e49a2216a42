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

// Controls; characters that cannot be seen, that look like a blank, or that turn the direction of what follows; private use and
// non-characters.
constexpr Range unprintable[] = {
    {0x00, 0x1f},       {0x7f, 0xa0},       {0xad, 0xad},       {0x34f, 0x34f},     {0x61c, 0x61c},      {0x70f, 0x70f},
    {0x115f, 0x1160},   {0x1680, 0x1680},   {0x17b4, 0x17b5},   {0x180b, 0x180f},   {0x2000, 0x200f},    {0x2028, 0x202f},
    {0x205f, 0x206f},   {0x2800, 0x2800},   {0x3000, 0x3000},   {0x3164, 0x3164},   {0xe000, 0xf8ff},    {0xfdd0, 0xfdef},
    {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},   {0xffa0, 0xffa0},   {0xfff0, 0xfffb},   {0xfffe, 0xffff},    {0x13430, 0x1345f},
    {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0x1fffe, 0x1ffff}, {0x2fffe, 0x2ffff}, {0x3fffe, 0x10ffff},
};
constexpr Range combining[] = {
    {0x300, 0x36f},   {0x483, 0x489},   {0x591, 0x5bd},   {0x610, 0x61a},   {0x64b, 0x65f},
    {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x20d0, 0x20ff}, {0xfe20, 0xfe2f},
};
// Two columns on a terminal: East Asian scripts and what is shown as a coloured picture. Whole blocks where a block has few
// others: taken for too wide, a key is padded less; taken for too narrow, its line would be too long.
constexpr Range wide[] = {
    {0x1100, 0x115e},   {0x231a, 0x231b},   {0x2329, 0x232a},   {0x23e9, 0x23f3},   {0x25fd, 0x25fe},   {0x2614, 0x2615},
    {0x2630, 0x2637},   {0x2648, 0x2653},   {0x267f, 0x267f},   {0x268a, 0x268f},   {0x2693, 0x2693},   {0x26a1, 0x26a1},
    {0x26aa, 0x26ab},   {0x26bd, 0x26be},   {0x26c4, 0x26c5},   {0x26ce, 0x26ce},   {0x26d4, 0x26d4},   {0x26ea, 0x26ea},
    {0x26f2, 0x26f5},   {0x26fa, 0x26fd},   {0x2705, 0x2705},   {0x270a, 0x270b},   {0x2728, 0x2728},   {0x274c, 0x274e},
    {0x2753, 0x2757},   {0x2795, 0x2797},   {0x27b0, 0x27b0},   {0x27bf, 0x27bf},   {0x2b1b, 0x2b1c},   {0x2b50, 0x2b55},
    {0x2e80, 0xa4cf},   {0xa960, 0xa97f},   {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe10, 0xfe1f},   {0xfe30, 0xfe6f},
    {0xff00, 0xff60},   {0xffe0, 0xffe6},   {0x16fe0, 0x1b2ff}, {0x1d300, 0x1d37f}, {0x1f000, 0x1f0ff}, {0x1f18e, 0x1f19a},
    {0x1f1e6, 0x1faff}, {0x20000, 0x3fffd},
};

std::size_t width_of(std::uint32_t code) { return is_in(combining, code) ? 0 : is_in(wide, code) ? 2 : 1; }

// Where text may be cut: between characters, but neither within an escape (half of one reads like something else) nor before a
// combining character, which would go to the ellipsis.
std::vector<std::string_view> units(std::string_view text) {
  std::vector<std::string_view> all;
  while (!text.empty()) {
    std::size_t bytes = std::max<std::size_t>(decode(text).bytes, 1);
    if (text[0] == '\\' && text.size() > 1) bytes = std::min<std::size_t>(text[1] == 'x' ? 4 : 2, text.size());
    while (bytes < text.size() && is_in(combining, decode(text.substr(bytes)).code)) bytes += decode(text.substr(bytes)).bytes;
    all.push_back(text.substr(0, bytes));
    text.remove_prefix(bytes);
  }
  return all;
}

void append_hex(std::string& out, std::string_view bytes) {
  constexpr char digits[] = "0123456789abcdef";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
  }
}

constexpr std::size_t least_name = 10, most_name = 16;  // a comm has 15 bytes

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

std::string shown_key(std::string_view kept, std::uint64_t key_len) {
  if (key_len == 0) return "(empty key)";
  return escape(kept) + (key_len > kept.size() ? "…" : "");
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
  const std::vector<std::string_view> all = units(text);
  const std::size_t room = width - 1;  // beside the ellipsis
  const std::size_t at_end = room / 2;
  std::size_t used = 0, start_bytes = 0, end_bytes = 0;
  for (auto u = all.rbegin(); u != all.rend() && used + display_width(*u) <= at_end; ++u) {
    used += display_width(*u);
    end_bytes += u->size();
  }
  for (auto u = all.begin(); u != all.end() && used + display_width(*u) <= room; ++u) {
    used += display_width(*u);
    start_bytes += u->size();
  }
  return std::string(text.substr(0, start_bytes)) + "…" + std::string(text.substr(text.size() - end_bytes));
}

std::string cut(std::string_view text, std::size_t width) {
  std::size_t bytes = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const Character c = decode(rest);
    if (width_of(c.code) > width) break;
    width -= width_of(c.code);
    bytes += c.bytes != 0 ? c.bytes : 1;
    rest = text.substr(bytes);
  }
  return std::string(text.substr(0, bytes));
}

std::string pad(std::string_view text, std::size_t width) {
  std::string padded = shorten(text, width);
  padded.append(width - std::min(width, display_width(padded)), ' ');
  return padded;
}

std::string indented(std::string_view text) {
  std::string lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines += "  " + escape(text.substr(at, end - at)) + "\n";
    at = end + 1;
  }
  return lines;
}

std::string align_right(std::string_view text, std::size_t width) {
  return std::string(width - std::min(width, display_width(text)), ' ').append(text);
}

std::size_t name_columns(std::size_t width) {
  constexpr std::size_t of_terminal = 80;
  return width < of_terminal ? least_name : std::min(least_name + (width - of_terminal) / 2, most_name);
}

std::size_t name_columns(std::size_t width, std::size_t used) {
  return std::clamp(width > used ? (width - used) / 2 : 0, least_name, most_name);
}

std::size_t key_columns(std::size_t width, std::size_t used, std::size_t longest) {
  constexpr std::size_t of_terminal = 80;
  return std::clamp(longest, width_left(std::min(width, of_terminal), used), width_left(width, used));
}

std::string pad_in(std::string_view text, std::size_t columns, std::size_t width) {
  return pad(text, width == unlimited_width ? std::max(columns, display_width(text)) : columns);
}

std::size_t width_left(std::size_t width, std::size_t used) {
  constexpr std::size_t least = 12;
  return width > used + least ? width - used : least;
}

}  // namespace waitprobe
