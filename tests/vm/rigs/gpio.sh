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
untrace
