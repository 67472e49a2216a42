# SPDX-License-Identifier: MIT
"""The HTTP server under curl, nc and abuse: it answers good requests whatever others do, and its memory is bounded."""

import gzip
import os
import re
import socket
import subprocess
import threading
import time

import harness
from harness import run, wait_until
from served import GOOD, HASH, IDLE_CNT, Http, Server, status_of


class Requests(Http):
    def test_what_curl_gets(self):
        server = self.server()
        got = self.curl(server, "/metrics")
        self.assertEqual(status_of(got), 200)
        head = self.curl(server, "/metrics", "--head")
        self.assertEqual(status_of(head), 200)
        length = re.search(r"Content-Length: (\d+)", got.out).group(1)
        self.assertIn(f"Content-Length: {length}\n", head.out.replace("\r", ""))
        self.assertEqual(head.out.replace("\r", "").partition("\n\n")[2], "")
        for header in ("X-Content-Type-Options: nosniff", "Content-Security-Policy: default-src 'none'",
                       "Cache-Control: no-store"):
            self.assertIn(header, got.out)
        packed = subprocess.run(["curl", "-sS", "-H", "Accept-Encoding: gzip", f"http://127.0.0.1:{server.port}/metrics"],
                                capture_output=True, check=True).stdout
        self.assertEqual(gzip.decompress(packed).decode(), got.out.replace("\r", "").partition("\n\n")[2])
        self.assertLess(len(packed), int(length) / 3)
        self.assertEqual(status_of(self.curl(server, "/nothing")), 404)
        self.assertEqual(status_of(self.curl(server, "/", "--http1.0")), 200)

    def test_what_it_refuses(self):
        server = self.server()
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "FOO"):
            got = self.curl(server, "/", "-X", method)
            self.assertEqual(status_of(got), 405, method)
            self.assertIn("Allow: GET, HEAD", got.out)
        large = self.path("large")
        with open(large, "wb") as file:
            file.write(b"x" * 50_000_000)
        before = server.rss_kib()
        self.assertEqual(status_of(self.curl(server, "/", "--data-binary", f"@{large}")), 405)
        got = self.curl(server, "/", "-X", "GET", "--data-binary", "x")
        self.assertEqual(status_of(got), 413)
        self.assert_grew_less(server, before, 4096)

    def test_the_header_host(self):
        server = self.server("127.0.0.1:0", "-", "agent.example.org")
        for host in ("localhost", "localhost:1", "127.0.0.1", "[::1]:9464", "Agent.Example.ORG"):
            self.assertEqual(status_of(self.curl(server, "/", "-H", f"Host: {host}")), 200, host)
        for host in ("evil.example", "evil.example:9464", "localhost.evil.example"):
            got = self.curl(server, "/", "-H", f"Host: {host}")
            self.assertEqual(status_of(got), 403, host)
            self.assertIn(f"is not a name of this server: {host.partition(':')[0]}.", got.out)
        for host in ("Host:", "Host: a b", "Host: <script>"):
            self.assertEqual(status_of(self.curl(server, "/", "-H", host)), 400, host)

    def test_over_ipv6_and_on_all_addresses(self):
        web = self.write("web.yml", f"basic_auth_users:\n  ann: {HASH}\n")
        why = "other machines can reach this address, and TLS is not configured"
        self.assertRaisesRegex(AssertionError, why, Server, ":0", web)
        server = self.server("[::1]:0")
        self.assertEqual(run("curl", "-sS", f"http://[::1]:{server.port}/").out, "user \n")
        taken = harness.Program([harness.built("waitprobe-http-server"), f"[::1]:{server.port}", "-"])
        self.assertEqual(taken.wait(), 1)
        self.assertEqual(taken.err, f"cannot listen on [::1]:{server.port}: Address already in use\n")

    def test_netcat_and_half_closed(self):
        server = self.server()

        def netcat(request, *options):
            return subprocess.run(["nc", *options, "127.0.0.1", str(server.port)], input=request, capture_output=True,
                                  timeout=harness.DEADLINE_S, check=True).stdout
        for options in ([], ["-N"]):  # which shuts its half down at once
            self.assertIn(b"\r\n\r\nuser \n", netcat(b"GET / HTTP/1.0\r\n\r\n", *options), options)
        self.assertIn(b"slow\n", netcat(GOOD.replace(b"/metrics", b"/slow?200"), "-N"))

    def test_broken_requests(self):
        server = self.server()
        before = server.rss_kib()
        start = b"GET / HTTP/1.1\r\n"
        for bad in (b"\0" * 1000, b"GET\r\n\r\n", b"\r\n" * 5000, b"GET / HTTP/9.9\r\n\r\n", start + b"A: b\r\n" * 10_000,
                    start + b"Host: localhost\r\nContent-Length: -1\r\n\r\n", start + b"Host localhost\r\n\r\n",
                    b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n", os.urandom(10_000),
                    b"GET /" + b"x" * 1_000_000, b"GET / HTTP/1.1\r\nX: " + b"y" * 1_000_000, b"POST / HTTP/1.1\r\nHost: a\r\n"
                    b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n",
                    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 500):
            for _ in range(20):
                with server.connected() as one:
                    try:
                        one.sendall(bad)
                        one.shutdown(socket.SHUT_WR)
                        while one.recv(65536):
                            pass
                    except OSError:
                        pass  # it does not have to listen to the end
        self.assertEqual(status_of(self.curl(server)), 200)
        self.assert_grew_less(server, before, 4096)
        wait_until(lambda: server.fd_cnt() < 12, "all are closed")


