// SPDX-License-Identifier: MIT
#include "src/view/group_column.h"

#include <algorithm>

#include "src/view/escape.h"

namespace waitprobe {
namespace {

constexpr std::size_t most_width = 8;

}  // namespace

GroupColumn::GroupColumn(const std::string& name) : name_(shorten(escape(name), most_width)), width_(display_width(name_)) {}

void GroupColumn::add(const std::optional<std::string>& group) { width_ = std::max(width_, display_width(shown(group))); }

std::string GroupColumn::header() const { return name_.empty() ? "" : ' ' + align_right(name_, width_); }

std::string GroupColumn::text(const std::optional<std::string>& group) const {
  return name_.empty() ? "" : ' ' + align_right(shown(group), width_);
}

std::string GroupColumn::shown(const std::optional<std::string>& group) {
  if (!group) return "-";
  return group->empty() ? "(empty)" : shorten(escape(*group), most_width);
}

}  // namespace waitprobe
