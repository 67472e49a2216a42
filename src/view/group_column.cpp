// SPDX-License-Identifier: MIT
#include "src/view/group_column.h"

#include <algorithm>

#include "src/view/escape.h"

namespace waitprobe {
namespace {

// The most that a value takes; a third of what a wide terminal has to spare is for them.
std::size_t columns_in(std::size_t width) {
  constexpr std::size_t least = 8, of_terminal = 80;
  return width == unlimited_width ? width : least + (std::max(width, of_terminal) - of_terminal) / 3;
}

}  // namespace

GroupColumn::GroupColumn(const std::string& name, std::size_t width)
    : columns_(columns_in(width)), name_(shorten(escape(name), columns_)), width_(display_width(name_)) {}

void GroupColumn::add(const std::optional<std::string>& group) { width_ = std::max(width_, display_width(shown(group))); }

std::string GroupColumn::header() const { return name_.empty() ? "" : ' ' + align_right(name_, width_); }

std::string GroupColumn::text(const std::optional<std::string>& group) const {
  return name_.empty() ? "" : ' ' + align_right(shown(group), width_);
}

std::string GroupColumn::shown(const std::optional<std::string>& group) const {
  if (!group) return "-";
  return group->empty() ? "(empty)" : shorten(escape(*group), columns_);
}

}  // namespace waitprobe
