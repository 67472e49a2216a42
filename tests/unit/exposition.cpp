// SPDX-License-Identifier: MIT
#include "tests/unit/exposition.h"

#include <algorithm>
#include <set>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace waitprobe {
namespace {

class Line {
 public:
  explicit Line(std::string_view text) : text_(text) {}

  bool skip(std::string_view wanted) {
    if (!text_.substr(at_).starts_with(wanted)) return false;
    at_ += wanted.size();
    return true;
  }
  void expect(std::string_view wanted) {
    if (!skip(wanted))
      throw std::runtime_error("no " + std::string(wanted) + " at " + std::to_string(at_) + " of " + std::string(text_));
  }
  bool is_at_end() const { return at_ == text_.size(); }

  std::string name() {
    const std::size_t first = at_;
    while (at_ < text_.size() && (text_[at_] == '_' || (text_[at_] >= 'a' && text_[at_] <= 'z'))) at_++;
    if (at_ == first) throw std::runtime_error("no name in " + std::string(text_));
    return std::string(text_.substr(first, at_ - first));
  }

  std::string word() {
    const std::size_t first = at_;
    at_ = std::min(text_.find(' ', at_), text_.size());
    if (at_ == first) throw std::runtime_error("no word in " + std::string(text_));
    return std::string(text_.substr(first, at_ - first));
  }

  std::string rest() { return std::string(text_.substr(std::exchange(at_, text_.size()))); }

  std::map<std::string, std::string> labels() {
    std::map<std::string, std::string> all;
    if (!skip("{")) return all;
    while (!skip("}")) {
      if (!all.empty()) expect(",");
      const std::string label = name();
      expect("=\"");
      std::string value;
      while (!skip("\"")) {
        if (is_at_end()) throw std::runtime_error("no end of a label");
        char c = text_[at_++];
        if (c == '\\') {
          if (is_at_end()) throw std::runtime_error("a backslash at the end");
          c = text_[at_++];
          if (c != 'n' && c != '\\' && c != '"') throw std::runtime_error("a wrong escape");
          if (c == 'n') c = '\n';
        } else if (c == '\0' || c == '\r') {
          throw std::runtime_error("a character that some parsers end at");
        }
        value += c;
      }
      if (!all.emplace(label, value).second) throw std::runtime_error("a label comes twice");
    }
    return all;
  }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

void check_number(const std::string& text) {
  std::size_t used = 0;
  (void)std::stod(text, &used);
  if (used != text.size()) throw std::runtime_error("no number: " + text);
}

bool belongs_to(const std::string& sample, const std::string& family, const std::string& type, bool is_openmetrics) {
  std::vector<std::string> suffixes = {""};
  if (type == "histogram") suffixes = {"_bucket", "_sum", "_count"};
  if (type == "counter") suffixes = {is_openmetrics ? "_total" : ""};
  if (type != "gauge" && is_openmetrics) suffixes.push_back("_created");
  return std::any_of(suffixes.begin(), suffixes.end(), [&](const std::string& suffix) { return sample == family + suffix; });
}

}  // namespace

std::string Exposition::value(const std::string& name, const std::map<std::string, std::string>& labels) const {
  for (const ExpositionSample& sample : samples) {
    if (sample.name == name && std::includes(sample.labels.begin(), sample.labels.end(), labels.begin(), labels.end())) {
      return sample.value;
    }
  }
  return "";
}

Exposition parse_exposition(const std::string& text, bool is_openmetrics) {
  Exposition all;
  std::set<std::pair<std::string, std::map<std::string, std::string>>> seen;
  std::string family;
  bool has_end = false;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    if (end == std::string::npos) throw std::runtime_error("no line feed at the end");
    if (has_end) throw std::runtime_error("more after the end");
    Line line(std::string_view(text).substr(at, end - at));
    at = end + 1;
    if (line.skip("# EOF")) {
      has_end = true;
    } else if (line.skip("# ")) {
      const std::string kind = line.word();
      line.expect(" ");
      family = line.name();
      line.expect(" ");
      auto& of_kind = kind == "TYPE" ? all.types : kind == "UNIT" ? all.units : all.helps;
      if (!of_kind.emplace(family, line.rest()).second) throw std::runtime_error("a family comes twice");
    } else {
      ExpositionSample sample;
      sample.name = line.name();
      sample.labels = line.labels();
      line.expect(" ");
      sample.value = line.word();
      check_number(sample.value);
      if (is_openmetrics && line.skip(" # ")) {
        sample.exemplar_labels = line.labels();
        line.expect(" ");
        check_number(sample.exemplar_value = line.word());
        line.expect(" ");
        check_number(sample.exemplar_time = line.word());
      }
      if (!belongs_to(sample.name, family, all.types[family], is_openmetrics))
        throw std::runtime_error("astray: " + sample.name);
      if (!seen.emplace(sample.name, sample.labels).second) throw std::runtime_error("twice: " + sample.name);
      all.samples.push_back(std::move(sample));
    }
    if (!line.is_at_end()) throw std::runtime_error("more in a line: " + line.rest());
  }
  if (has_end != is_openmetrics) throw std::runtime_error("the end is missing, or too many");
  return all;
}

}  // namespace waitprobe
