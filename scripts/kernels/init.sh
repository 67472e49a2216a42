#!/bin/busybox sh
# SPDX-License-Identifier: MIT
# The init of the initramfs: the host's files, which cannot be written to, below a tmpfs that takes what is written. Then guest.sh.
# shellcheck shell=sh
set -eu
trap '[ $? -eq 0 ] || { echo "test-kernels: the guest could not mount the files of the host"; /bin/busybox poweroff -f; }' EXIT

/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t devtmpfs devtmpfs /dev
while read -r module; do
  insmod "/modules/$module"
done </modules/order

options=trans=virtio,version=9p2000.L,msize=262144
mount -t 9p -o "$options,ro,cache=loose" root /host
mount -t tmpfs -o size=75% tmpfs /over
mkdir /over/upper /over/work
mount -t overlay -o lowerdir=/host,upperdir=/over/upper,workdir=/over/work overlay /new
mkdir -p /new/run
mount -t tmpfs tmpfs /new/run
mkdir /new/run/results
mount -t 9p -o "$options" results /new/run/results
for folder in proc sys dev tmp; do
  mkdir -p "/new/$folder"
done
mount -t proc proc /new/proc
mount -t sysfs sysfs /new/sys
mount -t devtmpfs devtmpfs /new/dev
umount /proc /dev
trap - EXIT
exec switch_root -c /dev/console /new /bin/bash /run/results/guest.sh
