// SPDX-License-Identifier: MIT
//
// In which format a scrape is answered. Pure functions; safe on any thread.
#pragma once

#include <string_view>

namespace waitprobe {

enum class MetricsFormat { prometheus_text, openmetrics, prometheus_protobuf };

// By the header Accept of a request: the format with the greatest q, the first of those in the header where several have it. Text
// is the answer to what is absent, broken, or asks for none of the formats in a version that is written.
MetricsFormat negotiate_format(std::string_view accept);

// As the header Content-Type has it.
const char* content_type(MetricsFormat format);

}  // namespace waitprobe
