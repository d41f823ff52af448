. ./lib.sh
there /dev/video0
trace video --device video
watched frames /dev/video0 v4l2-ctl -d /dev/video0 --set-fmt-video=width=320,height=180 --stream-mmap --stream-count=10 --stream-to=/tmp/frames
watched controls /dev/video0 v4l2-ctl -d /dev/video0 -C brightness -c brightness=100
untrace
test -s /tmp/frames || fail "no frames"
