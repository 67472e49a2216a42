// SPDX-License-Identifier: MIT
//
// A strict reader of the text formats of Prometheus and OpenMetrics.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace waitprobe {

struct ExpositionSample {
  std::string name;
  std::map<std::string, std::string> labels;
  std::string value;
  std::optional<std::map<std::string, std::string>> exemplar_labels;
  std::string exemplar_value;
  std::string exemplar_time;
};

struct Exposition {
  std::map<std::string, std::string> types;  // by family
  std::map<std::string, std::string> units;
  std::map<std::string, std::string> helps;
  std::vector<ExpositionSample> samples;

  // The value of the sample with this name and (among others) these labels; "" if there is none.
  std::string value(const std::string& name, const std::map<std::string, std::string>& labels = {}) const;
};

// Throws std::runtime_error at what the formats do not allow, a sample that comes twice or belongs to no family among them.
Exposition parse_exposition(const std::string& text, bool is_openmetrics);

}  // namespace waitprobe