class Abuse(Http):
    def keep_asking(self, server):
        """Asks as a scraper does, while others do what they do. Returns how long each request took, in seconds, what went
        wrong, and what ends it."""
        times, wrong, stop = [], [], threading.Event()

        def ask():
            while not stop.is_set():
                begin = time.monotonic()
                try:
                    with server.connected() as one:
                        one.sendall(GOOD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
                        got = b""
                        while chunk := one.recv(1 << 20):
                            got += chunk
                    if not got.startswith(b"HTTP/1.1 200") or not got.endswith(b"399960001\n"):
                        wrong.append(got[-100:])
                except OSError as error:
                    wrong.append(error)
                times.append(time.monotonic() - begin)
                stop.wait(0.02)
        thread = threading.Thread(target=ask)
        thread.start()

        def end():
            stop.set()
            thread.join()
        return times, wrong, end

    def flood(self, server, send):
        """Many connections at once, on each of which something is sent; they stay open."""
        connections = []
        for number in range(IDLE_CNT):
            one = server.connected()
            self.addCleanup(one.close)
            one.setblocking(False)
            try:
                one.send(send(number))
            except OSError:
                pass  # it has been ended already
            connections.append(one)
        return connections

    def check_flood(self, send, what, most_kib=20 * 1024):
        server = self.server()
        self.curl(server, "/metrics")  # what it needs once
        before = server.rss_kib()
        times, wrong, end = self.keep_asking(server)
        self.flood(server, send)
        wait_until(lambda: len(times) >= 20, "good requests while they are there")
        after = server.rss_kib()
        end()
        print(f"{what}: {len(times)} good requests, the slowest in {max(times):.3f} s, {len(wrong)} wrong; "
              f"{before} KiB before, {after} KiB after; {server.fd_cnt()} files")
        self.assertEqual(wrong, [])
        self.assertLess(max(times), 2 * harness.PATIENCE)
        self.assertLess(server.fd_cnt(), 400)
        if not harness.SANITIZED:
            self.assertLess(after - before, most_kib)
        self.assertLess(server.stop(), 500 * harness.PATIENCE)

    def test_a_thousand_idle(self):
        self.check_flood(lambda number: b"", "idle")

    def test_a_thousand_slow_in_sending(self):
        self.check_flood(lambda number: GOOD[:-2] + b"X: " + b"y" * (number % 8000), "headers that do not end")

    def test_a_thousand_slow_in_reading(self):
        # Each answer is a body of 3 MB of its own, and nobody reads.
        self.check_flood(lambda number: GOOD.replace(b"/metrics", b"/own"), "answers that nobody reads", 80 * 1024)

    def test_few_files_may_be_open(self):
        server = self.server(before=("prlimit", "--nofile=40:40"))
        self.flood(server, lambda number: b"")
        self.assertEqual(status_of(self.curl(server)), 200)
        self.assertLess(server.stop(), 500 * harness.PATIENCE)

    def test_slowloris(self):
        server = self.server()
        connections = [server.connected() for _ in range(50)]
        begin = time.monotonic()
        for one in connections:
            one.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        ended = 0
        while ended < len(connections) and time.monotonic() - begin < 30 * harness.PATIENCE:
            ended = 0
            for one in connections:
                try:
                    one.send(b"X: y\r\n")
                except OSError:
                    ended += 1
            time.sleep(0.5)  # now and then, as such a client does
        self.assertEqual(ended, len(connections))
        self.assertLess(time.monotonic() - begin, 14 * harness.PATIENCE, "10 s for all headers")
        for one in connections:
            one.close()

    def test_slow_answers_hold_up_no_others(self):
        server = self.server()
        slow = [server.connected() for _ in range(20)]
        for one in slow:
            one.sendall(GOOD.replace(b"/metrics", b"/slow?3000"))
        times, wrong, end = self.keep_asking(server)
        time.sleep(2)  # while they are being made
        end()
        self.assertEqual(wrong, [])
        self.assertLess(max(times), 1 * harness.PATIENCE)
        self.assertIn(b"503 Service Unavailable", slow[-1].recv(100), "it has waited for more than 5 s")
        for one in slow:
            one.close()

    def test_coming_and_going_leaves_nothing(self):
        server = self.server()
        for round_number in range(5):
            for one in self.flood(server, lambda number: GOOD if number % 2 else b"GET"):
                one.close()
            wait_until(lambda: server.fd_cnt() < 20, "all are closed")
            self.assertEqual(status_of(self.curl(server)), 200)
            if round_number == 1:
                before = server.rss_kib()
        self.assert_grew_less(server, before, 3072)
        self.assertLess(server.stop(), 500 * harness.PATIENCE)


if __name__ == "__main__":
    harness.main()
