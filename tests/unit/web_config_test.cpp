// SPDX-License-Identifier: MIT
#include "src/serve/web_config.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace waitprobe {
namespace {

const std::string hash = "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";

class WebConfigTest : public testing::Test {
 protected:
  WebConfigTest() {
    char name[] = "/tmp/waitprobe-web-XXXXXX";
    close(mkstemp(name));
    file_ = name;
  }
  ~WebConfigTest() override { unlink(file_.c_str()); }

  Result<WebConfig> read(const std::string& text) {
    std::ofstream(file_, std::ios::binary | std::ios::trunc) << text;
    return read_web_config(file_);
  }
  std::string why(const std::string& text) {
    const auto config = read(text);
    return config ? "nothing" : config.error().why;
  }
  std::string file_;
};

TEST_F(WebConfigTest, ReadsWhatPrometheusReads) {
  const auto config = read(
      "tls_server_config:\n  cert_file: server.crt\n  key_file: /etc/server.key\n  min_version: TLS13\n"
      "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: keys/ca.crt\n"
      "http_server_config:\n  http2: true\n"
      "basic_auth_users:\n  ann: " +
      hash + "\n  bob: " + hash + "\n");
  ASSERT_TRUE(config.ok()) << config.error().why;
  ASSERT_TRUE(config->tls.has_value());
  EXPECT_EQ(config->tls->cert_file, "/tmp/server.crt");
  EXPECT_EQ(config->tls->key_file, "/etc/server.key");
  EXPECT_EQ(config->tls->client_ca_file, "/tmp/keys/ca.crt");
  EXPECT_TRUE(config->tls->is_1_3_only);
  EXPECT_EQ(config->users, (std::map<std::string, std::string>{{"ann", hash}, {"bob", hash}}));
  for (const char* nothing : {"", "# nothing\n", "{}", "tls_server_config:\nbasic_auth_users:\n"}) {
    const auto empty = read(nothing);
    ASSERT_TRUE(empty.ok()) << empty.error().why;
    EXPECT_FALSE(empty->tls.has_value());
    EXPECT_TRUE(empty->users.empty());
  }
}

TEST_F(WebConfigTest, SaysWhatIsWrong) {
  EXPECT_EQ(why("tls_server_confg: {}\n"), "line 1: unknown field 'tls_server_confg' in the file");
  EXPECT_EQ(why("tls_server_config:\n  cert_fil: a\n"), "line 2: unknown field 'cert_fil' in tls_server_config");
  EXPECT_EQ(why("tls_server_config:\n  cert_file: a\n"), "tls_server_config needs cert_file and key_file");
  EXPECT_EQ(why("tls_server_config:\n  cipher_suites: []\n"), "line 2: cipher_suites is not supported");
  const std::string tls = "tls_server_config:\n  cert_file: a\n  key_file: b\n";
  EXPECT_EQ(why(tls + "  client_auth_type: RequestClientCert\n"), "client_auth_type RequestClientCert is not supported");
  EXPECT_EQ(why(tls + "  client_auth_type: Perhaps\n"), "unknown client_auth_type 'Perhaps'");
  EXPECT_EQ(why(tls + "  client_auth_type: RequireAndVerifyClientCert\n"), "RequireAndVerifyClientCert needs client_ca_file");
  EXPECT_EQ(why(tls + "  client_ca_file: c\n"), "client_ca_file without client_auth_type: RequireAndVerifyClientCert");
  EXPECT_EQ(why(tls + "  min_version: TLS10\n"), "line 4: min_version must be TLS12 or TLS13");
  EXPECT_EQ(why("basic_auth_users:\n  ann: secret\n"), "line 2: user 'ann': the value is not a bcrypt hash");
  EXPECT_EQ(why("basic_auth_users:\n  ann: [1]\n"), "line 2: ann must be a single value");
  EXPECT_EQ(why("basic_auth_users: [ann]\n"), "line 1: basic_auth_users must be a mapping");
  EXPECT_EQ(why("basic_auth_users:\n  ann: " + hash + "\n  ann: " + hash + "\n"), "line 3: 'ann' is there twice");
  EXPECT_EQ(why("a: [\n").substr(0, 24), "it is not valid YAML: ya");
  EXPECT_EQ(why("just text\n"), "line 1: the file must be a mapping");
  EXPECT_EQ(read_web_config("/nowhere/web.yml").error().why, "No such file or directory");
  EXPECT_EQ(read_web_config("/tmp").error().why, "Is a directory");
}

TEST_F(WebConfigTest, BeyondLoopbackItWantsTlsAndUsers) {
  const ListenAddress near = parse_listen_address("[::1]:1").value(), far = parse_listen_address(":1").value();
  WebConfig nothing, users, tls, both;
  both.users = users.users = {{"ann", hash}};
  both.tls = tls.tls = TlsConfig{"a", "b", "", false};
  for (const WebConfig& config : {nothing, users, tls, both}) {
    EXPECT_TRUE(check_exposure(near, config, false).ok());
    EXPECT_TRUE(check_exposure(far, config, true).ok());
  }
  EXPECT_TRUE(check_exposure(far, both, false).ok());
  const auto refused = check_exposure(far, nothing, false);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().why, "other machines can reach this address, and TLS and users are not configured");
  EXPECT_EQ(check_exposure(far, tls, false).error().why, "other machines can reach this address, and users are not configured");
  EXPECT_EQ(check_exposure(far, users, false).error().why, "other machines can reach this address, and TLS is not configured");
}

}  // namespace
}  // namespace waitprobe
