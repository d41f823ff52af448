. ./lib.sh
# A disk of which a sector is broken.
modprobe null_blk nr_devices=0
mount -t configfs configfs /sys/kernel/config 2>/dev/null || true
null=/sys/kernel/config/nullb/nullb0
mkdir $null
echo 1 >$null/memory_backed
echo 16 >$null/size
echo 512 >$null/blocksize
echo +4096-4096 >$null/badblocks
echo 1 >$null/power
null=/dev/nullb0
dd if=/dev/zero of=/tmp/image bs=1M count=4 2>/dev/null
losetup /dev/loop7 /tmp/image
there /dev/vda /dev/mmcblk0 "$null"
card=$(cat /sys/block/mmcblk0/device/name):$(cat /sys/block/mmcblk0/device/serial)
# With a scheduler a worker hands requests to the driver.
echo mq-deadline >/sys/block/vda/queue/scheduler
echo none >/sys/block/nullb0/queue/scheduler
# Ids are plain words.
fact card "$(echo "$card" | tr -d '!')"

all() {
  watched "$1.virtio" /dev/vda ./disk direct /dev/vda
  watched "$1.virtio32" /dev/vda ./disk32 direct /dev/vda
  watched "$1.loop" /dev/loop7 ./disk direct /dev/loop7
  watched "$1.null" "$null" ./disk direct "$null"
  watched "$1.cached" /dev/vda ./disk cached /dev/vda
  watched "$1.switched" /dev/vda ./disk switched /dev/vda
  watched "$1.bad" "$null" ./disk bad "$null" 4096
}

trace block --device block --hooks raw
all walk
watched size /dev/vda blockdev --getsize64 --getss --getpbsz --getra /dev/vda
watched card /dev/mmcblk0 ./mmctest /dev/mmcblk0 "$(cat /sys/block/mmcblk0/device/rca)"
untrace

# Descriptors are followed by the calls that make them.
trace follow --device block --no-btf --hooks raw
all follow
untrace
