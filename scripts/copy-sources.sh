#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Copies what is in git, or is to be, into FOLDER, which is made anew: copy-sources.sh FOLDER.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1
rm -rf "$folder"
mkdir -p "$folder"
git -c safe.directory='*' ls-files --cached --others --exclude-standard -z | tar --null --no-recursion --ignore-failed-read -cf - -T - 2>/dev/null |
  tar xf - --no-same-owner -C "$folder"
