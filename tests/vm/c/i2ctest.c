/* i2ctest NODE COUNT: what a program does on an I2C bus that has a memory at 0x50 (first byte written: its address) and
 * nothing at 0x33: I2C_FUNCS, COUNT times I2C_RDWR (write one byte, read eight), one that nobody answers, I2C_SLAVE and an
 * I2C_SMBUS read of one byte. */
#include "check.h"
#include <fcntl.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(int count, char **arguments)
{
	CHECK(count == 3);
	int fd = open(arguments[1], O_RDWR);
	CHECK(fd >= 0);
	unsigned long functions = 0;
	CHECK(!ioctl(fd, I2C_FUNCS, &functions) && functions & I2C_FUNC_I2C);

	uint8_t from = 0x10, bytes[8];
	struct i2c_msg messages[2] = {
		{.addr = 0x50, .len = 1, .buf = &from},
		{.addr = 0x50, .flags = I2C_M_RD, .len = sizeof bytes, .buf = bytes},
	};
	struct i2c_rdwr_ioctl_data transfer = {messages, 2};
	for (int left = atoi(arguments[2]); left > 0; left--) {
		memset(bytes, 0, sizeof bytes);
		CHECK(ioctl(fd, I2C_RDWR, &transfer) == 2);
		CHECK(bytes[0] == (0x10 ^ 0xa5) && bytes[7] == (0x17 ^ 0xa5));
	}
	messages[0].addr = messages[1].addr = 0x33;
	REFUSED(ioctl(fd, I2C_RDWR, &transfer), ENXIO);

	CHECK(!ioctl(fd, I2C_SLAVE, 0x50));
	union i2c_smbus_data data = {0};
	struct i2c_smbus_ioctl_data smbus = {I2C_SMBUS_READ, 0x11, I2C_SMBUS_BYTE_DATA, &data};
	CHECK(!ioctl(fd, I2C_SMBUS, &smbus) && data.byte == (0x11 ^ 0xa5));
	return 0;
}
