// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

// A backend that only counts, registered while waits are under way.
void register_counting_backend();

// A backend that keeps the duration of every wait: it is told the same moments as the tracer.
void register_recording_backend();

// What it has kept, sorted, by key. Units: nanoseconds.
std::map<std::string, std::vector<std::uint64_t>> recorded_durations();
