. ./lib.sh
./vusb cp2112 SN-GPIO &
await sh -c 'gpiodetect | grep -q cp2112'
chip=$(gpiodetect | sed -n 's/ .*cp2112.*//p')
node=/dev/$chip
fact node "$node"
trace gpio --device gpio
watched info "$node" gpioinfo "$chip"
watched set "$node" gpioset "$chip" 0=1
watched get "$node" gpioget "$chip" 0 1
# Line 7 changes twice a second by itself.
watched monitor "$node" timeout 20 gpiomon --num-events=3 "$chip" 7
refused missing "$node" gpioget "$chip" 99
watched test "$node" sh -c "./gpiotest $node 7 0 1 >/tmp/edges"
cat /tmp/edges >>/host/out/facts
if [ "$(uname -m)" = aarch64 ]; then
  # The machine's own, whose lines have names.
  own=$(gpiodetect | sed -n 's/ .*pl061.*//p')
  fact own "/dev/$own"
  watched named "/dev/$own" gpioinfo "$own"
  watched find "/dev/$own" gpioset "$own" 6=1
fi
untrace
