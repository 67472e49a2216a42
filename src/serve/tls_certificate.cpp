// SPDX-License-Identifier: MIT
#include "src/serve/tls_certificate.h"

#include <gnutls/x509.h>

#include "src/serve/text_file.h"

namespace waitprobe {
namespace {

thread_local TlsCertificate* of_this_thread = nullptr;

constexpr unsigned most_certificates = 16;  // of a chain

Error tls_error(const std::string& file, std::string why, std::string hint = "") {
  return {"use for TLS", file, std::move(why), std::move(hint)};
}

gnutls_datum_t datum(const std::string& text) {
  return {reinterpret_cast<unsigned char*>(const_cast<char*>(text.data())), static_cast<unsigned>(text.size())};
}

bool same(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec &&
         a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

}  // namespace

Result<TlsCertificate::Pem> TlsCertificate::read_pem(const TlsConfig& config) {
  Pem pem;
  auto certificate = read_text_file(config.cert_file);
  if (!certificate) return tls_error(config.cert_file, certificate.error().why);
  auto key = read_text_file(config.key_file);
  if (!key) return tls_error(config.key_file, key.error().why);
  pem = {std::move(certificate->text), std::move(key->text), certificate->stat, key->stat};
  // GnuTLS finds out whether the two belong together.
  gnutls_certificate_credentials_t credentials;
  if (gnutls_certificate_allocate_credentials(&credentials) != 0) return tls_error(config.cert_file, "there is no memory");
  const gnutls_datum_t certificate_datum = datum(pem.certificate), key_datum = datum(pem.key);
  const int failed = gnutls_certificate_set_x509_key_mem(credentials, &certificate_datum, &key_datum, GNUTLS_X509_FMT_PEM);
  gnutls_certificate_free_credentials(credentials);
  if (failed < 0)
    return tls_error(config.cert_file + " with " + config.key_file, gnutls_strerror(failed),
                     "cert_file and key_file must be PEM files that belong together");
  return pem;
}

Result<std::unique_ptr<TlsCertificate>> TlsCertificate::read(const TlsConfig& config) {
  std::unique_ptr<TlsCertificate> result(new TlsCertificate(config));
  auto pem = read_pem(config);
  if (!pem) return pem.error();
  result->pem_ = std::move(*pem);
  result->looked_ = std::chrono::steady_clock::now();
  if (config.client_ca_file.empty()) return result;
  auto authorities = read_text_file(config.client_ca_file);
  if (!authorities) return tls_error(config.client_ca_file, authorities.error().why);
  gnutls_x509_crt_t* list = nullptr;
  unsigned cnt = 0;
  const gnutls_datum_t authorities_datum = datum(authorities->text);
  const int failed = gnutls_x509_crt_list_import2(&list, &cnt, &authorities_datum, GNUTLS_X509_FMT_PEM, 0);
  if (failed < 0) return tls_error(config.client_ca_file, gnutls_strerror(failed), "client_ca_file must be a PEM file");
  for (unsigned i = 0; i < cnt; i++) gnutls_x509_crt_deinit(list[i]);
  gnutls_free(list);
  result->client_authorities_ = std::move(authorities->text);
  return result;
}

const char* TlsCertificate::priorities() const {
  return config_.is_1_3_only ? "NORMAL:-VERS-ALL:+VERS-TLS1.3" : "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";
}

void TlsCertificate::read_again() {
  const auto now = std::chrono::steady_clock::now();
  if (now - looked_ < std::chrono::seconds(1)) return;
  looked_ = now;
  struct stat certificate, key;
  if (stat(config_.cert_file.c_str(), &certificate) != 0 || stat(config_.key_file.c_str(), &key) != 0) return;
  if (same(certificate, pem_.certificate_file) && same(key, pem_.key_file)) return;
  if (auto pem = read_pem(config_)) pem_ = std::move(*pem);
}

int TlsCertificate::give(gnutls_pcert_st** certificates, unsigned* cnt, gnutls_privkey_t* key) const {
  // Made for each handshake, and freed by GnuTLS: the next may have others.
  *cnt = most_certificates;
  *certificates = static_cast<gnutls_pcert_st*>(gnutls_calloc(most_certificates, sizeof(gnutls_pcert_st)));
  if (*certificates == nullptr) return -1;
  const gnutls_datum_t certificate_datum = datum(pem_.certificate), key_datum = datum(pem_.key);
  if (gnutls_pcert_list_import_x509_raw(*certificates, cnt, &certificate_datum, GNUTLS_X509_FMT_PEM, 0) < 0) {
    gnutls_free(*certificates);
    return -1;
  }
  if (gnutls_privkey_init(key) == 0) {
    if (gnutls_privkey_import_x509_raw(*key, &key_datum, GNUTLS_X509_FMT_PEM, nullptr, 0) == 0) return 0;
    gnutls_privkey_deinit(*key);
  }
  for (unsigned i = 0; i < *cnt; i++) gnutls_pcert_deinit(&(*certificates)[i]);
  gnutls_free(*certificates);
  return -1;
}

void TlsCertificate::use_on_this_thread(TlsCertificate* certificate) { of_this_thread = certificate; }

int TlsCertificate::retrieve(gnutls_session_t, const gnutls_cert_retr_st*, gnutls_pcert_st** certificates, unsigned* cnt,
                             gnutls_ocsp_data_st** ocsp, unsigned* ocsp_cnt, gnutls_privkey_t* key, unsigned* flags) {
  *ocsp = nullptr;
  *ocsp_cnt = 0;
  *flags = GNUTLS_CERT_RETR_DEINIT_ALL;
  if (of_this_thread == nullptr) return -1;
  of_this_thread->read_again();
  return of_this_thread->give(certificates, cnt, key);
}

bool has_client_certificate(gnutls_session_t session) {
  gnutls_typed_vdata_st purpose = {GNUTLS_DT_KEY_PURPOSE_OID,
                                   reinterpret_cast<unsigned char*>(const_cast<char*>(GNUTLS_KP_TLS_WWW_CLIENT)), 0};
  unsigned status = 0;
  return gnutls_certificate_verify_peers(session, &purpose, 1, &status) == 0 && status == 0;
}

}  // namespace waitprobe
