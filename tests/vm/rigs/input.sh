. ./lib.sh
./input uinput &
await sh -c 'grep "iotrail test keyboard" /sys/class/input/event*/device/name'
event=$(grep -l "iotrail test keyboard" /sys/class/input/event*/device/name | sed 's,.*/\(event[0-9]*\)/.*,/dev/input/\1,')
./input uhid &
await sh -c 'grep "iotrail test mouse" /sys/class/hidraw/*/device/uevent'
hidraw=$(grep -l "iotrail test mouse" /sys/class/hidraw/*/device/uevent | sed 's,.*/\(hidraw[0-9]*\)/.*,/dev/\1,')
there "$event" "$hidraw"
fact event "$event"
fact hidraw "$hidraw"
trace input --device input --device hid
# It reads until it is ended.
refused evtest "$event" timeout 8 evtest "$event"
watched hid "$hidraw" timeout 20 ./small hid "$hidraw"
untrace
