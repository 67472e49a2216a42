# SPDX-License-Identifier: MIT
"""The push against a receiver that is dead, slow, or busy for a while, and then works: what arrives is what was sent."""

import http.server
import json
import os
import re
import socket
import ssl
import subprocess
import tempfile
import threading
import time

import harness
from harness import TestCase, wait_until


class Receiver:
    """`behave(number of the request)` says (status, headers), or None for no answer at all."""

    def __init__(self, behave, port=0, certificate=None):
        self.requests = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length)
                if len(body) < length:  # the pusher was stopped
                    self.close_connection = True
                    return
                outer.requests.append((time.monotonic(), self.path, dict(self.headers), body))
                answer = behave(len(outer.requests))
                if answer is None:
                    outer.stopping.wait()
                    self.close_connection = True
                    return
                self.send_response(answer[0])
                for name, value in answer[1].items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass
        self.stopping = threading.Event()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def stop(self):
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def bodies(self):
        return [json.loads(body) for _, _, _, body in self.requests]


class Pusher(harness.Program):
    def __init__(self, url, interval_ms, size, timeout_ms, *more):
        super().__init__([harness.built("waitprobe-pusher"), url, interval_ms, size, timeout_ms, *more])

    def counts(self):
        before = self.out.count("\n")
        self.signal(harness.signal.SIGUSR1)
        wait_until(lambda: self.out.count("\n") > before, "the counts")
        return json.loads(self.out.splitlines()[-1])

    def stop(self):
        self.signal(harness.signal.SIGTERM)
        if self.wait() != 0:
            raise AssertionError(f"did not end well: {self}")
        return json.loads(self.out.splitlines()[-1])


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Push(TestCase):
    def receiver(self, *words, **options):
        receiver = Receiver(*words, **options)
        self.addCleanup(receiver.stop)
        return receiver

    def pusher(self, *words):
        pusher = self.started(Pusher(*words))
        # By then it takes the signals.
        wait_until(lambda: len(os.listdir(f"/proc/{pusher.pid}/task")) > 1, "its thread")
        return pusher

    def test_what_arrives_is_what_was_sent(self):
        receiver = self.receiver(lambda number: (200, {}))
        pusher = self.pusher(f"http://127.0.0.1:{receiver.port}", 50, 2_000_000, 30_000)
        wait_until(lambda: pusher.counts()["sent"] >= 5, "five pushes")
        last = pusher.stop()
        self.assertEqual([body["number"] for body in receiver.bodies()], list(range(1, len(receiver.requests) + 1)))
        for (_, path, headers, _), body in zip(receiver.requests, receiver.bodies()):
            self.assertEqual(path, "/v1/metrics")
            self.assertEqual(headers["Content-Type"], "application/json")
            self.assertEqual(body["text"], "\u00e4\u00e4" + "x" * 2_000_000)
        self.assertGreaterEqual(last["sent"], 5)
        self.assertEqual((last["failed"], last["error"].replace("stopped", "")), (0, ""))
        self.assertLess(last["stopped_ms"], 500 * harness.PATIENCE)

    def test_dead_then_slow_then_busy_then_working(self):
        port = free_port()
        pusher = self.pusher(f"http://127.0.0.1:{port}/otlp/v1/metrics", 100, 100_000, 4000)
        wait_until(lambda: pusher.counts()["failed"] >= 3, "failures while it is dead")
        self.assertIn("connect", pusher.counts()["error"])

        def behave(number):
            if number == 1:
                return None  # nothing, until the timeout
            if number == 2:
                return (503, {"Retry-After": "2"})
            if number == 3:
                return (429, {})
            return (200, {})
        receiver = self.receiver(behave, port=port)
        wait_until(lambda: pusher.counts()["sent"] >= 3, "pushes that work")
        last = pusher.stop()
        at = [when for when, _, _, _ in receiver.requests]
        self.assertGreater(at[1] - at[0], 2.0, "the timeout, less what the receiver took to read")
        self.assertGreater(at[2] - at[1], 1.9, "as it was told")
        self.assertLess(at[3] - at[2], 3 * harness.PATIENCE)
        numbers = [body["number"] for body in receiver.bodies()]
        self.assertEqual(numbers, sorted(numbers))
        self.assertGreater(numbers[2], numbers[1] + 10, "the newest, and not what was refused")
        self.assertEqual({path for _, path, _, _ in receiver.requests}, {"/otlp/v1/metrics"})
        self.assertGreater(last["dropped"], 20)
        self.assertGreaterEqual(last["sent"] + last["failed"], len(receiver.requests) - 1)

    def test_memory_and_stopping_while_the_receiver_is_dead_or_hangs(self):
        hanging = self.receiver(lambda number: None)
        for port in (free_port(), hanging.port):
            pusher = self.pusher(f"http://127.0.0.1:{port}", 20, 2_000_000, 1000)
            wait_until(lambda: pusher.counts()["failed"] >= 2, "failures")

            def rss_kib():
                with open(f"/proc/{pusher.pid}/status", encoding="ascii") as status:
                    return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))
            before = rss_kib()
            dropped = pusher.counts()["dropped"]
            wait_until(lambda: pusher.counts()["dropped"] >= dropped + 30 or pusher.counts()["failed"] >= 4, "more of them")
            if not harness.SANITIZED:
                self.assertLess(rss_kib() - before, 8 * 1024)
            last = pusher.stop()
            print(f"RSS {before} KiB; {last}")
            self.assertLess(last["stopped_ms"], 500 * harness.PATIENCE)

    def test_by_tls_with_an_authority(self):
        folder = tempfile.TemporaryDirectory(prefix="waitprobe-push-")
        self.addCleanup(folder.cleanup)
        key, certificate = f"{folder.name}/key", f"{folder.name}/crt"
        words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                 "-subj", "/CN=x", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
        subprocess.run(words, check=True, capture_output=True)
        receiver = self.receiver(lambda number: (200, {}), certificate=(certificate, key))
        url = f"https://127.0.0.1:{receiver.port}"
        trusting = self.pusher(url, 50, 10, 30_000, certificate)
        wait_until(lambda: trusting.counts()["sent"] >= 2, "pushes")
        trusting.stop()
        taken = len(receiver.requests)
        careful = self.pusher(url, 50, 10, 30_000)
        wait_until(lambda: careful.counts()["failed"] >= 2, "failures")
        self.assertIn("certificate", careful.stop()["error"])
        self.assertEqual(len(receiver.requests), taken)

    def test_what_is_no_url(self):
        refused = harness.run(harness.built("waitprobe-pusher"), "localhost:4318", 100, 10, 1000)
        self.assertEqual(refused.process.returncode, 1)
        self.assertIn("cannot push to 'localhost:4318': the scheme", refused.err)


if __name__ == "__main__":
    harness.main()
