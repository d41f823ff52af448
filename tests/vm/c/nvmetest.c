/* nvmetest NODE BLOCK METADATA: commands passed through to an NVMe namespace with blocks of so many bytes and so many bytes of metadata
 * beside each. What is written by one kind of call is read back by the others. */
#include "check.h"
#include <fcntl.h>
#include <linux/nvme_ioctl.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef NVME_IOCTL_IO64_CMD_VEC
#define NVME_IOCTL_IO64_CMD_VEC _IOWR('N', 0x49, struct nvme_passthru_cmd64)
#endif

/* Its number in 64-bit programs. That of i386 programs, whose structure is 4 bytes shorter, is known to no kernel. */
#define SUBMIT_IO _IOC(_IOC_WRITE, 'N', 0x42, 48)

enum { FLUSH = 0, WRITE = 1, READ = 2, BLOCKS = 2 };

static uint8_t data[BLOCKS * 4096], back[BLOCKS * 4096], meta[BLOCKS * 64] __attribute__((aligned(8))), mback[BLOCKS * 64] __attribute__((aligned(8)));

static struct nvme_passthru_cmd command(int opcode, int nsid, uint64_t lba, void *at, int bytes)
{
	return (struct nvme_passthru_cmd){.opcode = opcode, .nsid = nsid, .addr = (uintptr_t)at, .data_len = bytes,
		.cdw10 = lba, .cdw11 = lba >> 32, .cdw12 = BLOCKS - 1};
}

int main(int count, char **arguments)
{
	CHECK(count == 4);
	int fd = open(arguments[1], O_RDWR), block = atoi(arguments[2]), ms = atoi(arguments[3]);
	CHECK(fd >= 0);
	struct stat node;
	CHECK(!fstat(fd, &node));
	int bytes = BLOCKS * block, more = BLOCKS * ms, nsid = ioctl(fd, NVME_IOCTL_ID);
	CHECK(nsid > 0);
	memset(data, 'd', sizeof data);
	memset(meta, 'm', sizeof meta);

	/* Only here the size of the data is not said. */
	struct nvme_user_io room[2] = {{.opcode = WRITE, .nblocks = BLOCKS - 1, .addr = (uintptr_t)data, .slba = 8,
		.metadata = ms ? (uintptr_t)meta : 0}}, *io = room;
	CHECK(!ioctl(fd, SUBMIT_IO, io));
	io->opcode = READ;
	io->addr = (uintptr_t)back;
	io->metadata = ms ? (uintptr_t)mback : 0;
	CHECK(!ioctl(fd, SUBMIT_IO, io) && !memcmp(data, back, bytes) && !memcmp(meta, mback, more));
	io->slba = 1ull << 40;
	CHECK(ioctl(fd, SUBMIT_IO, io) > 0);
	io->opcode = FLUSH;
	REFUSED(ioctl(fd, SUBMIT_IO, io), EINVAL);
	io->opcode = READ;
	io->slba = 8;
	io->addr = 4096;
	REFUSED(ioctl(fd, SUBMIT_IO, io), EFAULT);

	memset(data, 'e', sizeof data);
	memset(meta, 'n', sizeof meta);
	struct nvme_passthru_cmd cmd = command(WRITE, nsid, 16, data, bytes);
	cmd.metadata = ms ? (uintptr_t)meta : 0;
	cmd.metadata_len = more;
	CHECK(!ioctl(fd, NVME_IOCTL_IO_CMD, &cmd));
	cmd = command(READ, nsid, 16, back, bytes);
	cmd.metadata = ms ? (uintptr_t)mback : 0;
	cmd.metadata_len = more;
	CHECK(!ioctl(fd, NVME_IOCTL_IO_CMD, &cmd) && !memcmp(data, back, bytes) && !memcmp(meta, mback, more));
	cmd = command(READ, nsid, 1ull << 40, back, bytes);
	cmd.metadata = ms ? (uintptr_t)mback : 0;
	cmd.metadata_len = more;
	CHECK(ioctl(fd, NVME_IOCTL_IO_CMD, &cmd) > 0);
	cmd = command(FLUSH, nsid, 0, NULL, 0);
	CHECK(!ioctl(fd, NVME_IOCTL_IO_CMD, &cmd));
	if (!ms) {
		struct nvme_passthru_cmd64 wide = {.opcode = READ, .nsid = nsid, .addr = (uintptr_t)back, .data_len = bytes,
			.cdw10 = 16, .cdw12 = BLOCKS - 1};
		memset(back, 0, sizeof back);
		CHECK(!ioctl(fd, NVME_IOCTL_IO64_CMD, &wide) && !memcmp(data, back, bytes));
		memset(back, 0, sizeof back);
		/* QEMU's controller and the kernel want pieces of whole words. */
		struct iovec parts[3] = {{back, 128}, {back + 128, block - 128}, {back + block, block}};
		wide.addr = (uintptr_t)parts;
		wide.data_len = 3;
		CHECK(!ioctl(fd, NVME_IOCTL_IO64_CMD_VEC, &wide) && !memcmp(data, back, bytes));
		struct iovec out[2] = {{data, 256}, {data + 256, bytes - 256}};
		wide.opcode = WRITE;
		wide.addr = (uintptr_t)out;
		wide.data_len = 2;
		CHECK(!ioctl(fd, NVME_IOCTL_IO64_CMD_VEC, &wide));
	}
	close(fd);
	return 0;
}
