/* cusebus i2c|spi MAJOR MINOR NAME: /dev/NAME made in user space through /dev/cuse, in the kernel's own protocol
 * (include/uapi/linux/fuse.h). Runs until it is killed.
 *
 * i2c: I2C_RDWR, I2C_SMBUS byte data, I2C_SLAVE, I2C_FUNCS, read and write; target 0x50 is a memory (first byte written: the
 * address; byte n is n ^ 0xa5 at first), 0x51 the same, 100 ms slow, 0x52 fails with EIO, others with ENXIO. spi:
 * SPI_IOC_MESSAGE(n) gives back what it is given, mode, bits and speed, read and write.
 *
 * What an ioctl's argument points to is not there at first: the kernel is told which ranges to bring (FUSE_IOCTL_RETRY), all that
 * is read before all that is written. Programs of 32 bits have other structures (FUSE_IOCTL_COMPAT). */
#include "check.h"
#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <linux/spi/spidev.h>
#include <stdint.h>
#include <unistd.h>

typedef uint8_t u8;

enum { ROOM = 1 << 17, TRANSFER_MAX = 1 << 16, RANGES = 256 };

static int cuse;
static u8 request[ROOM], result[ROOM];

/* The ioctl that is being answered. */
static uint64_t unique;
static const struct fuse_ioctl_in *call;
static const u8 *given;
static struct fuse_ioctl_iovec ranges[RANGES];
static unsigned ranges_in, ranges_out;
static size_t length_in, length_out;

static void reply(int error, const void *head, size_t head_length, const void *data, size_t length)
{
	static u8 message[ROOM + 256];
	struct fuse_out_header header = {
		.unique = unique, .error = -error, .len = sizeof header + head_length + length,
	};
	memcpy(message, &header, sizeof header);
	if (head_length)
		memcpy(message + sizeof header, head, head_length);
	if (length)
		memcpy(message + sizeof header + head_length, data, length);
	/* ENOENT: whoever asked has gone. */
	CHECK(write(cuse, message, header.len) == (ssize_t)header.len || errno == ENOENT);
}

static void refuse(int error)
{
	reply(error, NULL, 0, NULL, 0);
}

static void finish(int value, const void *data, size_t length)
{
	struct fuse_ioctl_out out = {.result = value};
	reply(0, &out, sizeof out, data, length);
}

static void reads(uint64_t address, uint64_t length)
{
	if (length) {
		ranges[ranges_in++] = (struct fuse_ioctl_iovec){address, length};
		length_in += length;
	}
}

static void writes(uint64_t address, uint64_t length)
{
	if (length) {
		ranges[ranges_in + ranges_out++] = (struct fuse_ioctl_iovec){address, length};
		length_out += length;
	}
}

/* Whether all ranges named so far are there; if not, the kernel has been asked to come again with them. */
static int there(void)
{
	if (call->in_size >= length_in && call->out_size >= length_out)
		return 1;
	struct fuse_ioctl_out out = {.flags = FUSE_IOCTL_RETRY, .in_iovs = ranges_in, .out_iovs = ranges_out};
	reply(0, &out, sizeof out, ranges, (ranges_in + ranges_out) * sizeof *ranges);
	return 0;
}

static uint16_t u16(const u8 *at)
{
	uint16_t value;
	memcpy(&value, at, sizeof value);
	return value;
}

static uint32_t u32(const u8 *at)
{
	uint32_t value;
	memcpy(&value, at, sizeof value);
	return value;
}

/* A pointer of the program's. */
static uint64_t pointer(const u8 *at)
{
	uint64_t value;
	if (call->flags & FUSE_IOCTL_COMPAT)
		return u32(at);
	memcpy(&value, at, sizeof value);
	return value;
}

/* --- i2c --- */

static u8 memory[256], address;
static int chosen;

/* An errno, or 0. */
static int target(int number, int read, u8 *in, const u8 *out, unsigned length)
{
	if (number == 0x52)
		return EIO;
	if (number != 0x50 && number != 0x51)
		return ENXIO;
	if (number == 0x51)
		usleep(100000);
	for (unsigned at = 0; at < length; at++) {
		if (read)
			in[at] = memory[address++];
		else if (at == 0)
			address = out[0];
		else
			memory[address++] = out[at];
	}
	return 0;
}

