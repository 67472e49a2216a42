// SPDX-License-Identifier: MIT
#include "src/model/trace_id.h"

#include <array>
#include <bit>

namespace waitprobe {

std::string trace_id_text(const wp_trace_id& id) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  if ((id.half[0] | id.half[1]) == 0) return text;
  for (const unsigned char byte : std::bit_cast<std::array<unsigned char, sizeof id>>(id)) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

}  // namespace waitprobe
