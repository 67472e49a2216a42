// SPDX-License-Identifier: MIT
#include "src/serve/listen_address.h"

#include <gtest/gtest.h>

namespace waitprobe {
namespace {

ListenAddress address(const std::string& text) { return parse_listen_address(text).value(); }

TEST(ListenAddressTest, KnowsLoopbackFromTheRest) {
  for (const char* text : {"127.0.0.1:9464", "127.8.9.10:1", "[::1]:0", "localhost:9464", "[::ffff:127.0.0.1]:9464"}) {
    EXPECT_TRUE(address(text).is_loopback) << text;
    EXPECT_FALSE(address(text).is_any) << text;
  }
  for (const char* text : {":9464", "0.0.0.0:9464", "[::]:9464"}) {
    EXPECT_FALSE(address(text).is_loopback) << text;
    EXPECT_TRUE(address(text).is_any) << text;
  }
  EXPECT_FALSE(address("192.0.2.1:80").is_loopback);
  EXPECT_EQ(address("localhost:9464").address.ss_family, AF_INET);
}

TEST(ListenAddressTest, RefusesWhatIsNoAddress) {
  for (const char* text : {"", "9464", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:http",
                           "::1:9464", "[::1:9464", "[]:1", "no such name:1", "a:1:2"})
    EXPECT_FALSE(parse_listen_address(text).ok()) << text;
  const Error error = parse_listen_address("127.0.0.1").error();
  EXPECT_EQ(error.what + " " + error.on + ": " + error.why, "listen on '127.0.0.1': the port is missing");
}

TEST(ListenAddressTest, TakesAFreePortOnceAndSaysWhichIsTaken) {
  for (const char* text : {"127.0.0.1:0", ":0"}) {
    const auto first = listen_on(address(text));
    ASSERT_TRUE(first.ok()) << first.error().why;
    EXPECT_GT(first->port, 0);
    const auto second = listen_on(address("127.0.0.1:" + std::to_string(first->port)));
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.error().why, "Address already in use");
    EXPECT_NE(second.error().hint, "");
  }
  EXPECT_EQ(listen_on(address("192.0.2.1:0")).error().why, "Cannot assign requested address");
}

TEST(ListenAddressTest, ReadsTheHeaderHost) {
  EXPECT_EQ(host_of_header("Web1.Example.org:9464"), "web1.example.org");
  EXPECT_EQ(host_of_header("web1."), "web1");
  EXPECT_EQ(host_of_header("127.0.0.1:1"), "127.0.0.1");
  EXPECT_EQ(host_of_header("[::1]:9464"), "::1");
  EXPECT_EQ(host_of_header("[::1]"), "::1");
  for (const char* wrong :
       {"", ":9464", "a b", "a/b", "a:b", "a:123456", "[::1", "[a]", "[::1]x", "::1", "user@host", "a\"b", "\xff"})
    EXPECT_EQ(host_of_header(wrong), std::nullopt) << wrong;
}

TEST(ListenAddressTest, KnowsItsNamesAndNoOthers) {
  const HostCheck loopback(address("127.0.0.1:9464"), {"Agent.example.org", ".corp.example", ""});
  for (const char* host : {"localhost", "127.0.0.1", "::1", "192.0.2.7", "agent.example.org", "a.corp.example"})
    EXPECT_TRUE(loopback.accepts(host)) << host;
  for (const char* host :
       {"evil.example", "corp.example", "xagent.example.org", "localhost.evil.example", "127.0.0.1.evil.example", "127.1"})
    EXPECT_FALSE(loopback.accepts(host)) << host;
  EXPECT_FALSE(HostCheck(address("192.0.2.1:80"), {}).accepts("localhost"));
  EXPECT_TRUE(HostCheck(address(":80"), {}).accepts("localhost"));
}

TEST(ListenAddressTest, TakesHalfAnAddressOfIpv6ForANetwork) {
  const auto network = [](const char* text) {
    const ListenAddress one = address(text);
    return network_text(reinterpret_cast<const sockaddr*>(&one.address));
  };
  EXPECT_EQ(network("[2001:db8:1:2:3:4:5:6]:1"), network("[2001:db8:1:2::9]:1"));
  EXPECT_NE(network("[2001:db8:1:2::]:1"), network("[2001:db8:1:3::]:1"));
  EXPECT_EQ(network("[::ffff:192.0.2.1]:1"), "192.0.2.1");
  EXPECT_EQ(network("192.0.2.1:1"), "192.0.2.1");
}

}  // namespace
}  // namespace waitprobe
