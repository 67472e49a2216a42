# SPDX-License-Identifier: MIT
"""TLS and users of the HTTP server."""

import re
import subprocess
import time

import harness
from harness import wait_until
from served import HASH, IDLE_CNT, Http, Server, status_of


class Tls(Http):
    def make_certificate(self, name, subject, issuer=None, usage="serverAuth"):
        key, certificate = self.path(f"{name}.key"), self.path(f"{name}.crt")
        words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                 "-subj", f"/CN={subject}", "-keyout", key, "-out", certificate]
        if issuer:
            words += ["-CA", self.path(f"{issuer}.crt"), "-CAkey", self.path(f"{issuer}.key"),
                      "-addext", f"extendedKeyUsage={usage}", "-addext", "basicConstraints=critical,CA:FALSE",
                      "-addext", "subjectAltName=IP:127.0.0.1"]
        subprocess.run(words, check=True, capture_output=True)

    def setUp(self):
        super().setUp()
        self.make_certificate("ca", "test authority")
        self.make_certificate("server", "first", "ca")
        self.web = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"

    def https(self, server, path="/", *options):
        return self.curl(server, path, "--cacert", self.path("ca.crt"), *options, scheme="https")

    def test_serves_by_tls_whatever_its_name(self):
        server = self.server("127.0.0.1:0", self.write("web.yml", self.web))
        self.assertEqual(status_of(self.https(server, "/metrics")), 200)
        self.assertEqual(status_of(self.https(server, "/", "--tls-max", "1.2")), 200)
        self.assertEqual(status_of(self.https(server, "/", "-H", "Host: any.example")), 200)
        refused = self.https(server, "/", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0")
        self.assertIsNone(status_of(refused))
        self.assertIn("unable to get local issuer", self.curl(server, scheme="https").err)
        self.assertIsNone(status_of(self.curl(server)), "plain HTTP")

    def test_only_the_newest_version(self):
        server = self.server("127.0.0.1:0", self.write("web.yml", self.web + "  min_version: TLS13\n"))
        self.assertEqual(status_of(self.https(server)), 200)
        self.assertIsNone(status_of(self.https(server, "/", "--tls-max", "1.2")))

    def test_a_new_certificate_is_used_and_a_broken_one_is_not(self):
        server = self.server("127.0.0.1:0", self.write("web.yml", self.web))

        def name():
            shown = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}"], stdin=subprocess.DEVNULL,
                                   capture_output=True, check=False).stdout.decode()
            return re.search(r"subject=CN ?= ?(\w+)", shown).group(1)
        self.assertEqual(name(), "first")
        self.write("server.key", "broken")
        time.sleep(1.2)  # files are looked at once in a second
        self.assertEqual(name(), "first")
        self.make_certificate("server", "second", "ca")
        wait_until(lambda: name() == "second", "the new certificate")

    def test_certificates_of_clients(self):
        self.make_certificate("client", "client", "ca", "clientAuth")
        self.make_certificate("other", "another authority")
        self.make_certificate("stranger", "stranger", "other", "clientAuth")
        web = self.web + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n"
        server = self.server("127.0.0.1:0", self.write("web.yml", web))

        def with_certificate(name):
            return self.https(server, "/", "--cert", self.path(f"{name}.crt"), "--key", self.path(f"{name}.key"))
        self.assertEqual(status_of(with_certificate("client")), 200)
        self.assertEqual(status_of(self.https(server)), 403)
        self.assertIn("A certificate of the client is required.", self.https(server).out)
        self.assertNotEqual(status_of(with_certificate("stranger")), 200)
        self.assertNotEqual(status_of(with_certificate("server")), 200, "which is not for clients")

    def test_what_cannot_be_used(self):
        self.write("bad.crt", "no certificate")
        for web, why in ((self.web.replace("server.crt", "bad.crt"), "bad.crt with .*server.key: Base64"),
                         (self.web.replace("server.key", "ca.key"), "ca.key: The certificate and the given key do not match"),
                         (self.web.replace("server.key", "none.key"), "none.key: No such file")):
            self.assertRaisesRegex(AssertionError, why, Server, "127.0.0.1:0", self.write("web.yml", web))

    def test_a_thousand_handshakes_that_do_not_end(self):
        server = self.server("127.0.0.1:0", self.write("web.yml", self.web))
        self.https(server)
        before = server.rss_kib()
        hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 300  # half of it
        for _ in range(IDLE_CNT):
            one = server.connected()
            one.sendall(hello)
            self.addCleanup(one.close)

        def rests():
            ticks = harness.cpu_ticks(server.pid)
            time.sleep(1)
            return harness.cpu_ticks(server.pid) - ticks < 30  # of a hundred

        harness.wait_until(rests, "the server rests while they wait for their clients")
        for _ in range(10):
            self.assertEqual(status_of(self.https(server)), 200)
        print(f"handshakes: {before} KiB before, {server.rss_kib()} KiB after")
        self.assert_grew_less(server, before, 20 * 1024)
        self.assertLess(server.stop(), 500 * harness.PATIENCE)


