. ./lib.sh
modprobe dummy_hcd
modprobe g_serial use_acm=1 iSerialNumber=SN-77
modprobe cdc-acm
there /dev/ttyACM0 /dev/ttyGS0
device=$(dirname "$(grep -l SN-77 /sys/bus/usb/devices/*/serial)")
number=$(cat "$device/devnum")
bus=$(cat "$device/busnum")
usb=$(printf /dev/bus/usb/%03d/%03d "$bus" "$number")
there "$usb"
fact usb "$usb"
trace gadget --device tty --device usb
stty -F /dev/ttyACM0 raw -echo
stty -F /dev/ttyGS0 raw -echo
timeout 10 head -c 5 /dev/ttyACM0 >/tmp/got &
sleep 1
printf hello >/dev/ttyGS0
wait $!
[ "$(cat /tmp/got)" = hello ] || fail "the gadget's bytes did not arrive"
watched usbfs "$usb" ./small usb "$usb"
watched libusb "$usb" lsusb -v -s "$bus:$number"
untrace
