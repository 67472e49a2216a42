// SPDX-License-Identifier: MIT
#include "src/view/key_text.h"

#include <algorithm>

#include "src/view/escape.h"

namespace waitprobe {

KeyText::KeyText(std::string_view kept, std::uint64_t key_len, KeyClass key_class) : key_(shown_key(kept, key_len)) {
  if (key_class != KeyClass::wait) mark_ = std::string(" [") + name_of(key_class) + "]";
}

std::size_t KeyText::width() const { return display_width(key_) + mark_.size(); }

std::string KeyText::shortened(std::size_t columns) const {
  const std::size_t room = columns > mark_.size() ? columns - mark_.size() : 1;
  return shorten(key_, room) + mark_;
}

std::string KeyText::padded(std::size_t columns) const { return pad(shortened(columns), columns); }

std::string KeyText::padded_in(std::size_t columns, std::size_t width_of_table) const {
  return padded(width_of_table == unlimited_width ? std::max(columns, width()) : columns);
}

}  // namespace waitprobe
