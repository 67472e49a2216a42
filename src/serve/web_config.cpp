// SPDX-License-Identifier: MIT
#include "src/serve/web_config.h"

#include <yaml-cpp/yaml.h>

#include <set>

#include "src/serve/passwords.h"
#include "src/serve/text_file.h"

namespace waitprobe {
namespace {

// One level of the file. The first thing that is wrong ends reading, as an exception within this file.
struct Wrong {
  std::string why, hint;
};

std::string at_line(const YAML::Node& node) {
  return node.Mark().is_null() ? "" : "line " + std::to_string(node.Mark().line + 1) + ": ";
}

std::string scalar(const YAML::Node& node, const std::string& name) {
  if (node.IsNull()) return "";
  if (!node.IsScalar()) throw Wrong{at_line(node) + name + " must be a single value", ""};
  return node.Scalar();
}

// Calls take(name, value) for each field; it returns false for what it does not know.
template <class Take>
void each_field(const YAML::Node& map, const std::string& where, const Take& take) {
  if (map.IsNull()) return;
  if (!map.IsMap()) throw Wrong{at_line(map) + where + " must be a mapping", ""};
  std::set<std::string> seen;
  for (const auto& field : map) {
    const std::string name = scalar(field.first, "the name of a field");
    if (!seen.insert(name).second) throw Wrong{at_line(field.first) + "'" + name + "' is there twice", ""};
    if (!take(name, field.second))
      throw Wrong{at_line(field.first) + "unknown field '" + name + "' in " + where, "check its spelling"};
  }
}

Wrong not_supported(const YAML::Node& node, const std::string& name) {
  return {at_line(node) + name + " is not supported", "remove it; docs/web-config.md lists the supported fields"};
}

TlsConfig read_tls(const YAML::Node& node, const std::string& folder) {
  TlsConfig tls;
  std::string client_auth;
  each_field(node, "tls_server_config", [&](const std::string& name, const YAML::Node& value) {
    const auto file = [&] {
      const std::string path = scalar(value, name);
      return path.empty() || path.front() == '/' ? path : folder + path;
    };
    if (name == "cert_file") return tls.cert_file = file(), true;
    if (name == "key_file") return tls.key_file = file(), true;
    if (name == "client_ca_file") return tls.client_ca_file = file(), true;
    if (name == "client_auth_type") return client_auth = scalar(value, name), true;
    if (name == "min_version") {
      const std::string version = scalar(value, name);
      if (version != "TLS12" && version != "TLS13") throw Wrong{at_line(value) + "min_version must be TLS12 or TLS13", ""};
      return tls.is_1_3_only = version == "TLS13", true;
    }
    for (const char* other : {"cert", "key", "key_ref", "client_ca", "client_allowed_sans", "max_version", "cipher_suites",
                              "curve_preferences", "prefer_server_cipher_suites"})
      if (name == other) throw not_supported(value, name);
    return false;
  });
  if (tls.cert_file.empty() || tls.key_file.empty()) throw Wrong{"tls_server_config needs cert_file and key_file", ""};
  if (client_auth.empty()) client_auth = "NoClientCert";
  for (const char* other : {"RequestClientCert", "RequireAnyClientCert", "VerifyClientCertIfGiven"})
    if (client_auth == other)
      throw Wrong{"client_auth_type " + client_auth + " is not supported", "use NoClientCert or RequireAndVerifyClientCert"};
  if (client_auth != "NoClientCert" && client_auth != "RequireAndVerifyClientCert")
    throw Wrong{"unknown client_auth_type '" + client_auth + "'", "use NoClientCert or RequireAndVerifyClientCert"};
  const bool requires_one = client_auth == "RequireAndVerifyClientCert";
  if (requires_one && tls.client_ca_file.empty()) throw Wrong{"RequireAndVerifyClientCert needs client_ca_file", ""};
  if (!requires_one && !tls.client_ca_file.empty())
    throw Wrong{"client_ca_file without client_auth_type: RequireAndVerifyClientCert", "add the latter, or remove the former"};
  return tls;
}

std::map<std::string, std::string> read_users(const YAML::Node& node) {
  std::map<std::string, std::string> users;
  each_field(node, "basic_auth_users", [&users](const std::string& name, const YAML::Node& value) {
    const std::string hash = scalar(value, name);
    if (name.empty() || name.find(':') != name.npos)
      throw Wrong{at_line(value) + "a user's name may not be empty or contain ':'", ""};
    // The hash itself is in no message: it may be a password by mistake.
    if (const std::string why = why_no_hash(hash); !why.empty())
      throw Wrong{at_line(value) + "user '" + name + "': " + why, "make one: htpasswd -nBC 10 " + name};
    return users.emplace(name, hash), true;
  });
  return users;
}

WebConfig read(const YAML::Node& root, const std::string& folder) {
  WebConfig config;
  each_field(root, "the file", [&](const std::string& name, const YAML::Node& value) {
    if (name == "tls_server_config") {
      if (!value.IsNull()) config.tls = read_tls(value, folder);
      return true;
    }
    if (name == "basic_auth_users") return config.users = read_users(value), true;
    if (name == "http_server_config") {
      each_field(value, name, [](const std::string& field, const YAML::Node& of) {
        if (field == "headers") throw not_supported(of, field);
        return field == "http2";  // whatever it says: HTTP/1.1 is spoken
      });
      return true;
    }
    if (name == "rate_limit") throw not_supported(value, name);
    return false;
  });
  return config;
}

}  // namespace

Result<WebConfig> read_web_config(const std::string& path) {
  const auto failed = [&path](std::string why, std::string hint) {
    return Error{"read the web configuration", path, std::move(why), std::move(hint)};
  };
  const auto file = read_text_file(path);
  if (!file) return failed(file.error().why, "");
  try {
    const auto slash = path.rfind('/');
    return read(YAML::Load(file->text), slash == path.npos ? "" : path.substr(0, slash + 1));
  } catch (const Wrong& wrong) {
    return failed(wrong.why, wrong.hint);
  } catch (const YAML::Exception& no_yaml) {
    return failed("it is not valid YAML: " + std::string(no_yaml.what()), "");
  }
}

Result<void> check_exposure(const ListenAddress& address, const WebConfig& config, bool is_insecure) {
  if (address.is_loopback || is_insecure || (config.tls && !config.users.empty())) return {};
  const char* missing = config.tls ? "users are" : !config.users.empty() ? "TLS is" : "TLS and users are";
  return Error{"listen on", address.text,
               std::string("other machines can reach this address, and ") + missing + " not configured",
               "add " +
                   std::string(config.tls              ? "basic_auth_users"
                               : !config.users.empty() ? "tls_server_config"
                                                       : "both") +
                   " with --web-config FILE, listen on 127.0.0.1, or use --insecure"};
}

}  // namespace waitprobe
