// SPDX-License-Identifier: MIT
#include "src/cli/toml_config.h"

#include <toml++/toml.h>

#include <istream>
#include <optional>
#include <sstream>

#include "src/cli/parser.h"

namespace waitprobe::cli {
namespace {

// As it would stand on a command line.
std::optional<std::string> word_of(const toml::node& value) {
  if (const auto* text = value.as_string()) return text->get();
  if (!value.is_number() && !value.is_boolean()) return std::nullopt;
  std::ostringstream out;
  value.visit([&out](const auto& one) { out << one; });
  return out.str();
}

}  // namespace

std::string TomlConfig::file() const { return app_.get_config_ptr()->as<std::string>(); }

std::vector<CLI::ConfigItem> TomlConfig::from_config(std::istream& in) const {
  toml::table options;
  try {
    options = toml::parse(in);
  } catch (const toml::parse_error& error) {
    throw UsageError{file() + ", line " + std::to_string(error.source().begin.line) + ": " + std::string(error.description())};
  }
  std::vector<CLI::ConfigItem> all_items;
  for (const auto& [name, value] : options) {
    CLI::ConfigItem item;
    item.name = name.str();
    const auto add = [&](const toml::node& one) {
      auto word = word_of(one);
      if (!word) {
        throw UsageError{"'" + item.name + "' in " + file() + " is no text, number or truth value, and no array of them"};
      }
      item.inputs.push_back(std::move(*word));
    };
    if (const auto* all = value.as_array()) {
      for (const toml::node& one : *all) add(one);
    } else {
      add(value);
    }
    if (!item.inputs.empty()) all_items.push_back(std::move(item));
  }
  return all_items;
}

std::string TomlConfig::to_flag(const CLI::ConfigItem& item) const {
  if (item.inputs.size() == 1 && (item.inputs[0] == "true" || item.inputs[0] == "false")) return item.inputs[0];
  throw UsageError{"'" + item.name + "' in " + file() + " is neither true nor false"};
}

}  // namespace waitprobe::cli
