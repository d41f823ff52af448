. ./lib.sh
trace input --device input
puppet keyboard /dev/uinput ./input keyboard
event=$(grep -l "iotrail test keyboard" /sys/class/input/event*/device/name | sed 's,.*/\(event[0-9]*\)/.*,/dev/input/\1,')
there "$event"
fact event "$event"
# Its own program first: it sees to it that keys do not repeat. Both read until the keyboard is taken away.
watched test "$event" ./inputtest event "$event" >/tmp/said.test &
test=$!
await grep -q reading /tmp/said.test
tell lamp
refused evtest "$event" evtest "$event" >/tmp/said.evtest &
evtest=$!
await grep -q 'EVIOCGRAB, 0' /tmp/strace.evtest
tell keys
tell chord
release
wait $test
wait $evtest
cp /tmp/said.* /host/out/
[ "$(grep -c SYN_REPORT /tmp/said.evtest)" = 6 ] || fail "evtest saw something else"
untrace
