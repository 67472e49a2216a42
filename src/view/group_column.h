// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace waitprobe {

// A column of a table that says which group a row is of: "RANK", below it the values, "-" for none. Without a name there is no
// column.
class GroupColumn {
 public:
  // `name` is what the groups are values of; any bytes. `width` is that of the table.
  GroupColumn(const std::string& name, std::size_t width);

  // Makes room for a value.
  void add(const std::optional<std::string>& group);

  // With the blank before it; 0: there is no column.
  std::size_t width() const { return name_.empty() ? 0 : 1 + width_; }

  const std::string& name() const { return name_; }
  std::string header() const;
  std::string text(const std::optional<std::string>& group) const;

  // A value as it is shown.
  std::string shown(const std::optional<std::string>& group) const;

 private:
  std::size_t columns_;  // the most that a value takes
  std::string name_;
  std::size_t width_;
};

}  // namespace waitprobe
