/* cusebus i2c|spi MAJOR MINOR NAME: /dev/NAME in user space through /dev/cuse, speaking its protocol directly (no libfuse).
 * i2c: I2C_RDWR, I2C_SMBUS byte data, I2C_SLAVE, I2C_FUNCS; target 0x50 is memory, 0x51 the same but 100 ms slow, 0x52 EIO,
 * others ENXIO. spi: SPI_IOC_MESSAGE(n) as a loopback (rx = tx), mode/bits/speed ioctls, read, write.
 * Nested pointers are fetched by FUSE_IOCTL_RETRY; 32-bit callers (FUSE_IOCTL_COMPAT) are understood. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <linux/spi/spidev.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
typedef uint8_t u8;
static int fd;
static char in[1 << 17], out[1 << 17];
static u8 mem[256], ptr, mode, bits = 8;
static uint32_t speed = 1000000;
static int slave;
static void reply(uint64_t unique, int err, const void *a, size_t an, const void *b, size_t bn)
{
	struct fuse_out_header h = {.unique = unique,.error = -err,.len = sizeof h + an + bn };
	static char m[(1 << 17) + 256];
	memcpy(m, &h, sizeof h);
	memcpy(m + sizeof h, a, an);
	memcpy(m + sizeof h + an, b, bn);
	if (write(fd, m, h.len) < 0 && errno != ENOENT)
		perror("cuse write");
}

static struct fuse_ioctl_iovec iov[256];
static int ni, no;
static void want(int o, uint64_t p, uint64_t n)
{
	if (n)
		iov[ni + no] = (struct fuse_ioctl_iovec) { p, n }, o ? no++ : ni++;
}				/* all in before all out */

static void retry(uint64_t u)
{
	struct fuse_ioctl_out o = {.flags = FUSE_IOCTL_RETRY,.in_iovs = ni,.out_iovs = no };
	reply(u, 0, &o, sizeof o, iov, (ni + no) * sizeof *iov);
}

static void done(uint64_t u, int r, const void *d, size_t n)
{
	struct fuse_ioctl_out o = {.result = r };
	reply(u, 0, &o, sizeof o, d, n);
}

static int target(int a, int rd, u8 * p, int n)
{
	if (a == 0x52)
		return EIO;
	if (a == 0x51)
		usleep(100000);
	if (a != 0x50 && a != 0x51)
		return ENXIO;
	for (int i = 0; i < n; i++)
		if (rd)
			p[i] = mem[ptr++];
		else if (!i)
			ptr = p[0];
		else
			mem[ptr++] = p[i];
	return 0;
}

static void rdwr(uint64_t u, struct fuse_ioctl_in *a, u8 * d)
{
	int c32 = a->flags & FUSE_IOCTL_COMPAT;
	size_t hs = c32 ? 8 : 16, ms = c32 ? 12 : 16;
	ni = no = 0;
	want(0, a->arg, hs);
	if (a->in_size < hs)
		return retry(u);
	uint64_t msgs = c32 ? *(uint32_t *) d : *(uint64_t *) d;
	uint32_t n = c32 ? *(uint32_t *) (d + 4) : *(uint32_t *) (d + 8);
	if (!n || n > I2C_RDWR_IOCTL_MAX_MSGS)
		return reply(u, EINVAL, 0, 0, 0, 0);
	want(0, msgs, n * ms);
	if (a->in_size < hs + n * ms)
		return retry(u);
	size_t w = 0, r = 0;
	for (int rd = 0; rd < 2; rd++)
		for (uint32_t i = 0; i < n; i++) {
			u8 *m = d + hs + i * ms;
			uint16_t f = *(uint16_t *) (m + 2), l = *(uint16_t *) (m + 4);
			uint64_t b = c32 ? *(uint32_t *) (m + 8) : *(uint64_t *) (m + 8);
			if (!!(f & I2C_M_RD) == rd) {
				want(rd, b, l);
				*(rd ? &r : &w) += l;
			}
		}
	if (a->in_size < hs + n * ms + w || a->out_size < r)
		return retry(u);
	u8 *wp = d + hs + n * ms, *rp = (u8 *) out;
	for (uint32_t i = 0; i < n; i++) {
		u8 *m = d + hs + i * ms;
		int rd = *(uint16_t *) (m + 2) & I2C_M_RD, l = *(uint16_t *) (m + 4), e =
		    target(*(uint16_t *) m, rd, rd ? rp : wp, l);
		if (e)
			return reply(u, e, 0, 0, 0, 0);
		if (rd)
			rp += l;
		else
			wp += l;
	}
	done(u, n, out, r);
}

