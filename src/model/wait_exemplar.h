// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>

#include "src/model/metrics.h"
#include "src/model/snapshot.h"

namespace waitprobe {

// One wait, and whose it is.
struct WaitExemplar {
  SeriesId series;
  std::optional<std::string> group;
  Exemplar exemplar;
};

}  // namespace waitprobe
