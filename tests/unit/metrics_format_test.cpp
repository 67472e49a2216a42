// SPDX-License-Identifier: MIT
#include "src/export/metrics_format.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace waitprobe {
namespace {

constexpr auto text = MetricsFormat::prometheus_text, open = MetricsFormat::openmetrics,
               proto = MetricsFormat::prometheus_protobuf;

TEST(MetricsFormat, IsWhatVersionsOfPrometheusPrefer) {
  EXPECT_EQ(negotiate_format("application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
                             "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"),
            open)
      << "2.42";
  EXPECT_EQ(
      negotiate_format("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,"
                       "application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,"
                       "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"),
      proto)
      << "2.42 with native histograms";
  EXPECT_EQ(
      negotiate_format("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;"
                       "version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;"
                       "q=0.3,*/*;q=0.2"),
      open)
      << "3";
}

TEST(MetricsFormat, IsTextForWhoeverDoesNotAsk) {
  for (const char* accept :
       {"", "*/*", "text/*", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/json", ";;;,,,",
        "application/vnd.google.protobuf", "application/openmetrics-text;version=2.0.0",
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text"}) {
    EXPECT_EQ(negotiate_format(accept), text) << accept;
  }
}

TEST(MetricsFormat, FollowsTheQuality) {
  EXPECT_EQ(negotiate_format("text/plain;q=0.3, application/openmetrics-text;q=0.4"), open);
  EXPECT_EQ(negotiate_format("text/plain;q=0.5, application/openmetrics-text;q=0.4"), text);
  EXPECT_EQ(negotiate_format("application/openmetrics-text;q=0"), text);
  EXPECT_EQ(negotiate_format("application/openmetrics-text; q=0.001"), open);
  EXPECT_EQ(negotiate_format("application/openmetrics-text;q=2"), text) << "no quality: left out";
  EXPECT_EQ(negotiate_format("application/openmetrics-text, text/plain"), open) << "the first";
  EXPECT_EQ(negotiate_format("text/plain, application/openmetrics-text"), text) << "the first";
}

TEST(MetricsFormat, KnowsBlanksQuotesAndLargeLetters) {
  EXPECT_EQ(negotiate_format(" Application/OpenMetrics-Text ; Version=\"1.0.0\" ; Q=1.0 "), open);
  EXPECT_EQ(negotiate_format("x/y;a=\"b,application/openmetrics-text\""), text) << "between quotation marks";
}

TEST(MetricsFormat, AnyBytesAreAnswered) {
  std::mt19937 random(4);
  for (int round = 0; round < 20'000; round++) {
    std::string accept(random() % 30, '\0');
    for (char& c : accept) c = random() % 2 == 0 ? "\"\\,;=/*q01. "[random() % 12] : static_cast<char>(random());
    (void)negotiate_format(accept);
  }
}

TEST(MetricsFormat, HasContentTypes) {
  EXPECT_STREQ(content_type(text), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_STREQ(content_type(open), "application/openmetrics-text; version=1.0.0; charset=utf-8");
  EXPECT_STREQ(content_type(proto),
               "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited");
}

}  // namespace
}  // namespace waitprobe
