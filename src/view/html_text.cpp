// SPDX-License-Identifier: MIT
#include "src/view/html_text.h"

#include "src/view/escape.h"

namespace waitprobe {

std::string html_of_text(std::string_view text) {
  std::string html;
  for (const char c : text) {
    switch (c) {
      case '&':
        html += "&amp;";
        break;
      case '<':
        html += "&lt;";
        break;
      case '>':
        html += "&gt;";
        break;
      case '"':
        html += "&quot;";
        break;
      case '\'':
        html += "&#39;";
        break;
      default:
        html += c;
    }
  }
  return html;
}

std::string html(std::string_view bytes) { return html_of_text(escape(bytes)); }

}  // namespace waitprobe
