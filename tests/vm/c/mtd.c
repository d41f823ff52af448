/* A page of flash memory and what is out of band: `mtd DEVICE`. */
#include "check.h"
#include <fcntl.h>
#include <mtd/mtd-abi.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(int count, char **arguments)
{
	CHECK(count == 2);
	int fd = open(arguments[1], O_RDWR);
	CHECK(fd >= 0);
	struct mtd_info_user info;
	CHECK(!ioctl(fd, MEMGETINFO, &info) && info.type == MTD_NANDFLASH && info.writesize <= 4096);
	/* For the table: what the chip is. */
	printf("size=%u\nerase_size=%u\nwrite_size=%u\noob_size=%u\n", info.size, info.erasesize, info.writesize,
	       info.oobsize);
	struct erase_info_user block = {.start = info.erasesize, .length = info.erasesize};
	CHECK(!ioctl(fd, MEMERASE, &block));
	block.start = 1;
	REFUSED(ioctl(fd, MEMERASE, &block), EINVAL);
	loff_t place = info.erasesize;
	CHECK(ioctl(fd, MEMGETBADBLOCK, &place) == 0);

	static unsigned char page[4096], again[4096], beside[2] = {0x12, 0x34}, back[2];
	for (unsigned at = 0; at < info.writesize; at++)
		page[at] = at;
	CHECK(pwrite(fd, page, info.writesize, place) == (ssize_t)info.writesize);
	CHECK(pread(fd, again, 16, place) == 16 && !memcmp(page, again, 16));
	/* Neither a page nor one of its parts. */
	REFUSED(pwrite(fd, page, 100, place), EINVAL);
	struct mtd_oob_buf oob = {.start = place + info.writesize, .length = sizeof beside, .ptr = beside};
	CHECK(!ioctl(fd, MEMWRITEOOB, &oob));
	oob.ptr = back;
	CHECK(!ioctl(fd, MEMREADOOB, &oob) && !memcmp(beside, back, sizeof back));
	struct mtd_ecc_stats stats;
	CHECK(!ioctl(fd, ECCGETSTATS, &stats) && !stats.failed);
	return 0;
}
