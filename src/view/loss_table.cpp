// SPDX-License-Identifier: MIT
#include "src/view/loss_table.h"

namespace waitprobe {
namespace {

constexpr LossRow table[] = {
    {"series_full", &Losses::series_full, "more keys than there is room for"},
    {"gap", &Losses::gap, "overwritten before they were fetched"},
    {"late", &Losses::late, "ended after their thread"},
    {"reentered", &Losses::reentered, "began in a signal handler that interrupted another start"},
    {"unreadable", &Losses::unreadable, "their key could not be read"},
    {"no_memory", &Losses::no_memory, "the program had no memory to follow them"},
    {"unfollowed", &Losses::unfollowed, "children of the command for which there was no room"},
};
static_assert(sizeof(Losses) == sizeof table / sizeof table[0] * sizeof(std::uint64_t), "a loss has no row");

}  // namespace

std::span<const LossRow> loss_table() { return table; }

}  // namespace waitprobe
