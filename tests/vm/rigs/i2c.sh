. ./lib.sh
# adapter PATTERN: the node of the adapter whose description matches.
adapter() { i2cdetect -l | sed -n "s,^i2c-\([0-9]*\).*$1.*,/dev/i2c-\1,p"; }
./vusb i2c-tiny SN-I2C &
await sh -c 'i2cdetect -l | grep -q tiny'
node=$(adapter tiny)
there "$node"
fact node "$node"
bus=${node#/dev/i2c-}
if [ "$(uname -m)" = x86_64 ]; then
  modprobe i2c-stub chip_addr=0x1c
  stub=$(adapter stub)
  there "$stub"
  fact stub "$stub"
fi

trace i2c --device i2c --hooks raw
watched write-read "$node" i2ctransfer -y "$bus" w1@0x50 0x10 r2
watched write "$node" i2ctransfer -y "$bus" w3@0x50 0x20 0xfe 0xff
watched again "$node" i2ctransfer -y "$bus" w1@0x50 0x20 r2
refused absent "$node" i2ctransfer -y "$bus" w1@0x33 0 r1
refused broken "$node" i2ctransfer -y "$bus" w1@0x52 0 r1
watched slow "$node" i2ctransfer -y "$bus" w1@0x51 0x10 r2
watched test "$node" ./i2ctest "$node" 10
watched test32 "$node" ./i2ctest32 "$node" 10
if [ -n "$stub" ]; then
  watched set "$stub" i2cset -y "${stub#/dev/i2c-}" 0x1c 0x10 0xab
  watched get "$stub" i2cget -y "${stub#/dev/i2c-}" 0x1c 0x10
fi
untrace
