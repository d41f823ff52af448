. ./lib.sh
there /dev/ttyUSB0
# The other end of the adapter: the only port on PCI.
near=/dev/$(for at in /sys/class/tty/ttyS*; do case $(readlink -f "$at") in */pci*) basename "$at" ;; esac; done)
instrument "$near"
# By make: of all the lines only this one.
# However slow the machine is: no request times out.
trace serial --device usb:0403:6001 --reply-timeout 60s
watched ask /dev/ttyUSB0 ./ask /dev/ttyUSB0 '*IDN?' 'OUTP ON' 'MEAS:VOLT?' 'MEAS:VOLT?' >/tmp/said
grep -q 'iotrail,M1,SN-1,1.0' /tmp/said || fail "the instrument did not say what it is"
# Unplugged while a program waits for an answer that does not come.
watched cut /dev/ttyUSB0 ./ask /dev/ttyUSB0 'MEAS:VOLT?' 'cut:SYST:ERR?' >/tmp/said &
asking=$!
await grep -q waiting /tmp/said
device=$(basename "$(dirname "$(grep -l SN-FTDI /sys/bus/usb/devices/*/serial)")")
echo "$device" >/sys/bus/usb/drivers/usb/unbind
wait $asking
untrace
kill $instrument 2>/dev/null || true
