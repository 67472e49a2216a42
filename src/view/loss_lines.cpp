// SPDX-License-Identifier: MIT
#include "src/view/loss_lines.h"

#include <string>

namespace waitprobe {

void print_losses(std::ostream& out, const Losses& losses) {
  for (const LossRow& loss : all_losses) {
    const std::uint64_t count = losses.*loss.count;
    if (count != 0) out << "  lost: " << loss.name << ' ' << std::to_string(count) << " (" << loss.meaning << ")\n";
  }
}

}  // namespace waitprobe
