// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace waitprobe {

// Bytes of somebody else's process, fit to be shown on a terminal: valid, printable UTF-8 stays, everything else (control
// characters, escape sequences, broken UTF-8, blanks other than the space, characters that change the direction of text or
// cannot be seen) becomes \n, \t or \xNN a byte, and a backslash becomes two.
std::string escape(std::string_view bytes);

// A key as escape() shows it, of which there may be more than is kept: "…"; "(empty key)" when it has no bytes at all.
std::string shown_key(std::string_view kept, std::uint64_t key_len);

// Valid UTF-8 for a JSON writer: broken bytes become the text \xNN; all else, control characters too, stays for
// the writer to escape.
std::string repair_utf8(std::string_view bytes);

// Columns that text takes on a terminal. REQUIRES: valid UTF-8, such as escape() returns.
std::size_t display_width(std::string_view text);

// `text`, cut to `width` columns with an ellipsis in its middle, where keys differ least, and never within an escape. REQUIRES:
// text as escape() returns; width > 0.
std::string shorten(std::string_view text, std::size_t width);

// `text` without what goes beyond `width` columns. REQUIRES: valid UTF-8.
std::string cut(std::string_view text, std::size_t width);

// `text` followed by blanks up to `width` columns, shortened if it is longer.
std::string pad(std::string_view text, std::size_t width);

// Each line of `text`, escaped, behind two blanks and with its end.
std::string indented(std::string_view text);

// Blanks, then `text`.
std::string align_right(std::string_view text, std::size_t width);

// For what is printed into a pipe or a file: nothing is shortened. Small enough to calculate with.
inline constexpr std::size_t unlimited_width = std::size_t{1} << 20;

// The columns of a name of a process or a thread, of which a table of `width` has several: more where there is room.
std::size_t name_columns(std::size_t width);

// The columns of each of two names in a table of which all else takes `used`: what is to spare goes to them first.
std::size_t name_columns(std::size_t width, std::size_t used);

// The columns for keys in a table: as many as the longest of them takes, at most those that are left beside `used` ones and
// at least those that a terminal of 80 has.
std::size_t key_columns(std::size_t width, std::size_t used, std::size_t longest);

// `text` followed by blanks up to `columns`, shortened if it is longer, unless the width of the table is unlimited.
std::string pad_in(std::string_view text, std::size_t columns, std::size_t width);

// The columns of a terminal that are left beside those that are used, for a name: 12 at the least, even where there are none.
std::size_t width_left(std::size_t width, std::size_t used);

}  // namespace waitprobe
