. ./lib.sh
there /dev/nvme0 /dev/nvme0n1 /dev/nvme0n2 /dev/ng0n1
# Either may come first.
for disk in nvme0n1 nvme0n2; do
  case $(cat /sys/block/$disk/nsid) in
    1) small=/dev/$disk generic=/dev/ng${disk#nvme} ;;
    2) large=/dev/$disk ;;
  esac
done
fact small "$small"
fact large "$large"
fact generic "$generic"
trace nvme --device nvme --hooks raw
watched identify /dev/nvme0 nvme id-ctrl /dev/nvme0
watched log /dev/nvme0 nvme smart-log /dev/nvme0
refused feature /dev/nvme0 nvme get-feature /dev/nvme0 -f 0xee
refused opcode /dev/nvme0 nvme admin-passthru /dev/nvme0 --opcode=0x7b
watched small "$small" ./nvmetest "$small" 512 0
watched large "$large" ./nvmetest "$large" 4096 16
watched generic "$generic" ./nvmetest "$generic" 512 0
watched narrow "$small" ./nvmetest32 "$small" 512 0
untrace
