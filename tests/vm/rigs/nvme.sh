. ./lib.sh
there /dev/nvme0 /dev/nvme0n1
trace nvme --device nvme
watched identify /dev/nvme0 nvme id-ctrl /dev/nvme0
watched log /dev/nvme0 nvme smart-log /dev/nvme0
refused feature /dev/nvme0 nvme get-feature /dev/nvme0 -f 0xee
untrace
