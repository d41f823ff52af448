. ./lib.sh
test ! -e /sys/module/videobuf2_common || fail "the driver is there already"
trace late --device video
modprobe vivid
there /dev/video0
# What the kernel tells of the device has to reach iotrail first.
sleep 2
v4l2-ctl -d /dev/video0 --set-fmt-video=width=320,height=180 --stream-mmap --stream-count=10 --stream-to=/tmp/frames
untrace
test -s /tmp/frames || fail "no frames"
