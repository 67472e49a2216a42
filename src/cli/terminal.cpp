// SPDX-License-Identifier: MIT
#include "src/cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "src/cli/job_control.h"
#include "src/collect/machine/clock.h"
#include "src/view/escape.h"

namespace waitprobe::cli {
namespace {

constexpr std::size_t least_width = 80;
constexpr std::uint64_t first_ns = 2'000'000'000, then_ns = 1'000'000'000;

bool obeys_escapes(int fd) {
  const char* const terminal = std::getenv("TERM");
  return isatty(fd) == 1 && terminal != nullptr && std::strcmp(terminal, "dumb") != 0;
}

}  // namespace

Colours wanted_colours(const std::string& when) {
  if (when != "auto") return when == "always" ? Colours::yes : Colours::no;
  const char* const unwanted = std::getenv("NO_COLOR");
  const bool wanted = unwanted == nullptr || *unwanted == '\0';
  return wanted && obeys_escapes(STDOUT_FILENO) ? Colours::yes : Colours::no;
}

bool is_on_terminal() { return obeys_escapes(STDOUT_FILENO); }

std::size_t output_width() {
  winsize size = {};
  if (isatty(STDOUT_FILENO) != 1 || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return unlimited_width;
  return std::max<std::size_t>(size.ws_col, least_width);
}

Progress::Progress() : due_ns_(obeys_escapes(STDERR_FILENO) ? now_ns() + first_ns : UINT64_MAX) {}

void Progress::show(const std::string& text) {
  if (now_ns() < due_ns_) return;
  due_ns_ = now_ns() + then_ns;
  if (!is_in_foreground(STDERR_FILENO)) return;
  shown_ = true;
  std::cerr << "\r\033[K" << text << std::flush;
}

void Progress::clear() {
  if (shown_) std::cerr << "\r\033[K" << std::flush;
  shown_ = false;
}

}  // namespace waitprobe::cli
