// SPDX-License-Identifier: MIT
#include "src/cli/suggestion.h"

#include <strings.h>

#include <algorithm>
#include <iterator>

namespace waitprobe::cli {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  // distance[i][j] is between the first i characters of a and the first j of b.
  std::vector<std::vector<std::size_t>> distance(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); i++) distance[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); j++) distance[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); i++) {
    for (std::size_t j = 1; j <= b.size(); j++) {
      std::size_t& here = distance[i][j];
      here =
          std::min({distance[i - 1][j] + 1, distance[i][j - 1] + 1, distance[i - 1][j - 1] + (a[i - 1] != b[j - 1] ? 1 : 0)});
      const bool are_swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (are_swapped) here = std::min(here, distance[i - 2][j - 2] + 1);
    }
  }
  return distance[a.size()][b.size()];
}

std::string suggestion(std::string_view word, const std::vector<std::string>& candidates) {
  constexpr std::size_t longest = 64;  // no name of ours is longer
  if (word.size() > longest) return "";
  std::vector<std::string> longer;
  for (const std::string& candidate : candidates) {
    if (strcasecmp(std::string(word).c_str(), candidate.c_str()) == 0) return "; did you mean '" + candidate + "'?";
  }
  std::copy_if(candidates.begin(), candidates.end(), std::back_inserter(longer),
               [&](const std::string& candidate) { return word.size() > 2 && candidate.starts_with(word); });
  if (longer.size() == 1) return "; did you mean '" + longer.front() + "'?";
  const std::string* best = nullptr;
  const std::size_t letters = word.size() - std::min(word.find_first_not_of('-'), word.size());
  std::size_t bound = letters < 3 ? 0 : letters < 5 ? 2 : letters < 8 ? 3 : 4;  // what is as far away as this is another word
  for (const std::string& candidate : candidates) {
    const std::size_t distance = candidate.size() > 2 ? edit_distance(word, candidate) : longest;
    if (distance >= bound) continue;
    bound = distance;
    best = &candidate;
  }
  return best == nullptr ? "" : "; did you mean '" + *best + "'?";
}

}  // namespace waitprobe::cli
