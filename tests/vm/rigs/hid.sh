. ./lib.sh
trace hid --device hid --capture-bytes 8192
puppet mouse /dev/uhid ./input mouse
await sh -c 'grep "iotrail test mouse" /sys/class/hidraw/*/device/uevent'
hidraw=$(grep -l "iotrail test mouse" /sys/class/hidraw/*/device/uevent | sed 's,.*/\(hidraw[0-9]*\)/.*,/dev/\1,')
there "$hidraw"
fact hidraw "$hidraw"
watched test "$hidraw" ./inputtest hidraw "$hidraw" >/tmp/said.test &
test=$!
await grep -q reading /tmp/said.test
tell move
release
wait $test
untrace