static void i2c_rdwr(void)
{
	int compat = call->flags & FUSE_IOCTL_COMPAT;
	size_t head = compat ? 8 : 16, each = compat ? 12 : 16;
	reads(call->arg, head);
	if (!there())
		return;
	uint32_t count = u32(given + (compat ? 4 : 8));
	if (!count || count > I2C_RDWR_IOCTL_MAX_MSGS)
		return refuse(EINVAL);
	reads(pointer(given), count * each);
	if (!there())
		return;
	/* struct i2c_msg: address, flags and length of 16 bits each, a pointer. */
	const u8 *messages = given + head, *end = messages + count * each;
	for (int read = 0; read < 2; read++)
		for (const u8 *message = messages; message < end; message += each)
			if ((u16(message + 2) & I2C_M_RD) == read)
				(read ? writes : reads)(pointer(message + 8), u16(message + 4));
	if (!there())
		return;
	const u8 *out = end;
	u8 *in = result;
	for (const u8 *message = messages; message < end; message += each) {
		int read = u16(message + 2) & I2C_M_RD, error = target(u16(message), read, in, out, u16(message + 4));
		if (error)
			return refuse(error);
		*(read ? (const u8 **)&in : &out) += u16(message + 4);
	}
	finish(count, result, in - result);
}

static void i2c_smbus(void)
{
	size_t head = call->flags & FUSE_IOCTL_COMPAT ? 12 : 16;
	reads(call->arg, head);
	if (!there())
		return;
	/* struct i2c_smbus_ioctl_data: direction, command, size, pointer. */
	int read = given[0] == I2C_SMBUS_READ;
	if (u32(given + 4) != I2C_SMBUS_BYTE_DATA)
		return refuse(EOPNOTSUPP);
	(read ? writes : reads)(pointer(given + 8), 1);
	if (!there())
		return;
	u8 bytes[2] = {given[1], read ? 0 : given[head]};
	int error = target(chosen, 0, NULL, bytes, read ? 1 : 2);
	if (!error && read)
		error = target(chosen, 1, bytes, NULL, 1);
	if (error)
		return refuse(error);
	finish(0, bytes, read);
}

static void i2c(void)
{
	/* I2C_FUNC_I2C and byte data. */
	uint64_t functions = I2C_FUNC_I2C | I2C_FUNC_SMBUS_BYTE_DATA;
	switch (call->cmd) {
	case I2C_RDWR: return i2c_rdwr();
	case I2C_SMBUS: return i2c_smbus();
	case I2C_SLAVE: case I2C_SLAVE_FORCE:
		chosen = call->arg;
		return finish(0, NULL, 0);
	case I2C_FUNCS:
		writes(call->arg, call->flags & FUSE_IOCTL_COMPAT ? 4 : 8);
		if (there())
			finish(0, &functions, length_out);
		return;
	default: return refuse(ENOTTY);
	}
}

/* --- spi --- */

static void spi_transfer(size_t length)
{
	size_t count = length / sizeof(struct spi_ioc_transfer);
	if (!count || length % sizeof(struct spi_ioc_transfer))
		return refuse(EINVAL);
	reads(call->arg, length);
	if (!there())
		return;
	static struct spi_ioc_transfer transfers[RANGES / 2];
	if (count > RANGES / 2 - 1)
		return refuse(EINVAL);
	memcpy(transfers, given, length);
	for (size_t at = 0; at < count; at++)
		reads(transfers[at].tx_buf, transfers[at].tx_buf ? transfers[at].len : 0);
	for (size_t at = 0; at < count; at++)
		writes(transfers[at].rx_buf, transfers[at].rx_buf ? transfers[at].len : 0);
	if (!there())
		return;
	const u8 *out = given + length;
	u8 *in = result;
	int moved = 0;
	for (size_t at = 0; at < count; at++) {
		unsigned each = transfers[at].len;
		if (transfers[at].rx_buf) {
			if (transfers[at].tx_buf)
				memcpy(in, out, each);
			else
				memset(in, 0xff, each);
			in += each;
		}
		if (transfers[at].tx_buf)
			out += each;
		moved += each;
	}
	finish(moved, result, in - result);
}

