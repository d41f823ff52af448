. ./lib.sh
trace joystick --device input
puppet stick /dev/uinput ./input joystick
there /dev/input/js0
watched test /dev/input/js0 ./inputtest js /dev/input/js0 >/tmp/said.test &
test=$!
await grep -q reading /tmp/said.test
tell move
release
wait $test
untrace
