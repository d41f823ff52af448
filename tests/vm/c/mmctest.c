/* mmctest NODE ADDRESS: commands passed through to a memory card (an SD card): its status, a block written and read, several in one call, refused
 * ones. SD Physical Layer Specification, section 4.7.4. */
#include "check.h"
#include <fcntl.h>
#include <linux/major.h>
#include <linux/mmc/ioctl.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* include/linux/mmc/core.h: a response of type R1, with and without data. */
enum { RSP_R1 = 0x15, ADTC = 1 << 5, AC = 0 << 5 };
enum { READ_SINGLE_BLOCK = 17, WRITE_BLOCK = 24, SEND_STATUS = 13, APP_SD_STATUS = 13 };

static struct mmc_ioc_cmd command(int opcode, unsigned argument, int write, void *data, int bytes)
{
	struct mmc_ioc_cmd c = {.write_flag = write, .opcode = opcode, .arg = argument, .flags = RSP_R1 | (data ? ADTC : AC),
		.blksz = bytes, .blocks = data ? 1 : 0};
	if (data)
		mmc_ioc_cmd_set_data(c, data);
	return c;
}

int main(int count, char **arguments)
{
	CHECK(count == 3);
	int fd = open(arguments[1], O_RDWR);
	CHECK(fd >= 0);
	uint8_t out[512], in[512] = {0}, status[64] = {0};
	memset(out, 'w', sizeof out);
	struct mmc_ioc_cmd c = command(SEND_STATUS, strtoul(arguments[2], NULL, 0) << 16, 0, NULL, 0);
	CHECK(!ioctl(fd, MMC_IOC_CMD, &c));
	c = command(WRITE_BLOCK, 8 * 512, 1, out, sizeof out);
	CHECK(!ioctl(fd, MMC_IOC_CMD, &c));
	c = command(READ_SINGLE_BLOCK, 8 * 512, 0, in, sizeof in);
	CHECK(!ioctl(fd, MMC_IOC_CMD, &c) && !memcmp(out, in, sizeof in));
	c = command(APP_SD_STATUS, 0, 0, status, sizeof status);
	c.is_acmd = 1;
	CHECK(!ioctl(fd, MMC_IOC_CMD, &c));

	struct {
		struct mmc_ioc_multi_cmd head;
		struct mmc_ioc_cmd commands[2];
	} several = {.head.num_of_cmds = 2};
	memset(out, 'v', sizeof out);
	several.commands[0] = command(WRITE_BLOCK, 9 * 512, 1, out, sizeof out);
	several.commands[1] = command(READ_SINGLE_BLOCK, 9 * 512, 0, in, sizeof in);
	CHECK(!ioctl(fd, MMC_IOC_MULTI_CMD, &several) && !memcmp(out, in, sizeof in));

	/* Beyond the end: the card refuses, in its response. Data at a pointer to nowhere. Too many. */
	c = command(READ_SINGLE_BLOCK, 0xf0000000, 0, in, sizeof in);
	CHECK(!ioctl(fd, MMC_IOC_CMD, &c) && c.response[0] & 1u << 30);
	c = command(WRITE_BLOCK, 0, 1, (void *)1, sizeof out);
	REFUSED(ioctl(fd, MMC_IOC_CMD, &c), EFAULT);
	several.head.num_of_cmds = MMC_IOC_MAX_CMDS + 1;
	REFUSED(ioctl(fd, MMC_IOC_MULTI_CMD, &several), EINVAL);
	close(fd);
	return 0;
}
