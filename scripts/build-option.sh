#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2034  # `build` is for the script
# Sourced by scripts whose one option is -b BUILD: goes to the top of the tree, sets `build` (default: build), and leaves the other words.
script=$(realpath "$0")
cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/.." || exit
build=build
while getopts b: option; do
  case $option in
    b) build=$OPTARG ;;
    *) echo "$(basename "$script"): wrong option; see the head of ${script#"$PWD/"}" >&2 && exit 2 ;;
  esac
done
shift $((OPTIND - 1))
