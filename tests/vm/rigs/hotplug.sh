. ./lib.sh
# plug SERIAL: an adapter, and its node.
plug() {
  ./vusb i2c-tiny "$1" &
  adapter=$!
  await sh -c 'i2cdetect -l | grep -q tiny'
  node=$(i2cdetect -l | sed -n 's,^i2c-\([0-9]*\).*tiny.*,/dev/i2c-\1,p')
  there "$node"
  # A class has all its numbers from the start. What make a node is has to be found out first, which takes its time.
  [ $run = class ] || await grep -q "$node came and is traced .*$1" /tmp/$run.log
  bus=${node#/dev/i2c-}
}
# listed TEXT: what `iotrail devices` has to say.
listed() { grep -qF "$1" /host/out/devices.json || fail "iotrail devices does not say $1"; }

for run in make class; do
  case $run in
    make) which=usb:0403:c631 ;;
    class) which=i2c ;;
  esac
  # There is no adapter yet.
  trace $run --device $which
  plug SN-FIRST
  fact $run.first "$node"
  watched $run.read "$node" i2ctransfer -y "$bus" w1@0x50 0x10 r2
  # A tenth of a second for each message.
  watched $run.slow "$node" i2ctransfer -y "$bus" w1@0x51 0x10 r2
  if [ $run = class ]; then
    sleep 100 <"$node" &
    holder=$!
    ./iotrail devices --class i2c --format json >/host/out/devices.json
    kill $holder
    for text in '"path":"'"$node"'"' '"class":"i2c"' '"driver":"i2c-tiny-usb"' '"serial":"SN-FIRST"' \
      '"id":"i2c:usb:0403:c631:SN-FIRST:' '"vendor":"0403"' '"product":"c631"' '"bus":"usb"' '"comm":"sleep"' \
      '"pid":'$holder; do
      listed "$text"
    done
  fi
  # Unplugged in the middle of it, by itself.
  refused $run.cut "$node" i2ctransfer -y "$bus" w1@0x53 0x10 r2
  wait $adapter
  await sh -c '! i2cdetect -l | grep -q tiny'
  # Another one, perhaps by the same name.
  plug SN-SECOND
  fact $run.second "$node"
  watched $run.again "$node" i2ctransfer -y "$bus" w1@0x50 0x20 r1
  kill $adapter
  wait $adapter || true
  await sh -c '! i2cdetect -l | grep -q tiny'
  untrace
done
