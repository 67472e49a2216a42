#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a wait costs after a great many that were left open, in instructions: leaks_cost.py COMPILER LIBRARY SOURCE_FOLDER.

The program tracks its own waits, so that its guards take the way of those that somebody listens to. Counted with callgrind, of the
functions that wait alone: what was left before them cancels out without a second run.
"""

import os
import re
import sys
import tempfile

from idle_cost import HERE, run

FEW, MANY = 6_000, 600_000
ROUNDS = 1_000  # of leaks.cpp
# Guards that nobody may judge keep their slots: a start then looks at five blocks of 31 slots at the most.
FULL_BLOCKS_AT_MOST = 2_000
# A wait inside another one, as of a guard that is gone, shows that one again when it ends.
INSIDE_AT_MOST = 30
# A thread that is new looks at 64 blocks for one that is free.
SEARCH_AT_MOST = 64 * 40


def per_wait(program, kind, leaks):
    """Instructions of a wait of the thread that has left them, of one of another thread, and of the first one of a thread."""
    profile = f"{program}.{kind}.{leaks}"
    run("valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}", "--compress-strings=no", program, kind, str(leaks))
    with open(profile, encoding="utf-8") as file:
        calls = re.findall(r"^cfn=\(anonymous namespace\)::(\w+)\(\)\ncalls=\d+ .*\n\S+ (\d+)$", file.read(), re.M)
    return [sum(int(cost) for name, cost in calls if name == function) / ROUNDS
            for function in ("in_same_thread", "in_other_thread", "first_of_thread")]


def main(compiler, library, source):
    os.environ.update(WAITPROBE_TRACK="1", WAITPROBE_CLOCK="monotonic")
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "leaks")
        run(compiler, "-std=c++20", "-O2", f"-I{source}", f"-I{source}/include", f"{HERE}/leaks.cpp", f"{source}/tests/runtime/abandon.cpp",
            library, "-o", program, "-pthread")
        same, other, first = per_wait(program, "one-place", 0)
        print(f"instructions of a wait: {same}, in another thread {other}, the first of a thread {first}")
        if min(same, other, first) <= 0:
            failures.append("a wait that costs nothing is no wait: the measurement is broken")
        for kind in ("one-place", "many-depths", "kept"):
            now_same, now_other, now_first = per_wait(program, kind, MANY)
            print(f"after {MANY} were left, {kind}: {now_same}, in another thread {now_other}, the first of a thread {now_first}")
            if now_other != other:
                failures.append(f"{kind}: they change what waits of another thread cost")
            if now_first > first + SEARCH_AT_MOST:
                failures.append(f"{kind}: threads that are new look at more than a few blocks")
            if kind != "kept" and now_same > same + INSIDE_AT_MOST:
                failures.append(f"{kind}: they change what later waits cost")
            if now_same > FULL_BLOCKS_AT_MOST or now_same != per_wait(program, kind, FEW)[0]:
                failures.append(f"{kind}: the more there are, the more do later waits cost")
    if failures:
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    main(*sys.argv[1:])
