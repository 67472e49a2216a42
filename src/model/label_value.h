// SPDX-License-Identifier: MIT
//
// What programs call themselves and their waits, as values of labels in metrics. Pure functions; safe on any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace waitprobe {

// No value is longer, in bytes.
inline constexpr std::size_t most_label_bytes = 256;

// Any bytes as valid UTF-8 of at most most_label_bytes. Broken bytes and control characters other than tab and line feed become
// U+FFFD, because some parsers end at a zero byte and terminals obey escape sequences. A value that is too long, or `is_cut`
// already, ends with an ellipsis. The result is a fixed point: label_value(label_value(x)) == label_value(x).
std::string label_value(std::string_view bytes, bool is_cut = false);

// A key of which there may be more than is kept, as a value; "(empty key)" when it has no bytes. Keys that differ only in what is
// lost here have the same value.
std::string key_label(std::string_view kept, std::uint64_t key_len);

}  // namespace waitprobe
