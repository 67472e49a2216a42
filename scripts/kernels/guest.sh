#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What runs in the virtual machine, on the host's files: the tests of /run/results/tests, one after the other. Each leaves NAME.log and
# NAME.result (its status and seconds) in /run/results. Where there is /run/results/systemd, that is the init, and starts this once more.
set -uo pipefail
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
results=/run/results

if [ $$ -eq 1 ] && [ -e "$results/systemd" ]; then
  # Going through /tmp of the host takes minutes.
  ln -sf /dev/null /etc/systemd/system/systemd-tmpfiles-setup.service
  cat >/etc/systemd/system/guest.service <<END
[Unit]
DefaultDependencies=no
Requires=sysinit.target
After=sysinit.target
[Service]
Type=oneshot
TimeoutStartSec=infinity
ExecStart=/bin/bash $results/guest.sh
END
  exec /lib/systemd/systemd --unit=guest.service --show-status=no
fi

if [ $$ -eq 1 ]; then
  mkdir -p /dev/pts /dev/shm
  mount -t devpts devpts /dev/pts
  mount -t tmpfs tmpfs /dev/shm
  mount -t tracefs tracefs /sys/kernel/tracing
  mount -t debugfs debugfs /sys/kernel/debug
  mount -t bpf bpf /sys/fs/bpf
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd
ip link set lo up 2>/dev/null || /bin/busybox ip link set lo up
echo guest >/proc/sys/kernel/hostname

uname -r >"$results/release"
# The one in parentheses; kernels that cannot choose have no such file.
sed -nE 's/.*\((.*)\).*/\1/p' /sys/kernel/debug/sched/preempt >"$results/preemption" 2>/dev/null

while read -r name deadline; do
  begin=$(date +%s%N)
  # SIGINT first: Python then shows where it stands, and what the programs said.
  timeout -s INT -k 30 "$deadline" bash "$results/$name.sh" >"$results/$name.log" 2>&1 </dev/null
  status=$?
  echo "$status $((($(date +%s%N) - begin) / 1000000000))" >"$results/$name.result"
done <"$results/tests"

dmesg >"$results/dmesg"
sync
# In one command, which is read as a whole: the host's files may be gone before the power is.
{
  echo o >/proc/sysrq-trigger
  while :; do :; done
}
