// SPDX-License-Identifier: MIT
#include "src/view/loss_table.h"

#include <iterator>

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
};
static_assert(std::size(table) == std::size(all_losses), "a loss has no row");

}  // namespace

std::span<const LossRow> loss_table() { return table; }

}  // namespace waitprobe
