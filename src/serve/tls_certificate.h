// SPDX-License-Identifier: MIT
#pragma once

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <sys/stat.h>

#include <chrono>
#include <memory>
#include <string>

#include "src/model/result.h"
#include "src/serve/web_config.h"

namespace waitprobe {

// Certificate and key of a server, read again when their files change: at the first handshake a second later. While the new
// ones cannot be read or do not match, the old ones stay. Those of the clients' authorities are read once. Not thread-safe.
class TlsCertificate {
 public:
  // Errors: a file cannot be read or is no PEM, or the key is not that of the certificate.
  static Result<std::unique_ptr<TlsCertificate>> read(const TlsConfig& config);

  // PEM; empty if clients need no certificate.
  const std::string& client_authorities() const { return client_authorities_; }
  // In GnuTLS' form: the versions and ciphers.
  const char* priorities() const;

  // The callback below has nothing that says whose it is: it gives the certificate of its thread.
  static void use_on_this_thread(TlsCertificate* certificate);
  static int retrieve(gnutls_session_t session, const gnutls_cert_retr_st* info, gnutls_pcert_st** certificates, unsigned* cnt,
                      gnutls_ocsp_data_st** ocsp, unsigned* ocsp_cnt, gnutls_privkey_t* key, unsigned* flags);

 private:
  struct Pem {
    std::string certificate, key;
    struct stat certificate_file = {}, key_file = {};
  };
  static Result<Pem> read_pem(const TlsConfig& config);
  explicit TlsCertificate(const TlsConfig& config) : config_(config) {}
  void read_again();
  int give(gnutls_pcert_st** certificates, unsigned* cnt, gnutls_privkey_t* key) const;

  TlsConfig config_;
  Pem pem_;
  std::string client_authorities_;
  std::chrono::steady_clock::time_point looked_;
};

// Whether the client of a session has shown a certificate that one of the authorities has signed for clients.
bool has_client_certificate(gnutls_session_t session);

}  // namespace waitprobe
