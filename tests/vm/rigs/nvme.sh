. ./lib.sh
there /dev/nvme0 /dev/nvme0n1 /dev/nvme0n2 /dev/ng0n1
fact metadata "$(cat /sys/block/nvme0n2/queue/logical_block_size)"
trace nvme --device nvme
watched identify /dev/nvme0 nvme id-ctrl /dev/nvme0
watched log /dev/nvme0 nvme smart-log /dev/nvme0
refused feature /dev/nvme0 nvme get-feature /dev/nvme0 -f 0xee
refused opcode /dev/nvme0 nvme admin-passthru /dev/nvme0 --opcode=0x7f
watched small /dev/nvme0n1 ./nvmetest /dev/nvme0n1 512 0
watched large /dev/nvme0n2 ./nvmetest /dev/nvme0n2 4096 16
watched generic /dev/ng0n1 ./nvmetest /dev/ng0n1 512 0
watched narrow /dev/nvme0n1 ./nvmetest32 /dev/nvme0n1 512 0
untrace