class Users(Http):
    def setUp(self):
        super().setUp()
        self.web = self.write("web.yml", f"basic_auth_users:\n  ann: {HASH}\n")
        self.users = self.server("127.0.0.1:0", self.web)

    def test_right_and_wrong(self):
        got = self.curl(self.users)
        self.assertEqual(status_of(got), 401)
        self.assertIn('WWW-Authenticate: Basic realm="waitprobe"', got.out)
        right = self.curl(self.users, "/", "-u", "ann:secret")
        self.assertEqual(status_of(right), 200)
        self.assertIn("user ann\n", right.out)
        for wrong in ("ann:", "ann:Secret", "bob:secret", ":secret", "ann:secret2"):
            told = []  # on a slow machine, checks cost more than clients may have checked at a time
            wait_until(lambda user=wrong: told.append(status_of(self.curl(self.users, "/", "-u", user))) or told[-1] != 429, "it is checked")
            self.assertEqual(told[-1], 401, wrong)
        for broken in ("Basic", "Basic !!!", "Basic YW5u", "Bearer x", "Basic " + "A" * 5000):
            self.assertEqual(status_of(self.curl(self.users, "/", "-H", f"Authorization: {broken}")), 401, broken)

    def test_a_right_password_is_checked_once(self):
        self.curl(self.users, "/", "-u", "ann:secret")
        before = harness.cpu_ticks(self.users.pid)
        for _ in range(50):
            self.assertEqual(status_of(self.curl(self.users, "/", "-u", "ann:secret")), 200)
        self.assertLess(harness.cpu_ticks(self.users.pid) - before, 50 * 3, "each check takes some 50 ms")

    def test_guessing_is_stopped_and_keeps_nobody_out(self):
        self.curl(self.users, "/", "-u", "ann:secret")
        before = harness.cpu_ticks(self.users.pid)
        seen = []
        for number in range(200):
            seen.append(status_of(self.curl(self.users, "/", "-u", f"ann:guess{number}")))
        self.assertEqual(set(seen), {401, 429})
        self.assertGreater(seen.count(429), 100)
        self.assertLess(harness.cpu_ticks(self.users.pid) - before, 300)
        self.assertEqual(status_of(self.curl(self.users, "/", "-u", "ann:secret")), 200)

    def test_users_are_read_again(self):
        self.assertEqual(status_of(self.curl(self.users, "/", "-u", "ann:secret")), 200)
        self.write("web.yml", f"basic_auth_users:\n  bob: {HASH}\n")
        self.users.signal(harness.signal.SIGHUP)
        wait_until(lambda: status_of(self.curl(self.users, "/", "-u", "bob:secret")) == 200, "the new user")
        self.assertEqual(status_of(self.curl(self.users, "/", "-u", "ann:secret")), 401)


if __name__ == "__main__":
    harness.main()
