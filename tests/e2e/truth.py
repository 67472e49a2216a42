# SPDX-License-Identifier: MIT
"""The truth that a workload writes as it happens, into a file that outlives it: tests/workload/truth_file.h."""

import os
import struct
import tempfile
import weakref

MAGIC = 0x7761697474727468
HEADER_WORDS = 8


class Truth:
    """A file for --truth-file. Of each key, as many waits have happened as lie between `done` and `begun`."""

    def __init__(self):
        fd, self.path = tempfile.mkstemp(prefix="waitprobe-truth-")
        os.close(fd)
        weakref.finalize(self, os.unlink, self.path)

    @property
    def options(self):
        return ["--truth-file", self.path]

    def rows(self):
        """By row: threads, the main thread, children; and in each by key: (done, begun)."""
        with open(self.path, "rb") as file:
            words = struct.unpack(f"<{os.fstat(file.fileno()).st_size // 8}Q", file.read())
        if not words:
            raise AssertionError("the workload has not made its truth file")
        magic, row_cnt, key_cnt = words[:3]
        if magic != MAGIC or len(words) != HEADER_WORDS + 2 * row_cnt * key_cnt:
            raise AssertionError(f"no truth file: {words[:HEADER_WORDS]}, {len(words)} words")
        pairs = [(words[i + 1], words[i]) for i in range(HEADER_WORDS, len(words), 2)]
        return [{f"work.{key}": pairs[row * key_cnt + key] for key in range(key_cnt)} for row in range(row_cnt)]

    def bounds(self, rows=slice(None)):
        """Over all threads, or some: {key: (done, begun)}, without keys of which nothing has begun."""
        total = {}
        for row in self.rows()[rows]:
            for key, (done, begun) in row.items():
                before = total.get(key, (0, 0))
                total[key] = (before[0] + done, before[1] + begun)
        return {key: pair for key, pair in total.items() if pair[1] != 0}

    def exact(self):
        """Of a workload that nothing has cut short: waits by key."""
        bounds = self.bounds()
        cut = {key: pair for key, pair in bounds.items() if pair[0] != pair[1]}
        if cut:
            raise AssertionError(f"waits were cut short: {cut}")
        return {key: done for key, (done, _) in bounds.items()}
