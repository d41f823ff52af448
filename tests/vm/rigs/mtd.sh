. ./lib.sh
there /dev/mtd0
trace mtd --device mtd
watched flash /dev/mtd0 ./mtd /dev/mtd0 >/tmp/flash.said
untrace
facts /tmp/flash.said
