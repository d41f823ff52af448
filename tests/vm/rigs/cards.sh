. ./lib.sh
there /dev/ptp0 /dev/dri/card0
fact ptp "$(place /sys/class/ptp/ptp0)"
fact screen "$(place /sys/class/drm/card0)"
trace cards --device ptp --device dri
watched clock /dev/ptp0 ./ptp /dev/ptp0 >/tmp/clock.said
watched screen /dev/dri/card0 ./dri /dev/dri/card0 >/tmp/screen.said
untrace
facts /tmp/clock.said
facts /tmp/screen.said
