/* callcost KIND NODE CALLS: times every single call of a kind and prints "median p99" in ns. Each call has to end as the
 * kind says: what is refused is refused after the driver's side of the kernel has copied and checked its argument. Without
 * a node (-), on a pseudo-terminal of its own. */
#define _GNU_SOURCE
#include "check.h"
#include <fcntl.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <linux/spi/spidev.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static uint8_t at = 0x10, bytes[8], out[4] = {0x9f, 1, 2, 3}, in[4];
static struct i2c_msg messages[2] = {
	{.addr = 0x50, .len = 1, .buf = &at},
	{.addr = 0x50, .flags = I2C_M_RD, .len = sizeof bytes, .buf = bytes},
};
static struct i2c_rdwr_ioctl_data transfer = {messages, 2};
static union i2c_smbus_data data;
static struct i2c_smbus_ioctl_data smbus = {I2C_SMBUS_READ, 0x10, I2C_SMBUS_BYTE_DATA, &data};
static struct spi_ioc_transfer transfers[1];
static struct termios settings;

static const struct kind {
	const char *name;
	unsigned long command;
	void *argument;
	int result, error;
} kinds[] = {
	/* Measured on other machines too. */
	{"tcgets", TCGETS, &settings, 0, 0},
	{"rdwr", I2C_RDWR, &transfer, 2, 0},
	/* i2c-stub knows SMBus alone. */
	{"rdwr-refused", I2C_RDWR, &transfer, -1, EOPNOTSUPP},
	{"smbus", I2C_SMBUS, &smbus, 0, 0},
	{"spi", SPI_IOC_MESSAGE(1), transfers, sizeof out, 0},
	/* One wire for both ways: not both at once. */
	{"spi-refused", SPI_IOC_MESSAGE(1), transfers, -1, EINVAL},
};

static int ascending(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
	return (a > b) - (a < b);
}

static uint64_t now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

int main(int count, char **arguments)
{
	CHECK(count == 4);
	const struct kind *kind = kinds;
	while (kind < kinds + sizeof kinds / sizeof *kinds && strcmp(kind->name, arguments[1]))
		kind++;
	CHECK(kind < kinds + sizeof kinds / sizeof *kinds);
	const char *node = arguments[2];
	if (!strcmp(node, "-")) {
		int far = posix_openpt(O_RDWR | O_NOCTTY);
		CHECK(far >= 0 && !unlockpt(far) && (node = ptsname(far)));
	}
	int fd = open(node, O_RDWR | O_NOCTTY);
	CHECK(fd >= 0);
	if (kind->command == I2C_SMBUS)
		CHECK(!ioctl(fd, I2C_SLAVE, 0x1c));
	transfers[0].tx_buf = (uintptr_t)out;
	transfers[0].len = sizeof out;
	if (kind->error)
		transfers[0].rx_buf = (uintptr_t)in;

	size_t calls = strtoul(arguments[3], NULL, 10);
	uint64_t *took = calloc(calls, sizeof *took);
	CHECK(calls && took);
	for (size_t call = 0; call < calls; call++) {
		uint64_t start = now();
		int result = ioctl(fd, kind->command, kind->argument);
		took[call] = now() - start;
		CHECK(result == kind->result && (result >= 0 || errno == kind->error));
	}
	qsort(took, calls, sizeof *took, ascending);
	printf("%llu %llu\n", (unsigned long long)took[(calls - 1) / 2], (unsigned long long)took[(calls - 1) * 99 / 100]);
	return 0;
}
