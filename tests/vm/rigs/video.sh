. ./lib.sh
there /dev/video0
# The camera's media controller: vivid's first.
media=$(ls -d /sys/bus/platform/devices/vivid.0/media* | head -n 1)
media=/dev/${media##*/}
there "$media"
fact media "$media"
# Half of its pictures are lost on the way, which the numbers of the others tell.
camera() { v4l2-ctl -d /dev/video0 "$@" >/dev/null; }
camera -c percentage_of_dropped_buffers=50

trace video --device video --device media
watched formats /dev/video0 v4l2-ctl -d /dev/video0 --set-fmt-video=width=320,height=180,pixelformat=UYVY --get-fmt-video
watched frames /dev/video0 v4l2-ctl -d /dev/video0 --verbose --stream-mmap=4 --stream-count=10 --stream-to=/tmp/frames >/tmp/frames.said 2>&1
watched controls /dev/video0 v4l2-ctl -d /dev/video0 -c brightness=100 -C brightness
watched several /dev/video0 v4l2-ctl -d /dev/video0 -c contrast=50,saturation=60 -C contrast,saturation
watched graph "$media" media-ctl -d "$media" -p
# The driver fails on demand, once; v4l2-ctl says so and ends well.
camera -c inject_vidioc_streamon_error=1
watched start /dev/video0 v4l2-ctl -d /dev/video0 --stream-mmap=3 --stream-count=1
camera -c percentage_of_dropped_buffers=0
watched damaged /dev/video0 sh -c "(sleep 1; v4l2-ctl -d /dev/video0 -c inject_v4l2_buf_flag_error=1) & v4l2-ctl -d /dev/video0 --verbose --stream-mmap=4 --stream-count=12; wait" >/tmp/damaged.said 2>&1
untrace
cp /tmp/*.said /host/out/
[ "$(wc -c </tmp/frames)" = 1152000 ] || fail "no ten frames of 320 by 180"
# What the program said of the frames that it got: `cap dqbuf: 0 seq: 3 bytesused: 115200 …`.
awk 'FNR == 1 { frames = 0 }
  /dqbuf:/ {
    for (at = 1; at < NF; at++) if ($at == "seq:") is = $(at + 1) + 0
    if (frames++) { gap = is - last - 1; if (gap > 0) { gaps++; if (gap > widest) widest = gap } }
    last = is
    times[is]++
    if (/[(]error/) flawed++; else good++
  }
  END { print "last=" last; print "last_times=" times[last]; print "gaps=" gaps + 0; print "widest=" widest + 0
    print "good=" good + 0; print "flawed=" flawed + 0 }' /tmp/damaged.said /tmp/frames.said >/tmp/frames.facts
facts /tmp/frames.facts
! grep -qE '^(gaps|flawed)=0' /tmp/frames.facts || fail "no frame was lost, or none damaged"
# Given, less taken.
calls() { sed -n "s/^.*\.$1=//p" /host/out/facts | awk '{ all += $1 } END { print all + 0 }'; }
fact returned $(($(calls VIDIOC_QBUF) - $(calls VIDIOC_DQBUF)))
