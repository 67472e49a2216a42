// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace waitprobe {

// Bytes of somebody else's process, as text of HTML: as escape() shows them, and no character of it is markup.
std::string html(std::string_view bytes);

// The same of text that is shown as it is, with its line ends. REQUIRES: it has none of somebody else's bytes but such as escape()
// returns.
std::string html_of_text(std::string_view text);

}  // namespace waitprobe
