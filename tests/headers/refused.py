#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A misuse is refused with the message that it deserves, and with nothing else: refused.py MESSAGE COMPILER ARGUMENTS..."""

import re
import subprocess
import sys


def main(message, *command):
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    errors = re.findall(r"^.*\berror: .*$", ran.stdout + ran.stderr, re.M)
    if ran.returncode == 0 or len(errors) != 1 or message not in errors[0]:
        sys.exit(f"wanted one error with '{message}', and there were {len(errors)}; exit status {ran.returncode}\n{ran.stderr}")


if __name__ == "__main__":
    main(*sys.argv[1:])
