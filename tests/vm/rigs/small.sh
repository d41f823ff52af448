. ./lib.sh
dog=$(for at in /sys/class/watchdog/*; do if grep -q Software "$at/identity"; then basename "$at"; fi; done)
fact dog "$dog"
fact watchdog "/dev/$dog"
fact rtc "$(place /sys/class/rtc/rtc0)"
there "/dev/$dog" /dev/rtc0 /dev/net/tun /dev/loop0 /dev/fuse
trace small --device "/dev/$dog" --device rtc --device tun --device /dev/loop0 --device fuse
watched dog "/dev/$dog" ./small watchdog "/dev/$dog"
watched clock /dev/rtc0 ./small rtc /dev/rtc0
watched tap /dev/net/tun ./small tun /dev/net/tun
dd if=/dev/zero of=/tmp/image bs=1k count=64 2>/dev/null
watched attach /dev/loop0 losetup /dev/loop0 /tmp/image
watched detach /dev/loop0 losetup -d /dev/loop0
refused absent /dev/loop0 losetup -d /dev/loop0
mkdir /tmp/mounted
watched mount /dev/fuse ./fuse /dev/fuse /tmp/mounted
untrace
