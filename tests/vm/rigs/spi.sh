. ./lib.sh
# What the driver found is a thermometer; spidev takes its place.
for device in /sys/bus/spi/devices/*; do
  device=${device##*/}
  if [ ! -e "/sys/bus/spi/devices/$device/driver" ]; then
    echo spidev >"/sys/bus/spi/devices/$device/driver_override"
    echo "$device" >/sys/bus/spi/drivers/spidev/bind
  fi
done
await sh -c 'ls /dev/spidev*'
node=$(ls /dev/spidev* | head -n 1)
fact node "$node"
trace spi --device spi --hooks raw
watched test "$node" ./spitest "$node"
watched test32 "$node" ./spitest32 "$node"
untrace
