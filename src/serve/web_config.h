// SPDX-License-Identifier: MIT
//
// TLS and users of a server, in the form of the web.config.file of Prometheus and its exporters.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "src/model/result.h"
#include "src/serve/listen_address.h"

namespace waitprobe {

struct TlsConfig {
  std::string cert_file;  // PEM: the certificate, then those of the authorities that signed it
  std::string key_file;   // PEM
  // PEM: a client must show a certificate that one of these has signed. Empty: it needs none.
  std::string client_ca_file;
  bool is_1_3_only = false;  // else TLS 1.2 and 1.3
};

struct WebConfig {
  std::optional<TlsConfig> tls;              // without it: plain HTTP
  std::map<std::string, std::string> users;  // name -> bcrypt hash; empty: everybody may read
};

// Paths of other files in it are relative to its own folder. Errors: it cannot be read, it is no YAML, or a field is unknown,
// wrong or not supported; the fields and their meaning are listed in docs/web-config.md. Certificates are not read here.
Result<WebConfig> read_web_config(const std::string& path);

// Whether a server may listen there: on loopback always, beyond it only with TLS and users, or if `is_insecure` allows it.
Result<void> check_exposure(const ListenAddress& address, const WebConfig& config, bool is_insecure);

}  // namespace waitprobe
