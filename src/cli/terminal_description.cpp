// SPDX-License-Identifier: MIT
#include "src/cli/terminal_description.h"

#include <array>

namespace waitprobe::cli {
namespace {

struct Description {
  std::string_view terminal;
  const char* text;
};
constexpr auto descriptions = std::to_array<Description>({
#include "terminal_descriptions.inc"  // made by infocmp when the build is configured
    {"", nullptr},
});

}  // namespace

const char* terminal_description(std::string_view terminal) {
  for (const Description& known : descriptions) {
    if (known.terminal == terminal) return known.text;
  }
  return nullptr;
}

}  // namespace waitprobe::cli