/* A setting: read, or written. */
static void spi_setting(void *setting, size_t known, size_t length)
{
	u8 value[8] = {0};
	if (_IOC_DIR(call->cmd) == _IOC_WRITE) {
		reads(call->arg, length);
		if (!there())
			return;
		memcpy(setting, given, known < length ? known : length);
		return finish(0, NULL, 0);
	}
	writes(call->arg, length);
	if (!there())
		return;
	memcpy(value, setting, known);
	finish(0, value, length);
}

static void spi(void)
{
	static u8 mode, bits = 8, last;
	static uint32_t speed = 1000000;
	size_t length = _IOC_SIZE(call->cmd);
	if (_IOC_TYPE(call->cmd) != SPI_IOC_MAGIC)
		return refuse(ENOTTY);
	switch (_IOC_NR(call->cmd)) {
	case 0: return spi_transfer(length);
	case 1: case 5: return spi_setting(&mode, 1, length);
	case 2: return spi_setting(&last, 1, length);
	case 3: return spi_setting(&bits, 1, length);
	case 4: return spi_setting(&speed, 4, length);
	default: return refuse(ENOTTY);
	}
}

/* --- The protocol --- */

static void make(char **arguments)
{
	char name[64];
	int length = snprintf(name, sizeof name, "DEVNAME=%s", arguments[4]) + 1;
	struct cuse_init_out init = {
		.major = FUSE_KERNEL_VERSION,
		.minor = 31,
		.flags = CUSE_UNRESTRICTED_IOCTL,
		.max_read = TRANSFER_MAX,
		.max_write = TRANSFER_MAX,
		.dev_major = atoi(arguments[2]),
		.dev_minor = atoi(arguments[3]),
	};
	reply(0, &init, sizeof init, name, length);
}

static void serve(int is_spi, uint32_t operation, const void *body, char **arguments)
{
	struct fuse_open_out opened = {.fh = 1, .open_flags = FOPEN_DIRECT_IO | FOPEN_NONSEEKABLE};
	const struct fuse_read_in *read = body;
	const struct fuse_write_in *write = body;
	int error = 0;
	switch (operation) {
	case CUSE_INIT: return make(arguments);
	case FUSE_OPEN: return reply(0, &opened, sizeof opened, NULL, 0);
	case FUSE_READ:
		if (is_spi)
			memset(result, 0xff, read->size);
		else
			error = target(chosen, 1, result, NULL, read->size);
		return error ? refuse(error) : reply(0, NULL, 0, result, read->size);
	case FUSE_WRITE: {
		struct fuse_write_out written = {.size = write->size};
		if (!is_spi)
			error = target(chosen, 0, NULL, (const u8 *)(write + 1), write->size);
		return error ? refuse(error) : reply(0, &written, sizeof written, NULL, 0);
	}
	case FUSE_IOCTL:
		call = body;
		given = (const u8 *)(call + 1);
		ranges_in = ranges_out = 0;
		length_in = length_out = 0;
		return is_spi ? spi() : i2c();
	case FUSE_RELEASE: case FUSE_FLUSH: return reply(0, NULL, 0, NULL, 0);
	case FUSE_INTERRUPT: return;
	default: return refuse(ENOSYS);
	}
}

int main(int count, char **arguments)
{
	CHECK(count == 5);
	int is_spi = !strcmp(arguments[1], "spi");
	for (int at = 0; at < 256; at++)
		memory[at] = at ^ 0xa5;
	cuse = open("/dev/cuse", O_RDWR);
	CHECK(cuse >= 0);
	for (;;) {
		ssize_t length = read(cuse, request, sizeof request);
		if (length < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		/* ENODEV: the number is another driver's. */
		CHECK(length >= (ssize_t)sizeof(struct fuse_in_header));
		const struct fuse_in_header *header = (const void *)request;
		unique = header->unique;
		serve(is_spi, header->opcode, header + 1, arguments);
	}
}
