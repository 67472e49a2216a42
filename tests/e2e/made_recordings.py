# SPDX-License-Identifier: MIT
"""Recordings that are written by hand, of times and loads that nobody has to wait for."""

import calendar
import json
import time

ZONE = {"TZ": "UTC"}  # of the moments below, for whoever reads them
LO_NS, HI_NS = 976_563, 1_064_949  # a bucket of bpf/bucket.h: above 2^-10 s, up to 2^(-10 + 1/8) s


def unix_ns(moment):
    """Of "2026-11-27 22:46:00"."""
    return calendar.timegm(time.strptime(moment, "%Y-%m-%d %H:%M:%S")) * 10**9


def waits_of(key, count, ms=1):
    """A series of so many waits of about a millisecond, or of 2, 4 or more: a power of two."""
    lo_ns = LO_NS * ms
    return {"pid": 1, "start_ticks": 1, "comm": "made", "key": key, "count": count, "total_ns": count * lo_ns, "min_ns": lo_ns, "max_ns": lo_ns,
            "buckets": [{"lo_ns": lo_ns, "hi_ns": HI_NS * ms, "count": count}]}


def write_recording(file, begin, intervals, interval_s=1, keys=(), **members):
    """`intervals`: the series of each, which have these members besides. Returns `file`."""
    begin_ns, interval_ns = unix_ns(begin), int(interval_s * 10**9)
    lines = [{"waitprobe_recording": 2, "version": "0", "time_unix_ns": begin_ns, "host": "made", "boot": "", "kernel": "", "machine": "",
              "targets": ["-a"], "keys": list(keys)}]
    for i, series in enumerate(intervals):
        series = sorted((one for one in series if one["count"]), key=lambda one: one["key"])
        lines.append({"waitprobe": 1, "time_unix_ns": begin_ns + (i + 1) * interval_ns, "elapsed_ns": interval_ns, "series": series,
                      "coverage": {"observed": sum(one["count"] for one in series), "lost": 0}, "losses": {}, **members})
    lines.append({"waitprobe_end": "stopped"})
    with open(file, "w", encoding="ascii") as out:
        out.writelines(json.dumps(line) + "\n" for line in lines)
    return file
