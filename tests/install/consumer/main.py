# SPDX-License-Identifier: MIT
"""A language that cannot inline: main.py LIBRARY."""

import ctypes
import sys


def load(file):
    library = ctypes.CDLL(file)
    library.waitprobe_make_key.restype = library.waitprobe_begin.restype = ctypes.c_void_p
    library.waitprobe_make_key.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int]
    library.waitprobe_begin.argtypes = library.waitprobe_end.argtypes = [ctypes.c_void_p]
    library.waitprobe_end.restype = None
    return library


def main():
    waits = load(sys.argv[1])
    for key, count in ((b"consumer.scope", 1000), (b"consumer.handle", 10)):
        handle = waits.waitprobe_make_key(key, len(key), 0)
        assert handle and handle == waits.waitprobe_make_key(key, len(key), 0)
        for _ in range(count):
            waits.waitprobe_end(waits.waitprobe_begin(handle))
    assert waits.waitprobe_begin(None) is None
    print(waits.waitprobe_is_armed())


if __name__ == "__main__":
    main()
