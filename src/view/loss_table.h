// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <ostream>
#include <span>

#include "src/model/snapshot.h"

namespace waitprobe {

struct LossRow {
  const char* name;  // in JSON, and in the text
  std::uint64_t Losses::*count;
  const char* meaning;  // so short that one line holds all three, whatever the count
};

// Every way to lose a wait, one row each: text and JSON tell of the same.
std::span<const LossRow> loss_table();

// A line for each cause that there was.
void print_losses(std::ostream& out, const Losses& losses);

}  // namespace waitprobe
