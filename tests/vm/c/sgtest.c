/* sgtest sg NODE, sgtest bsg NODE: SCSI commands by both interfaces of SG_IO, on a disk of at least 1 MiB with blocks of 512 bytes. What
 * is written is read back, once in one piece of memory and once in several. */
#include "check.h"
#include <fcntl.h>
#include <linux/bsg.h>
#include <scsi/sg.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BLOCK = 512, CHECK_CONDITION = 2 };

static uint8_t sense[32], block[BLOCK], back[BLOCK];
static uint8_t inquiry[6] = {0x12, 0, 0, 0, 36, 0}, ready[6] = {0}, nonsense[6] = {0xff};
static uint8_t write10[10] = {0x2a, 0, 0, 0, 0, 8, 0, 0, 1, 0}, read10[10] = {0x28, 0, 0, 0, 0, 8, 0, 0, 1, 0};

static struct sg_io_hdr third(uint8_t *command, int length, int direction, void *data, int bytes)
{
	memset(sense, 0, sizeof sense);
	return (struct sg_io_hdr){.interface_id = 'S', .dxfer_direction = direction, .cmd_len = length, .cmdp = command,
		.dxfer_len = bytes, .dxferp = data, .mx_sb_len = sizeof sense, .sbp = sense, .timeout = 20000};
}

static void sg(const char *node)
{
	int fd = open(node, O_RDWR), version = 0;
	CHECK(fd >= 0);
	CHECK(!ioctl(fd, SG_GET_VERSION_NUM, &version) && version >= 30000);

	uint8_t whole[36] = {0}, a[8] = {0}, b[8] = {0}, c[64] = {0};
	struct sg_io_hdr h = third(inquiry, 6, SG_DXFER_FROM_DEV, whole, sizeof whole);
	CHECK(!ioctl(fd, SG_IO, &h) && !h.status && whole[4]);
	/* The last segment is longer than what is asked for. */
	struct sg_iovec parts[3] = {{a, sizeof a}, {b, sizeof b}, {c, sizeof c}};
	h = third(inquiry, 6, SG_DXFER_FROM_DEV, parts, sizeof whole);
	h.iovec_count = 3;
	CHECK(!ioctl(fd, SG_IO, &h) && !h.status);
	CHECK(!memcmp(a, whole, 8) && !memcmp(b, whole + 8, 8) && !memcmp(c, whole + 16, 20) && !c[20]);

	struct sg_iovec out[2] = {{block, 100}, {block + 100, BLOCK - 100}};
	h = third(write10, 10, SG_DXFER_TO_DEV, out, BLOCK);
	h.iovec_count = 2;
	CHECK(!ioctl(fd, SG_IO, &h) && !h.status);
	h = third(read10, 10, SG_DXFER_FROM_DEV, back, BLOCK);
	CHECK(!ioctl(fd, SG_IO, &h) && !h.status && !memcmp(block, back, BLOCK));

	h = third(ready, 6, SG_DXFER_NONE, NULL, 0);
	CHECK(!ioctl(fd, SG_IO, &h));
	h = third(nonsense, 6, SG_DXFER_NONE, NULL, 0);
	CHECK(!ioctl(fd, SG_IO, &h) && h.status == CHECK_CONDITION && h.sb_len_wr);

	/* What the driver refuses: a command at a pointer to nowhere, another interface, a negative size. */
	h = third((uint8_t *)1, 6, SG_DXFER_NONE, NULL, 0);
	REFUSED(ioctl(fd, SG_IO, &h), EFAULT);
	h = third(ready, 6, SG_DXFER_NONE, NULL, 0);
	h.interface_id = 'X';
	REFUSED(ioctl(fd, SG_IO, &h), ENOSYS);
	int size = -1;
	REFUSED(ioctl(fd, SG_SET_RESERVED_SIZE, &size), EINVAL);
	close(fd);
}

static struct sg_io_v4 fourth(uint8_t *command, int length)
{
	memset(sense, 0, sizeof sense);
	return (struct sg_io_v4){.guard = 'Q', .protocol = BSG_PROTOCOL_SCSI, .subprotocol = BSG_SUB_PROTOCOL_SCSI_CMD,
		.request_len = length, .request = (uintptr_t)command, .max_response_len = sizeof sense,
		.response = (uintptr_t)sense, .timeout = 20000};
}

static void bsg(const char *node)
{
	int fd = open(node, O_RDWR);
	CHECK(fd >= 0);
	uint8_t whole[36] = {0};
	struct sg_io_v4 h = fourth(inquiry, 6);
	h.din_xferp = (uintptr_t)whole;
	h.din_xfer_len = sizeof whole;
	/* Which no kernel looks at. */
	h.din_iovec_count = 1;
	CHECK(!ioctl(fd, SG_IO, &h) && !h.device_status && whole[4]);
	h = fourth(write10, 10);
	h.dout_xferp = (uintptr_t)block;
	h.dout_xfer_len = BLOCK;
	CHECK(!ioctl(fd, SG_IO, &h) && !h.device_status);
	h = fourth(read10, 10);
	h.din_xferp = (uintptr_t)back;
	h.din_xfer_len = BLOCK;
	CHECK(!ioctl(fd, SG_IO, &h) && !h.device_status && !memcmp(block, back, BLOCK));
	h = fourth(nonsense, 6);
	CHECK(!ioctl(fd, SG_IO, &h) && h.device_status == CHECK_CONDITION && h.response_len);

	h = fourth((uint8_t *)1, 6);
	REFUSED(ioctl(fd, SG_IO, &h), EFAULT);
	h = fourth(ready, 6);
	h.guard = 'X';
	REFUSED(ioctl(fd, SG_IO, &h), EINVAL);
	close(fd);
}

int main(int count, char **arguments)
{
	CHECK(count == 3);
	for (int i = 0; i < BLOCK; i++)
		block[i] = 'A' + i % 26;
	(strcmp(arguments[1], "bsg") ? sg : bsg)(arguments[2]);
	return 0;
}
