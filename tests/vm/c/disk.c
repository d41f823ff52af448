/* disk direct NODE, disk cached NODE, disk bad NODE SECTOR: what a program does with a disk, around the page cache and through it; and reads
 * of a sector that is broken. */
#define _GNU_SOURCE
#include "check.h"
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PAGE = 4096 };

static uint8_t a[4 * PAGE] __attribute__((aligned(PAGE))), b[4 * PAGE] __attribute__((aligned(PAGE)));

static void direct(const char *node)
{
	int fd = open(node, O_RDWR | O_DIRECT);
	CHECK(fd >= 0);
	uint64_t bytes = 0, sequence = 0;
	int block = 0, other = 0;
	unsigned physical = 0;
	unsigned short rotational = 0;
	long ahead = 0;
	CHECK(!ioctl(fd, BLKGETSIZE64, &bytes) && bytes >= 1 << 20);
	CHECK(!ioctl(fd, BLKSSZGET, &block) && block == 512);
	CHECK(!ioctl(fd, BLKPBSZGET, &physical) && physical >= 512);
	CHECK(!ioctl(fd, BLKROGET, &other) && !other);
	CHECK(!ioctl(fd, BLKROTATIONAL, &rotational));
	CHECK(!ioctl(fd, BLKRASET, 64l) && !ioctl(fd, BLKRAGET, &ahead) && ahead == 64);
	CHECK(!ioctl(fd, BLKGETDISKSEQ, &sequence) && sequence);
	CHECK(!ioctl(fd, BLKFLSBUF));
	/* What there is not: drivers differ in how they say so. */
	CHECK(ioctl(fd, BLKRASET + 100, 0l) == -1 && (errno == ENOTTY || errno == EINVAL));
	/* Beyond the end, and no whole sectors. */
	uint64_t range[2] = {bytes, 4096};
	REFUSED(ioctl(fd, BLKZEROOUT, range), EINVAL);

	CHECK(pwrite(fd, a, 2 * PAGE, 8192) == 2 * PAGE);
	CHECK(pread(fd, b, 2 * PAGE, 8192) == 2 * PAGE && !memcmp(a, b, 2 * PAGE));
	CHECK(lseek(fd, 65536, SEEK_SET) == 65536);
	CHECK(write(fd, a, 512) == 512 && read(fd, b, 512) == 512);
	struct iovec parts[2] = {{a, PAGE}, {a + 2 * PAGE, 512}}, back[2] = {{b, PAGE}, {b + 2 * PAGE, 512}};
	CHECK(pwritev(fd, parts, 2, 131072) == PAGE + 512);
	CHECK(preadv(fd, back, 2, 131072) == PAGE + 512 && !memcmp(a, b, PAGE));
	CHECK(pread(fd, b, PAGE, bytes) == 0);
	REFUSED(pread(fd, b, 100, 0), EINVAL);
	REFUSED(pwrite(fd, a, PAGE, bytes), ENOSPC);
	close(fd);
}

static void cached(const char *node)
{
	int fd = open(node, O_RDWR);
	CHECK(fd >= 0);
	uint64_t bytes = 0;
	CHECK(!ioctl(fd, BLKGETSIZE64, &bytes));
	CHECK(pread(fd, b, PAGE, 0) == PAGE && pwrite(fd, a, PAGE, 262144) == PAGE && pread(fd, b, 100, 50) == 100);
	close(fd);
}

static void switched(const char *node)
{
	int fd = open(node, O_RDONLY);
	CHECK(fd >= 0);
	CHECK(pread(fd, b, PAGE, 0) == PAGE);
	CHECK(!fcntl(fd, F_SETFL, O_DIRECT) && pread(fd, b, PAGE, PAGE) == PAGE && pread(fd, b, 512, 512) == 512);
	CHECK(!fcntl(fd, F_SETFL, 0) && pread(fd, b, PAGE, 2 * PAGE) == PAGE);
	close(fd);
}

static void bad(const char *node, long sector)
{
	int fd = open(node, O_RDONLY | O_DIRECT);
	CHECK(fd >= 0);
	CHECK(pread(fd, b, 512, 0) == 512);
	REFUSED(pread(fd, b, 512, sector * 512), EIO);
	close(fd);
}

int main(int count, char **arguments)
{
	CHECK(count >= 3);
	for (unsigned i = 0; i < sizeof a; i++)
		a[i] = 'a' + i % 26;
	if (!strcmp(arguments[1], "direct"))
		direct(arguments[2]);
	else if (!strcmp(arguments[1], "cached"))
		cached(arguments[2]);
	else if (!strcmp(arguments[1], "switched"))
		switched(arguments[2]);
	else
		bad(arguments[2], atol(arguments[3]));
	return 0;
}
