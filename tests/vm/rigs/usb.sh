. ./lib.sh
# A gadget of two configurations, each with what f_sourcesink.c, f_loopback.c and f_hid.c make.
gadget=/sys/kernel/config/usb_gadget/g
put() { echo "$1" >"$gadget/$2"; }
mkdir $gadget
mkdir $gadget/strings/0x409 $gadget/configs/a.1 $gadget/configs/b.2
mkdir $gadget/functions/SourceSink.0 $gadget/functions/Loopback.0 $gadget/functions/hid.0
put 0x1d6b idVendor
put 0x0107 idProduct
put SN-USB strings/0x409/serialnumber
put iotrail strings/0x409/manufacturer
put 1 functions/SourceSink.0/pattern
put 8 functions/hid.0/report_length
printf '\006\000\377\011\001\241\001\025\000\046\377\000\165\010\225\010\011\001\201\002\011\001\221\002\300' >$gadget/functions/hid.0/report_desc
ln -s $gadget/functions/SourceSink.0 $gadget/configs/a.1/
ln -s $gadget/functions/Loopback.0 $gadget/functions/hid.0 $gadget/configs/b.2/
udc=$(ls /sys/class/udc)

# node_of LINE FILE: the node of the device whose file in sysfs has that line.
node_of() {
  local at
  at=$(dirname "$(grep -lx "$1" /sys/bus/usb/devices/*/"$2" | head -n 1)")
  printf /dev/bus/usb/%03d/%03d "$(cat "$at/busnum")" "$(cat "$at/devnum")"
}
plugged=0
plug() {
  plugged=$((plugged + 1))
  put "$udc" UDC
  await sh -c 'grep -qx SN-USB /sys/bus/usb/devices/*/serial'
  # Its number in sysfs comes before its node.
  there "$(node_of SN-USB serial)"
  await traced $plugged
}
traced() { [ "$(grep -c 'came and is traced .*SN-USB' /tmp/usb.log)" = "$1" ]; }

trace usb --device usb:1d6b:0107 --device usb:46f4:0002
# Nobody asked for this one.
hub=$(node_of 1d6b idVendor)
fact hub "$hub"
watched hub "$hub" ./usbtest about "$hub"
# It is not there before.
plug
usb=$(node_of SN-USB serial)
./usbtest endpoints "$usb" >/tmp/endpoints
. /tmp/endpoints
for name in out in loop_out loop_in interrupt; do eval "fact $name \$$name"; done
watched lib "$usb" ./usblib libusb-1.0.so.0 "$out" "$in" "$interrupt"
for program in usbtest usbtest32; do
  usb=$(node_of SN-USB serial)
  fact $program "$usb"
  # What the last one said must not be taken for this one's.
  rm -f /tmp/said
  watched $program "$usb" ./$program transfers "$usb" >/tmp/said &
  running=$!
  await grep -q reading /tmp/said
  put "" UDC
  wait $running
  fact $program.gone "$(sed -n 's/^gone //p' /tmp/said)"
  [ $program = usbtest32 ] || plug
done
sound=$(node_of 46f4 idVendor)
fact sound "$sound"
watched sound "$sound" ./usbtest iso "$sound"
untrace
