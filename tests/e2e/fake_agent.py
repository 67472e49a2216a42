# SPDX-License-Identifier: MIT
"""Serves what docs/metrics.md lists, with made-up values: for what reads the metrics, where waits, losses and restarts are wanted.
In Prometheus' protobuf with native histograms to whoever accepts that, else as text."""

import http.server
import math
import struct
import threading

LOSSES = ("gap", "late")
KEYS = (("db.query", "wait"), ("pool.queue", "idle"))
# With each scrape, two more waits in the bucket of schema 3 that ends at each of these, in seconds: powers of two.
BOUNDS = (1, 2, 4, 8)


def varint(number):
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def zigzag(number):
    return varint(number * 2 if number >= 0 else -number * 2 - 1)


def field(number, value):
    """A field of protobuf: bytes or text with a length, a double, or a number that is written as it is."""
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def signed(number, value):
    return varint(number << 3) + zigzag(value)


def native(count, bounds):
    """A histogram: `count` waits in the buckets that end at the bounds, each twice the one before. Bucket n of schema 3 ends at 2^(n/8) s."""
    first = 8 * int(math.log2(bounds[0]))
    spans = field(12, signed(1, first) + field(2, 1)) + (len(bounds) - 1) * field(12, signed(1, 7) + field(2, 1))
    deltas = signed(13, count) + (len(bounds) - 1) * signed(13, 0)
    return field(1, len(bounds) * count) + field(2, float(count * sum(bounds))) + signed(5, 3) + field(6, 2.0 ** -128) + field(7, 0) + spans + deltas


class FakeAgent:
    """`families`: as agent_metrics.documented(). `address` is where it listens, to the end of its `with`."""

    def __init__(self, families, bounds=BOUNDS):
        self.families, self.bounds, self.scrapes, self.formats = families, bounds, 0, set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.scrapes += 1
                wants_protobuf = "application/vnd.google.protobuf" in self.headers.get("Accept", "")
                body = outer.protobuf() if wants_protobuf else outer.text().encode()
                kind = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited" if wants_protobuf else "text/plain; version=0.0.4"
                outer.formats.add(kind.split(";", maxsplit=1)[0])
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def label_sets(self, labels):
        if "key" in labels:
            return [{"key": key, "class": kind, "program": "server"} for key, kind in KEYS]
        if "reason" in labels:
            return [{"reason": reason} for reason in LOSSES]
        return [{name: "x" for name in sorted(labels)}]

    def value(self, name, kind):
        if name == "waitprobe_coverage_ratio":
            return 0.5
        return float(self.scrapes) if kind == "counter" else 7.0

    def protobuf(self):
        out = b""
        for name, (kind, labels) in self.families.items():
            family = field(1, name) + field(3, {"counter": 0, "gauge": 1, "histogram": 4}[kind])
            for label_set in self.label_sets(labels):
                pairs = b"".join(field(1, field(1, label) + field(2, value)) for label, value in label_set.items())
                value = field(7, native(2 * self.scrapes, self.bounds)) if kind == "histogram" else field(3 if kind == "counter" else 2, field(1, self.value(name, kind)))
                family += field(4, pairs + value)
            out += varint(len(family)) + family
        return out

    def text(self):
        lines = []
        for name, (kind, labels) in self.families.items():
            lines.append(f"# TYPE {name} {kind}")
            for label_set in self.label_sets(labels):
                pairs = [f'{label}="{value}"' for label, value in label_set.items()]
                if kind != "histogram":
                    lines.append(f"{name}{{{','.join(pairs)}}} {self.value(name, kind)}")
                    continue
                count = 2 * self.scrapes
                buckets = [(str(bound), count * (i + 1)) for i, bound in enumerate(self.bounds)] + [("+Inf", len(self.bounds) * count)]
                lines += [f"{name}_bucket{{{','.join(pairs + [f'le=' + chr(34) + le + chr(34)])}}} {below}" for le, below in buckets]
                lines += [f"{name}_sum{{{','.join(pairs)}}} {count * sum(self.bounds)}", f"{name}_count{{{','.join(pairs)}}} {len(self.bounds) * count}"]
        return "\n".join(lines) + "\n"
