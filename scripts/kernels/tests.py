# SPDX-License-Identifier: MIT
"""Writes down the tests of a build folder for a guest: tests.py BUILD FOLDER [NAME...]

NAME is an end-to-end test, or `runtime`: the tests of the library. FOLDER gets NAME.sh for each, and `tests`: a line for each of them with its
name and its deadline in seconds.
"""

import glob
import json
import os
import shlex
import subprocess
import sys

# What a thorough test does often is done a few times: emulation is slow.
FEWER = {"WAITPROBE_ROUNDS": "1", "WAITPROBE_CYCLES": "5", "WAITPROBE_KILLS": "10", "WAITPROBE_FORKS": "50", "WAITPROBE_THREADS": "2000",
         "WAITPROBE_STEPPED_CALLS": "40"}
PATIENCE = 3


def tests_of(build):
    listed = json.loads(subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1", "-L", "^e2e$"],
                                       check=True, stdout=subprocess.PIPE).stdout)
    # The trees of sanitizers below this one have the same tests, with a prefix.
    prefix = min((test["name"].rpartition("e2e.")[0] for test in listed["tests"]), key=len, default="")
    for test in listed["tests"]:
        if test["name"].rpartition("e2e.")[0] != prefix:
            continue
        properties = {p["name"]: p["value"] for p in test["properties"]}
        yield test["name"].rpartition("e2e.")[2], test["command"], properties


# Each test of theirs in a process of its own, as ctest has it.
EACH = """
status=0 ran=0
for program; do
  while IFS= read -r line; do
    if [[ $line != ' '* ]]; then suite=${line%% *} && continue; fi
    test=${line#  } test=$suite${test%% *} ran=$((ran + 1))
    echo "$test"
    timeout 120 "$program" --gtest_brief=1 --gtest_filter="$test" || { status=1; echo "$test failed"; }
  done < <("$program" --gtest_list_tests)
done
echo "Ran $ran tests"
[ "$ran" -gt 0 ] && exit $status
"""


def test_of_runtime(build):
    programs = sorted(glob.glob(os.path.join(glob.escape(build), "runtime*_tests")))
    return "runtime", ["bash", "-c", EACH, "bash", *programs], {"TIMEOUT": 600, "WORKING_DIRECTORY": build}


def by_default(properties):
    return not {"slow", "compiles", "anywhere"} & set(properties.get("LABELS", []))


def main():
    build, folder, *wanted = sys.argv[1:]
    tests = [*tests_of(build), *([test_of_runtime(build)] if "runtime" in wanted else [])]
    names = [name for name, _, _ in tests]
    unknown = sorted(set(wanted) - set(names))
    if unknown or not names:
        sys.exit(f"test-kernels.sh: no test {', '.join(unknown)} in {build}; it has: {', '.join(names) or 'none'}")
    with open(os.path.join(folder, "tests"), "w", encoding="utf-8") as listing:
        for name, command, properties in tests:
            if name not in wanted if wanted else not by_default(properties):
                continue
            environment = dict(word.split("=", 1) for word in properties.get("ENVIRONMENT", []))
            environment |= FEWER | {"WAITPROBE_PATIENCE": str(PATIENCE)}
            with open(os.path.join(folder, f"{name}.sh"), "w", encoding="utf-8") as script:
                for key, value in environment.items():
                    script.write(f"export {key}={shlex.quote(value)}\n")
                script.write(f"cd {shlex.quote(properties['WORKING_DIRECTORY'])} || exit 1\nexec {shlex.join(command)}\n")
            listing.write(f"{name} {round(properties['TIMEOUT'] * PATIENCE)}\n")


if __name__ == "__main__":
    main()
