. ./lib.sh
await sh -c 'ls /dev/sg*'
node=$(ls /dev/sg* | head -n 1)
fact node "$node"
trace scsi --device scsi
watched inquiry "$node" sg_inq "$node"
# A command that no disk knows.
refused raw "$node" sg_raw "$node" ff 00 00 00 00 00
untrace
