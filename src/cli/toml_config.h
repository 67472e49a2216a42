// SPDX-License-Identifier: MIT
#pragma once

#include <CLI/CLI.hpp>

#include <iosfwd>
#include <string>
#include <vector>

namespace waitprobe::cli {

// Options from a file of TOML: names with values, or with arrays of them.
class TomlConfig : public CLI::Config {
 public:
  // Lifetime: the app must outlive it.
  explicit TomlConfig(const CLI::App& app) : app_(app) {}

  // Throws UsageError: it is no TOML, or a value is no text, number, truth value or array of these.
  std::vector<CLI::ConfigItem> from_config(std::istream& in) const override;
  // Throws UsageError: it is neither true nor false.
  std::string to_flag(const CLI::ConfigItem& item) const override;
  std::string to_config(const CLI::App*, bool, bool, std::string) const override { return ""; }

 private:
  std::string file() const;

  const CLI::App& app_;
};

}  // namespace waitprobe::cli