static void smbus(uint64_t u, struct fuse_ioctl_in *a, u8 * d)
{
	int c32 = a->flags & FUSE_IOCTL_COMPAT;
	size_t hs = c32 ? 12 : 16;
	ni = no = 0;
	want(0, a->arg, hs);
	if (a->in_size < hs)
		return retry(u);
	uint64_t p = c32 ? *(uint32_t *) (d + 8) : *(uint64_t *) (d + 8);
	int rd = d[0] == I2C_SMBUS_READ;
	uint32_t size = *(uint32_t *) (d + 4);
	if (size != I2C_SMBUS_BYTE_DATA)
		return reply(u, EOPNOTSUPP, 0, 0, 0, 0);
	want(rd, p, 1);
	if (a->in_size < hs + !rd || a->out_size < (unsigned)rd)
		return retry(u);
	u8 b[2] = { d[1], rd ? 0 : d[hs] };
	int e = target(slave, 0, b, rd ? 1 : 2);
	if (!e && rd)
		e = target(slave, 1, b, 1);
	if (e)
		return reply(u, e, 0, 0, 0, 0);
	done(u, 0, b, rd);
}

static void spi(uint64_t u, struct fuse_ioctl_in *a, u8 * d)
{
	unsigned nr = _IOC_NR(a->cmd), sz = _IOC_SIZE(a->cmd), wr = _IOC_DIR(a->cmd) == _IOC_WRITE;
	ni = no = 0;
	if (_IOC_TYPE(a->cmd) != SPI_IOC_MAGIC)
		return reply(u, ENOTTY, 0, 0, 0, 0);
	if (nr) {
		void *v = nr == 1 || nr == 5 ? (void *)&mode : nr == 3 ? (void *)&bits : nr == 4 ? (void *)&speed : 0;
		uint32_t x = 0;
		if (wr) {
			want(0, a->arg, sz);
			if (a->in_size < sz)
				return retry(u);
			if (v)
				memcpy(v, d, nr == 4 ? 4 : 1);
			return done(u, 0, 0, 0);
		}
		want(1, a->arg, sz);
		if (a->out_size < sz)
			return retry(u);
		if (v)
			memcpy(&x, v, nr == 4 ? 4 : 1);
		return done(u, 0, &x, sz);
	}
	if (!sz || sz % 32)
		return reply(u, EINVAL, 0, 0, 0, 0);
	want(0, a->arg, sz);
	if (a->in_size < sz)
		return retry(u);
	struct spi_ioc_transfer *t = (void *)d;
	size_t w = 0, r = 0, all = 0;
	for (unsigned i = 0; i < sz / 32; i++)
		if (t[i].tx_buf)
			want(0, t[i].tx_buf, t[i].len), w += t[i].len;
	for (unsigned i = 0; i < sz / 32; i++)
		if (t[i].rx_buf)
			want(1, t[i].rx_buf, t[i].len), r += t[i].len;
	if (a->in_size < sz + w || a->out_size < r)
		return retry(u);
	u8 *tx = d + sz, *rx = (u8 *) out;
	for (unsigned i = 0; i < sz / 32; i++) {
		if (t[i].rx_buf) {
			if (t[i].tx_buf)
				memcpy(rx, tx, t[i].len);
			else
				memset(rx, 0xff, t[i].len);
			rx += t[i].len;
		}
		if (t[i].tx_buf)
			tx += t[i].len;
		all += t[i].len;
	}
	done(u, all, out, r);
}

