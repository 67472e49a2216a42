# SPDX-License-Identifier: MIT
"""The demo compresses what it says, traced or not."""

import os
import re
import sys
import tempfile
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))

import harness  # noqa: E402
from harness import TestCase, built, run  # noqa: E402

FILES = {
    "small.txt": b"waits\n" * 7,
    "empty": b"",
    "below/large.bin": os.urandom(300_000) * 9,  # more than the budget, and no whole number of pieces
    "below/deep/zero": b"\0" * 1_000_003,
}
KEYS = {f"demo.{name}" for name in ("paths.push", "paths.pop", "pieces.push", "pieces.pop", "results.push", "results.pop", "disk.read",
                                    "budget.acquire", "output.lock")}


def make_tree(folder):
    tree = os.path.join(folder, "tree")
    for name, contents in FILES.items():
        os.makedirs(os.path.dirname(os.path.join(tree, name)), exist_ok=True)
        with open(os.path.join(tree, name), "wb") as file:
            file.write(contents)
    os.symlink(os.path.join(tree, "small.txt"), os.path.join(tree, "link_to_a_file"))
    os.symlink(tree, os.path.join(tree, "below/link_to_itself"))
    os.mkfifo(os.path.join(tree, "nobody_writes_here"))
    return tree


def decompressed(output, tree):
    """What the output holds: {name: contents}."""
    files, at = {}, 0
    while at < len(output):
        line_end = output.index(b"\n", at)
        offset, length, packed, path = output[at:line_end].split(b" ", 3)
        at = line_end + 1
        piece = zlib.decompress(output[at:at + int(packed)])
        at += int(packed)
        assert len(piece) == int(length)
        files.setdefault(os.path.relpath(path.decode(), tree), []).append((int(offset), piece))
    joined = {}
    for name, pieces in files.items():
        joined[name] = b""
        for offset, piece in sorted(pieces):
            assert offset == len(joined[name]), f"the pieces of {name} neither overlap nor leave gaps"
            joined[name] += piece
    return joined


class Demo(TestCase):
    def test_every_regular_file_is_in_the_output_and_nothing_else(self):
        with tempfile.TemporaryDirectory() as folder:
            tree, packed = make_tree(folder), os.path.join(folder, "packed")
            ran = run(built("waitprobe-demo"), tree, "-o", packed, "--budget", 1)
            self.assertEqual(ran.process.returncode, 0, ran)
            self.assertTrue(ran.out.startswith(f"compressed {len(FILES)} files of "), ran)
            with open(packed, "rb") as file:
                self.assertEqual(decompressed(file.read(), tree), FILES)

    def test_it_runs_the_same_with_one_thread_a_stage(self):
        with tempfile.TemporaryDirectory() as folder:
            ran = run(built("waitprobe-demo"), make_tree(folder), "--readers", 1, "--compressors", 1)
            self.assertEqual(ran.process.returncode, 0, ran)
            self.assertIn(f"compressed {len(FILES)} files", ran.out)

    def test_files_that_cannot_be_read_are_counted(self):
        with tempfile.TemporaryDirectory() as folder:
            tree = make_tree(folder)
            os.chmod(folder, 0o755)
            os.chmod(os.path.join(tree, "small.txt"), 0)
            ran = run("setpriv", "--reuid", 65534, "--clear-groups", built("waitprobe-demo"), tree)
            self.assertEqual(ran.process.returncode, 0, ran)
            self.assertIn(f"compressed {len(FILES) - 1} files", ran.out)
            self.assertIn(", 1 could not be read", ran.out)

    def test_errors(self):
        for words, status, text in ((["/nonexistent"], 2, "/nonexistent"), (["--readers", "0"], 2, "--readers"),
                                    (["/usr/include/linux", "-o", "/nonexistent/file"], 1, "/nonexistent/file")):
            with self.subTest(words=words):
                ran = run(built("waitprobe-demo"), *words)
                self.assertEqual((ran.process.returncode, ran.out), (status, ""), ran)
                self.assertIn(text, ran.err)

    def test_its_waits_are_all_seen(self):
        ran = run(harness.TOOL, "hist", "--json", "--", built("waitprobe-demo"), "/usr/include")
        self.assertEqual(ran.process.returncode, 0, ran)
        snapshot = harness.json.loads(next(line for line in ran.out.splitlines() if line.startswith('{"waitprobe"')))
        self.assert_all_seen(snapshot)
        counts = harness.counts_of(snapshot)
        self.assertLessEqual(set(counts), KEYS)
        # One read for each piece of a file, and one lock for each piece that is compressed, and another when it is written.
        files = int(re.match(r"compressed (\d+) files", ran.out).group(1))
        self.assertGreaterEqual(counts["demo.disk.read"], files)
        self.assertEqual(counts["demo.output.lock"], 2 * counts["demo.disk.read"])


if __name__ == "__main__":
    harness.main()
