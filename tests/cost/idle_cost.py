#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a guard costs while nobody listens, in instructions: idle_cost.py COMPILER LIBRARY INCLUDE_FOLDER.

Counted with callgrind, not timed: two run lengths, whose difference is divided by the number of scopes, so that all that happens
once cancels out; and the same loop without the guard is subtracted.
"""

import os
import re
import subprocess
import sys
import tempfile

AT_MOST = 6
FEW, MANY = 10000, 90000  # as many digits, so that reading them takes the same
HERE = os.path.dirname(os.path.abspath(__file__))
GUARDED_LOOP = "(anonymous namespace)::scope(long)"
# Atomic read-modify-write instructions, clocks and system calls, of x86-64 and arm64. (xchg %ax,%ax is a nop.)
DEAR = r"\b(lock|xchg.*\(|rdtscp?|syscall|ldaxr|stl?xr|cas[al]*|swp[al]*|ldadd[al]*|mrs|svc|dmb)\b"


def run(*words):
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        sys.exit(f"{' '.join(words)} ended with {ran.returncode}\n{ran.stdout}{ran.stderr}")
    return ran.stdout + ran.stderr


def build(folder, compiler, library, include):
    """A program of an application: its own flags, the library as it was built."""
    program = os.path.join(folder, "program")
    shared = [f"-Wl,-rpath,{os.path.dirname(library)}"] if ".so" in os.path.basename(library) else []
    run(compiler, "-std=c++20", "-O2", f"-I{include}", *shared, f"{HERE}/loop.cpp", f"{HERE}/opaque.cpp", library, "-o", program)
    return program


def instructions(program, loop, times):
    """How many instructions the program takes, and what the guarded loop calls: {function: times}."""
    profile = f"{program}.{loop}.{times}"
    run("valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}", "--compress-strings=no", program, loop, str(times))
    with open(profile, encoding="utf-8") as file:
        text = file.read()
    total = int(re.search(r"^(?:summary|totals): (\d+)$", text, re.M).group(1))
    called = {}
    for block in re.split(r"^fn=", text, flags=re.M)[1:]:
        if block.splitlines()[0] == GUARDED_LOOP:
            for callee, count in re.findall(r"^cfn=(.*)\ncalls=(\d+)", block, re.M):
                called[callee] = called.get(callee, 0) + int(count)
    return total, called


def per_scope(program, loop):
    few, _ = instructions(program, loop, FEW)
    many, called = instructions(program, loop, MANY)
    return round((many - few) / (MANY - FEW), 2), called


def disassembly(program, function):
    lines = run("objdump", "-d", "-C", "--no-show-raw-insn", f"--disassemble={function}", program).splitlines()
    return "\n".join(line for line in lines if line.startswith(" "))


def main(compiler, library, include):
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        program = build(folder, compiler, library, include)
        guarded, called = per_scope(program, "scope")
        loop = guarded - per_scope(program, "without")[0]
        function = per_scope(program, "function")[0] - per_scope(program, "plain_function")[0]
        code = disassembly(program, GUARDED_LOOP)
        print(f"instructions of an idle scope: {loop:.2f} in a loop, {function:.2f} as a function of its own")
        if loop > AT_MOST:
            failures.append(f"an idle scope in a loop takes more than {AT_MOST} instructions")
        if loop <= 0:
            failures.append("a scope that costs nothing is no scope: the measurement is broken")
        if called != {"opaque": MANY}:
            failures.append(f"the idle loop calls something else than what it waits for: {called}")
        if "opaque" not in code:
            failures.append("objdump did not show the loop")
        if re.search(DEAR, code):
            failures.append("there is an atomic read-modify-write instruction, a clock or a system call in the loop")
        if failures:
            sys.exit("\n".join([*failures, code]))


if __name__ == "__main__":
    main(*sys.argv[1:])