int main(int c, char **v)
{
	if (c < 5)
		return 2;
	int is_spi = !strcmp(v[1], "spi");
	for (int i = 0; i < 256; i++)
		mem[i] = i ^ 0xa5;
	fd = open("/dev/cuse", O_RDWR);
	if (fd < 0)
		return perror("/dev/cuse"), 1;
	for (;;) {
		ssize_t n = read(fd, in, sizeof in);
		if (n < 0) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			return errno ==
			    ENODEV ? (fprintf(stderr, "cusebus: %s:%s refused (major taken?)\n", v[2], v[3]),
				      1) : (perror("read"), 1);
		}
		struct fuse_in_header *h = (void *)in;
		void *p = h + 1;
		switch (h->opcode) {
		case CUSE_INIT:{
				char info[64];
				int k = snprintf(info, sizeof info, "DEVNAME=%s", v[4]) + 1;
				struct cuse_init_out o = {.major = 7,.minor = 31,.flags =
					    CUSE_UNRESTRICTED_IOCTL,.max_read = 65536,.max_write = 65536,.dev_major =
					    atoi(v[2]),.dev_minor = atoi(v[3]) };
				reply(h->unique, 0, &o, sizeof o, info, k);
				break;
			}
		case FUSE_OPEN:{
				struct fuse_open_out o = {.fh = 1,.open_flags = FOPEN_DIRECT_IO | FOPEN_NONSEEKABLE };
				reply(h->unique, 0, &o, sizeof o, 0, 0);
				break;
			}
		case FUSE_READ:{
				struct fuse_read_in *r = p;
				if (!is_spi) {
					int e = target(slave, 1, (u8 *) out, r->size);
					if (e) {
						reply(h->unique, e, 0, 0, 0, 0);
						break;
					}
				} else
					memset(out, 0xff, r->size);
				reply(h->unique, 0, out, r->size, 0, 0);
				break;
			}
		case FUSE_WRITE:{
				struct fuse_write_in *w = p;
				int e = is_spi ? 0 : target(slave, 0, (u8 *) (w + 1), w->size);
				struct fuse_write_out o = {.size = w->size };
				reply(h->unique, e, &o, e ? 0 : sizeof o, 0, 0);
				break;
			}
		case FUSE_IOCTL:{
				struct fuse_ioctl_in *a = p;
				u8 *d = (u8 *) (a + 1);
				if (is_spi)
					spi(h->unique, a, d);
				else if (a->cmd == I2C_RDWR)
					rdwr(h->unique, a, d);
				else if (a->cmd == I2C_SMBUS)
					smbus(h->unique, a, d);
				else if (a->cmd == I2C_SLAVE || a->cmd == I2C_SLAVE_FORCE) {
					slave = a->arg;
					done(h->unique, 0, 0, 0);
				} else if (a->cmd == I2C_FUNCS) {
					int k = a->flags & FUSE_IOCTL_COMPAT ? 4 : 8;
					uint64_t f = 0x00180001;
					ni = no = 0;
					want(1, a->arg, k);
					if (a->out_size < (unsigned)k)
						retry(h->unique);
					else
						done(h->unique, 0, &f, k);
				} else
					reply(h->unique, ENOTTY, 0, 0, 0, 0);
				break;
			}
		case FUSE_RELEASE:
		case FUSE_FLUSH:
			reply(h->unique, 0, 0, 0, 0, 0);
			break;
		case FUSE_INTERRUPT:
			break;
		default:
			reply(h->unique, ENOSYS, 0, 0, 0, 0);
		}
	}
}
