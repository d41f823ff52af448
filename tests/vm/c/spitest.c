/* spitest NODE: what a program does on a spidev node: mode, bits and speed, SPI_IOC_MESSAGE(2) (both ways, then out only), read
 * and write, a transfer from a pointer to nowhere. What a controller may lack (modes) may be refused. */
#include "check.h"
#include <fcntl.h>
#include <linux/spi/spidev.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(int count, char **arguments)
{
	CHECK(count == 2);
	int fd = open(arguments[1], O_RDWR);
	CHECK(fd >= 0);
	uint32_t mode = 0, speed = 500000, is = 0;
	uint8_t plain = 0, bits = 8;
	CHECK(!ioctl(fd, SPI_IOC_RD_MODE32, &mode));
	CHECK(!ioctl(fd, SPI_IOC_WR_MODE, &plain) || errno == EINVAL);
	CHECK(!ioctl(fd, SPI_IOC_WR_BITS_PER_WORD, &bits));
	CHECK(!ioctl(fd, SPI_IOC_WR_MAX_SPEED_HZ, &speed) && !ioctl(fd, SPI_IOC_RD_MAX_SPEED_HZ, &is) && is == speed);

	uint8_t out[4] = {0x9f, 1, 2, 3}, in[4] = {0}, more[2] = {0xab, 0xcd};
	struct spi_ioc_transfer transfers[2] = {
		{.tx_buf = (uintptr_t)out, .rx_buf = (uintptr_t)in, .len = sizeof out},
		{.tx_buf = (uintptr_t)more, .len = sizeof more},
	};
	/* A controller with one data line for both ways cannot do both at once. */
	CHECK(ioctl(fd, SPI_IOC_MESSAGE(2), transfers) == 6 || errno == EINVAL);
	CHECK(write(fd, out, sizeof out) == sizeof out);
	CHECK(read(fd, in, sizeof in) == sizeof in);
	transfers[0].tx_buf = 1;
	REFUSED(ioctl(fd, SPI_IOC_MESSAGE(1), transfers), EFAULT);
	return 0;
}
