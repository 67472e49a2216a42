// SPDX-License-Identifier: MIT
#include "src/view/loss_table.h"

#include <iterator>
#include <string>

namespace waitprobe {
namespace {

constexpr LossRow table[] = {
    {"series_full", &Losses::series_full, "more keys than there is room for"},
    {"gap", &Losses::gap, "overwritten before they were fetched"},
    {"late", &Losses::late, "ended after their thread"},
    {"reentered", &Losses::reentered, "in a signal handler amid another"},
    {"unreadable", &Losses::unreadable, "their key could not be read"},
    {"no_memory", &Losses::no_memory, "the process had no memory for them"},
    {"blocks_full", &Losses::blocks_full, "more threads than there is room for"},
    {"missed", &Losses::missed, "ends of threads that were not told of"},
    {"unfollowed", &Losses::unfollowed, "children for which there was no room"},
    {"ring_full", &Losses::ring_full, "came faster than they were read"},
};
static_assert(std::size(table) == std::size(all_losses), "a loss has no row");

}  // namespace

std::span<const LossRow> loss_table() { return table; }

void print_losses(std::ostream& out, const Losses& losses) {
  for (const LossRow& loss : loss_table()) {
    const std::uint64_t count = losses.*loss.count;
    if (count != 0) out << "  lost: " << loss.name << ' ' << std::to_string(count) << " (" << loss.meaning << ")\n";
  }
}

}  // namespace waitprobe
