. ./lib.sh
await sh -c 'ls /dev/sg* && ls /dev/bsg/*:*'
name=$(basename "$(ls -d /sys/class/scsi_generic/sg* | head -n 1)")
node=/dev/$name
bsg=/dev/bsg/$(basename "$(readlink -f "/sys/class/scsi_generic/$name/device")")
fact node "$node"
fact bsg "$bsg"
# As its driver says: the world-wide name, or what USB has.
name=$(cat "/sys/class/scsi_generic/$name/device/wwid" 2>/dev/null || true)
case $name in
  naa.*) fact id "scsi:$name" ;;
  *) fact id "scsi:usb:46f4:0001:QSTOR1*" ;;
esac
# A unit's first command may be told that it was just switched on.
await sg_turs "$node"
trace scsi --device scsi --hooks raw
watched inquiry "$node" sg_inq "$node"
watched other "$bsg" sg_inq "$bsg"
# A command that no disk knows.
refused raw "$node" sg_raw "$node" ff 00 00 00 00 00
refused rawbsg "$bsg" sg_raw "$bsg" ff 00 00 00 00 00
watched sg "$node" ./sgtest sg "$node"
watched bsg "$bsg" ./sgtest bsg "$bsg"
watched sg32 "$node" ./sgtest32 sg "$node"
untrace
