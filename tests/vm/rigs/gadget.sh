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
# However slow the machine is: no request times out.
trace gadget --device tty --device usb:0525:a4a7 --reply-timeout 60s
stty -F /dev/ttyACM0 raw -echo
stty -F /dev/ttyGS0 raw -echo
timeout 10 head -c 5 /dev/ttyACM0 >/tmp/got &
sleep 1
printf hello >/dev/ttyGS0
wait $!
[ "$(cat /tmp/got)" = hello ] || fail "the gadget's bytes did not arrive"
instrument /dev/ttyGS0
watched ask /dev/ttyACM0 ./ask /dev/ttyACM0 '*IDN?' 'OUTP ON' 'MEAS:VOLT?' 'MEAS:VOLT?' >/tmp/said
grep -q 'iotrail,M1,SN-1,1.0' /tmp/said || fail "the instrument did not say what it is"
watched libusb "$usb" lsusb -v -s "$bus:$number" >/host/out/lsusb
# Unplugged while a program waits for an answer that does not come.
watched cut /dev/ttyACM0 ./ask /dev/ttyACM0 'MEAS:VOLT?' 'cut:SYST:ERR?' >/tmp/said &
asking=$!
await grep -q waiting /tmp/said
echo "${device##*/}" >/sys/bus/usb/drivers/usb/unbind
wait $asking
untrace
kill $instrument 2>/dev/null || true
