# SPDX-License-Identifier: MIT
"""JSON held against types that a package of npm publishes: the compiler of TypeScript knows a missing member, a wrong value and, unlike
most schemas, a member that does not exist."""

import functools
import json
import os
import subprocess
import tempfile


@functools.lru_cache(maxsize=None)
def packages():
    """Where install-deps.sh has put them."""
    return subprocess.run(["npm", "root", "-g"], capture_output=True, text=True, check=True).stdout.strip()


def complaints(imports, values):
    """What the compiler says of values, [(type, value that JSON can write)], one string for each line. `imports`: lines of TypeScript."""
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(packages(), os.path.join(folder, "node_modules"))
        with open(os.path.join(folder, "check.mts"), "w", encoding="utf-8") as file:
            file.write("\n".join(imports) + "\n")
            for number, (kind, value) in enumerate(values):
                file.write(f"export const v{number}: {kind} = {json.dumps(value, indent=1)};\n")
        compiler = os.path.join(packages(), "typescript/bin/tsc")
        options = {"noEmit": True, "strict": True, "skipLibCheck": True, "types": [], "target": "es2022", "module": "nodenext"}
        with open(os.path.join(folder, "tsconfig.json"), "w", encoding="utf-8") as file:
            json.dump({"compilerOptions": options, "files": ["check.mts"]}, file)
        words = ["node", compiler, "--pretty", "false", "--project", folder]
        told = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
        lines = told.stdout.splitlines()
        assert bool(lines) == bool(told.returncode), told
        return lines
