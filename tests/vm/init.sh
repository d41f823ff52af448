#!/bin/busybox sh
# The first program of a guest: mounts what a system has, inserts the modules of /modules, copies what the host shares to
# /t, runs /t/guest.sh and switches off. The lines with @@ are for the host.
busybox mkdir -p /proc /sys /dev /run /tmp
busybox mount -t proc proc /proc
busybox mount -t sysfs sysfs /sys
busybox mount -t devtmpfs dev /dev 2>/dev/null
busybox --install -s /busybox
export PATH=/t:/usr/sbin:/usr/bin:/sbin:/bin:/busybox HOME=/root TERM=dumb LC_ALL=C
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
for at in /dev/shm /run /tmp; do mount -t tmpfs tmpfs $at; done
mount -t tracefs tracefs /sys/kernel/tracing
mount -t debugfs debugfs /sys/kernel/debug
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ln -sf /proc/self/fd /dev/fd
# Which the kernel itself runs when it wants a module.
echo /busybox/modprobe >/proc/sys/kernel/modprobe
ip link set lo up
hostname vm
while read -r module; do modprobe "$module" || echo "init: modprobe $module failed"; done </modules
mount -t configfs configfs /sys/kernel/config 2>/dev/null
# The terminal's own driver must not change what it is given.
stty -opost -echo 2>/dev/null
status=99
if mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 host /host && cp -r /host/in/. /t; then
  echo "@@begin $(cut -d' ' -f1 /proc/uptime) s after the kernel, $(uname -r)"
  cd /t && sh /t/guest.sh </dev/null 2>&1
  status=$?
else
  echo "init: the host's folder cannot be mounted"
fi
dmesg >/host/out/dmesg
dmesg | grep -E 'BUG:|WARNING:|Oops' >/host/out/kernel-complaints
umount /host
echo
echo "@@end $status"
sync
poweroff -f
