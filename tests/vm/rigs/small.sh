. ./lib.sh
dog=$(for at in /sys/class/watchdog/*; do if grep -q Software "$at/identity"; then basename "$at"; fi; done)
fact watchdog "/dev/$dog"
there "/dev/$dog" /dev/rtc0 /dev/net/tun /dev/loop0
trace small --device "/dev/$dog" --device rtc --device tun --device /dev/loop0
watched dog "/dev/$dog" ./small watchdog "/dev/$dog"
watched clock /dev/rtc0 ./small rtc /dev/rtc0
watched tap /dev/net/tun ./small tun /dev/net/tun
dd if=/dev/zero of=/tmp/image bs=1k count=64 2>/dev/null
watched attach /dev/loop0 losetup /dev/loop0 /tmp/image
watched detach /dev/loop0 losetup -d /dev/loop0
untrace
