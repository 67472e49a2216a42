#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What libwaitprobe_torch.so costs a wait of PyTorch while nobody listens, in instructions: hook_cost.py COMPILER LIBRARY. As idle_cost.py."""

import os
import re
import sys
import tempfile

from idle_cost import DEAR, FEW, HERE, MANY, disassembly, instructions, run

# More than the three of functions that do nothing: the armed word, by its pointer, and two branches. Of x86-64; docs/pytorch.md tells the sum.
MORE = 6
FUNCTIONS = ("waitprobe::(anonymous namespace)::start(void*, long)", "waitprobe::(anonymous namespace)::stop(void*, long, long)")


def main(compiler, library):
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "program")
        run(compiler, "-std=c++20", "-O2", f"-I{HERE}/../..", f"{HERE}/hook_loop.cpp", "-o", program, "-ldl")
        os.environ["LD_PRELOAD"] = library
        cost = {}
        for loop in ("hook", "nothing"):
            few, many = (instructions(program, loop, times)[0] for times in (FEW, MANY))
            cost[loop] = round((many - few) / (MANY - FEW), 2)
        del os.environ["LD_PRELOAD"]
        more = cost["hook"] - cost["nothing"]
        print(f"instructions of an idle start and stop: {more:.2f} more than of functions that do nothing")
        if more != MORE if os.uname().machine == "x86_64" else more <= 0:
            failures.append(f"that is not {MORE}")
        for function in FUNCTIONS:
            code = disassembly(library, function)
            if "ret" not in code:
                failures.append(f"objdump did not show {function}")
            if re.search(DEAR, code):
                failures.append(f"there is an atomic read-modify-write instruction, a clock or a system call in {function}:\n{code}")
    if failures:
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    main(*sys.argv[1:])
