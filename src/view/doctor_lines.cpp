// SPDX-License-Identifier: MIT
#include "src/view/doctor_lines.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "src/view/escape.h"

namespace waitprobe {
namespace {

constexpr std::size_t status_width = 15, name_width = 22;

// Lines of words, each as long as there is room. A word that is longer has a line of its own.
std::vector<std::string> wrapped(const std::string& text, std::size_t width) {
  std::vector<std::string> lines(1);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    const std::string word = text.substr(at, end - at);
    if (!lines.back().empty() && display_width(lines.back()) + 1 + display_width(word) > width) lines.emplace_back();
    lines.back() += (lines.back().empty() ? "" : " ") + word;
    at = end + 1;
  }
  return lines;
}

std::string shown(CheckStatus status) { return status == CheckStatus::unknown ? "unknown" : name_of(status); }

std::string emphasised_status(const Check& check, Colours colours) {
  const std::string text = pad(shown(check.status), status_width);
  if (check.status == CheckStatus::ok) return text;
  const bool is_alert = check.status == CheckStatus::warning || (check.status == CheckStatus::missing && check.needed);
  return emphasised(text, is_alert ? Emphasis::alert : Emphasis::bold, colours);
}

// A fix of several lines is said once: `said_in` is the check that has said it.
void print_check(std::ostream& out, const Check& check, const std::string& said_in, std::size_t width, Colours colours) {
  const bool is_missed = check.status == CheckStatus::missing && !check.needed;
  const std::string found = escape(check.found) + (is_missed ? " (it works without)" : "");
  const std::string indent(status_width + name_width + 2, ' ');
  bool is_first = true;
  for (const std::string& line : wrapped(found, width - indent.size())) {
    out << (is_first ? "  " + emphasised_status(check, colours) + pad(check.name, name_width) : indent) << line << '\n';
    is_first = false;
  }
  const std::string fix = said_in.empty() ? check.fix : "as for '" + said_in + "' above";
  for (std::size_t at = 0; at < fix.size();) {
    const std::size_t end = std::min(fix.find('\n', at), fix.size());
    out << std::string(status_width + 2, ' ') << (at == 0 ? "-> " : "   ") << escape(fix.substr(at, end - at)) << '\n';
    at = end + 1;
  }
}

}  // namespace

const char* name_of(CheckStatus status) {
  constexpr const char* names[] = {"ok", "missing", "unknown", "warning"};
  return names[static_cast<std::size_t>(status)];
}

void print_diagnosis(std::ostream& out, const Diagnosis& diagnosis, std::size_t width, Colours colours) {
  if (width == unlimited_width) width = 80;  // lines break between words, and nothing is lost
  std::map<std::string, std::string> said;   // where the fixes were said that have several lines
  for (const Findings& findings : diagnosis.findings) {
    out << emphasised(escape(findings.subject), Emphasis::bold, colours) << '\n';
    for (const Check& check : findings.checks) {
      std::string& said_in = said[check.fix];
      print_check(out, check, said_in, width, colours);
      if (said_in.empty() && check.fix.find('\n') != std::string::npos) said_in = check.name;
    }
    out << '\n';
  }
  if (!diagnosis.will_work()) {
    out << emphasised("tracing will not work", Emphasis::alert, colours) << '\n';
    return;
  }
  const std::size_t unknown = diagnosis.unknown_cnt();
  out << (unknown == 0 ? "tracing will work" : "no obstacle was found; ");
  if (unknown != 0) out << unknown << (unknown == 1 ? " check is" : " checks are") << " unknown";
  out << '\n';
}

}  // namespace waitprobe
