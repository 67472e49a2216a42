// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "src/model/key_class.h"
#include "src/model/snapshot.h"

namespace waitprobe {

// A key as tables show it, with the mark of its class: "db.query", "worker.queue [idle]". The mark stays whole where there is no
// room for all of the key. Units: columns of a terminal.
class KeyText {
 public:
  KeyText(std::string_view kept, std::uint64_t key_len, KeyClass key_class);
  explicit KeyText(const SeriesId& id) : KeyText(id.key, id.key_len, id.key_class) {}

  std::string whole() const { return key_ + mark_; }
  std::size_t width() const;
  std::string shortened(std::size_t columns) const;
  // Followed by blanks; the other one is whole where the width of the table is unlimited, as pad_in().
  std::string padded(std::size_t columns) const;
  std::string padded_in(std::size_t columns, std::size_t width_of_table) const;

 private:
  std::string key_;
  std::string mark_;
};

}  // namespace waitprobe
