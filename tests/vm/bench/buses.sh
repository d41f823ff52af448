. ./lib.sh
# Every condition once in every round. What was measured: /host/out/figures, lines ROUND CONDITION OPERATION NS.
adapter() { i2cdetect -l | sed -n "s,^i2c-\([0-9]*\).*$1.*,/dev/i2c-\1,p"; }
./vusb i2c-tiny SN-I2C >/dev/null &
await sh -c 'i2cdetect -l | grep -q tiny'
tiny=$(adapter tiny)
modprobe i2c-stub chip_addr=0x1c
stub=$(adapter stub)
for device in /sys/bus/spi/devices/*; do
  device=${device##*/}
  if [ ! -e "/sys/bus/spi/devices/$device/driver" ]; then
    echo spidev >"/sys/bus/spi/devices/$device/driver_override"
    echo "$device" >/sys/bus/spi/drivers/spidev/bind
  fi
done
await sh -c 'ls /dev/spidev*'
spi=$(ls /dev/spidev* | head -n 1)
there "$tiny" "$stub" "$spi"

# cost KIND NODE CALLS OPERATION: one measurement, once the tracer is done with the one before: there is one CPU for both.
cost() {
  local both
  sleep 2
  both=$(./callcost "$1" "$2" "$3") || fail "callcost $1"
  printf '%s\t%s\t%s, median\t%s\n' "$round" "$condition" "$4" "${both% *}" >>/host/out/figures
  printf '%s\t%s\t%s, p99\t%s\n' "$round" "$condition" "$4" "${both#* }" >>/host/out/figures
}

# The quick ones often enough for a 99th percentile; the USB adapter is itself a program in this machine. No more refused ones
# than the ring of errors holds: the one CPU has no time for iotrail before they are over.
costs() {
  cost tcgets - 3000 "ioctl TCGETS of a pty"
  cost smbus "$stub" 3000 "I2C_SMBUS, i2c-stub"
  cost rdwr-refused "$stub" 1000 "I2C_RDWR refused, i2c-stub"
  cost rdwr "$tiny" 200 "I2C_RDWR, i2c-tiny-usb"
  cost spi-refused "$spi" 1000 "SPI_IOC_MESSAGE refused, spi-lm70llp"
  cost spi "$spi" 100 "SPI_IOC_MESSAGE, spi-lm70llp"
}

# under_bpftrace: a histogram of how long ioctl took, of whoever calls it.
under_bpftrace() {
  bpftrace -e 'tracepoint:syscalls:sys_enter_ioctl { @start[tid] = nsecs; }
    tracepoint:syscalls:sys_exit_ioctl /@start[tid]/ { @took = hist(nsecs - @start[tid]); delete(@start[tid]); }
    interval:ms:500 { printf("ready\n"); }' >/tmp/bpftrace.log 2>&1 &
  local tracer=$! tries=600
  until grep -q ready /tmp/bpftrace.log; do
    tries=$((tries - 1))
    if [ $tries = 0 ] || ! kill -0 $tracer 2>/dev/null; then
      cat /tmp/bpftrace.log >&2
      fail "bpftrace does not trace"
    fi
    sleep 0.2
  done
  costs
  kill -INT $tracer
  wait $tracer || fail "bpftrace ended with status $?"
  grep -q '@took' /tmp/bpftrace.log || fail "bpftrace has no histogram"
}

# under_iotrail RUN DESTINATION
under_iotrail() {
  ./iotrail run --listen $ADDRESS --device i2c --device spi --device tty --export "$2" --report "/tmp/$1.report.json" >"/tmp/$1.log" 2>&1 &
  tracer=$!
  local tries=600
  until wget -q -O /dev/null "http://$ADDRESS/health/ready" 2>/dev/null; do
    tries=$((tries - 1))
    if [ $tries = 0 ] || ! kill -0 $tracer 2>/dev/null; then
      cat "/tmp/$1.log" >&2
      fail "iotrail does not trace"
    fi
    sleep 0.2
  done
  costs
  kill -INT $tracer
  wait $tracer || fail "iotrail ended with status $?"
}

# Once for the caches.
round=0 condition=first
costs
rm /host/out/figures
rounds=$(cat rounds)
for round in $(seq "$rounds"); do
  step "round $round of $rounds"
  condition=nothing
  costs
  condition=bpftrace
  under_bpftrace
  condition="iotrail, metrics only"
  under_iotrail metrics none
  condition="iotrail, file"
  under_iotrail file file:/tmp/file.jsonl
done
cp /tmp/file.jsonl /tmp/file.report.json /tmp/file.log /host/out/
fact rdwr 200
fact rdwr-refused 1000
fact smbus 3000
fact spi 100
fact tcgets 3000
fact spi-refused 1000
