#!/bin/sh
# SPDX-License-Identifier: MIT
# What a user does with the one file, in a root of whatever system, by its sh.
set -eu
fail() {
  echo "user.sh: $1" >&2
  exit 1
}
rm -f /tmp/recording /tmp/page.html
/waitprobe --version | sed -n 1p
for locale in '' C POSIX C.UTF-8 de_DE.UTF-8 xx_YY.broken; do
  LC_ALL=$locale /waitprobe hist -- /guard >/tmp/out 2>/tmp/err || fail "hist under locale '$locale' ended with $?: $(cat /tmp/err)"
  grep -q '^100 waits in .*, coverage 100 %: none was lost' /tmp/out || { cat /tmp/out && fail "100 waits were to be counted"; }
  [ ! -s /tmp/err ] || { cat /tmp/err && fail "it said the above"; }
done
/waitprobe doctor >/tmp/out || { cat /tmp/out && fail "doctor says that tracing will not work"; }
tail -n 1 /tmp/out
DEBUGINFOD_URLS=http://127.0.0.1:9 /waitprobe slow --min 1us --stack -- /guard >/tmp/out 2>/tmp/err
grep -q 'cannot ask debuginfod$' /tmp/err || fail "slow was to say where names come from"
[ "$(grep -c '^    main' /tmp/out)" = 100 ] || { cat /tmp/out && fail "100 stacks with main were to be seen"; }
/waitprobe record -o /tmp/recording -- /guard 2>/tmp/err || { cat /tmp/err && fail "record failed"; }
/waitprobe report --html /tmp/page.html /tmp/recording >/dev/null || fail "report ended with $?"
grep -q '<html' /tmp/page.html || fail "the page is none"
if /waitprobe serve -a 2>/tmp/err; then fail "serve was to be refused"; fi
grep -q 'which has no HTTP server' /tmp/err || { cat /tmp/err && fail "serve was to say why"; }
echo "$(/waitprobe help | grep -c '^  [a-z]') commands; counted, named and refused as it should"
