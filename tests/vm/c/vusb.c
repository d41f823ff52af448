/* vusb i2c-tiny|cp2112 [serial]: a USB device in user space, plugged into the kernel's vhci_hcd over a socket pair (the USB/IP
 * protocol), so that real drivers bind to it: i2c-tiny-usb gives a real /dev/i2c-N with I2C_RDWR, hid-cp2112 a gpiochip
 * with edge events, an SMBus/I2C adapter and a hidraw node. Runs until killed; unplugs as its socket closes.
 * I2C targets behind it: 0x50 memory (first byte written is the address), 0x51 the same, 100 ms slow, 0x52 fails in the
 * device (EIO or a stall), all others do not answer. GPIO of the cp2112: line 1 reads what line 0 drives, line 7 toggles at 2 Hz.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
typedef uint8_t u8;
static int s, hid, verbose;
static char serial[32] = "IOTRAIL-1";
struct hdr {
	uint32_t cmd, seq, devid, dir, ep, a[5];
	u8 setup[8];
};
static u8 mem[2][256], ptr;
static int full(int fd, void *p, size_t n, int wr)
{
	for (size_t k = 0; k < n;) {
		ssize_t r = wr ? write(fd, (char *)p + k, n - k) : read(fd, (char *)p + k, n - k);
		if (r <= 0)
			return -1;
		k += r;
	}
	return 0;
}

static void ret(uint32_t seq, int status, const void *data, uint32_t len, uint32_t actual)
{
	struct hdr h = { 0 };
	h.cmd = htonl(3);
	h.seq = htonl(seq);
	h.a[0] = htonl(status);
	h.a[1] = htonl(actual);
	if (full(s, &h, sizeof h, 1) || (data && len && full(s, (void *)data, len, 1)))
		exit(0);
}

/* --- the I2C bus --- 0 fine, 1 no answer, 2 broken */
static int i2c(int addr, int rd, u8 * p, int n)
{
	if (addr == 0x52)
		return 2;
	if (addr == 0x51)
		usleep(100000);
	if (addr != 0x50 && addr != 0x51)
		return 1;
	u8 *m = mem[addr - 0x50];
	if (rd)
		for (int i = 0; i < n; i++)
			p[i] = m[ptr++];
	else
		for (int i = 0; i < n; i++)
			if (!i)
				ptr = p[0];
			else
				m[ptr++] = p[i];
	return 0;
}

/* --- descriptors --- */
static const u8 report[] = { 0x06, 0, 0xff, 0x09, 1, 0xa1, 1, 0x15, 0, 0x26, 0xff, 0, 0x75, 8,
#define R(id, n, k) 0x85, id, 0x95, n, 0x09, 1, k, 2
	R(2, 4, 0xb1), R(3, 1, 0xb1), R(4, 2, 0xb1), R(5, 2, 0xb1), R(6, 13, 0xb1), R(0x20, 1, 0xb1), R(0x21, 9,
													0xb1), R(0x22,
														 62,
														 0xb1),
	R(0x23, 62, 0xb1), R(0x24, 62, 0xb1), R(0x10, 3, 0x91), R(0x11, 20, 0x91), R(0x12, 2, 0x91), R(0x14, 62,
												       0x91), R(0x15,
														1,
														0x91),
	R(0x17, 1, 0x91), R(0x13, 63, 0x81), R(0x16, 6, 0x81), 0xc0
};

static int descriptor(int type, int idx, u8 * b)
{
	int v = hid ? 0x10c4 : 0x0403, p = hid ? 0xea90 : 0xc631;
	if (type == 1) {
		u8 d[] = { 18, 1, 0, 2, hid ? 0 : 0xff, 0, 0, 64, v, v >> 8, p, p >> 8, 0, 1, 1, 2, 3, 1 };
		memcpy(b, d, 18);
		return 18;
	}
	if (type == 2) {
		u8 d[] = { 9, 2, 0, 0, 1, 1, 0, 0x80, 50, 9, 4, 0, 0, hid ? 2 : 0, hid ? 3 : 0xff, 0, 0, 0,
			9, 0x21, 0x11, 1, 0, 1, 0x22, sizeof report & 255, sizeof report >> 8, 7, 5, 0x81, 3, 64, 0,
			    4, 7, 5, 0x01, 3, 64, 0, 4
		};
		int n = hid ? sizeof d : 18;
		d[2] = n;
		memcpy(b, d, n);
		return n;
	}
	if (type == 0x22 && hid) {
		memcpy(b, report, sizeof report);
		return sizeof report;
	}
	if (type == 3) {
		const char *t =
		    idx == 1 ? "iotrail" : idx == 2 ? (hid ? "virtual CP2112" : "virtual i2c-tiny-usb") : serial;
		if (!idx) {
			u8 d[] = { 4, 3, 9, 4 };
			memcpy(b, d, 4);
			return 4;
		}
		int n = strlen(t);
		b[0] = 2 + 2 * n;
		b[1] = 3;
		for (int i = 0; i < n; i++)
			b[2 + 2 * i] = t[i], b[3 + 2 * i] = 0;
		return b[0];
	}
	return -1;
}

/* --- CP2112 --- */
static u8 gdir, gout, xs0, xs1, rd[512];
static int rdn, rdk;
static u8 conf[14] = { 6, 0, 1, 0x86, 0xa0, 2, 0, 0xff, 0, 0, 0xff, 0, 0, 1 };	/* 100 kHz */

static u8 levels(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	u8 in = gout & 1 ? 2 : 0;
	if (t.tv_nsec / 250000000 & 1)
		in |= 0x80;
	return (gout & gdir) | (in & ~gdir);
}

static struct {
	u8 d[64];
} q[16];
static int qh, qt;
static struct {
	uint32_t seq;
	int len;
} wait[16];
static int wh, wt;
static void pump(void)
{
	while (qh != qt && wh != wt) {
		int n = wait[wh % 16].len < 64 ? wait[wh % 16].len : 64;
		ret(wait[wh++ % 16].seq, 0, q[qh++ % 16].d, n, n);
}}

static u8 *push(void)
{
	u8 *d = q[qt++ % 16].d;
	memset(d, 0, 64);
	return d;
}

static void result(int r, int n)
{
	xs0 = r ? 3 : 2;
	xs1 = r == 0 ? 5 : r == 1 ? 0 : 1;
	rdn = r ? 0 : n;
	rdk = 0;
}

static void output(u8 * p, int n)
{
	int a = p[1] >> 1, l = p[2] << 8 | p[3], r;
	(void)n;
	u8 *d;
	if (l > 512)
		l = 512;
	switch (p[0]) {
	case 0x10:
		result(i2c(a, 1, rd, l), l);
		break;
	case 0x11:
		r = i2c(a, 0, p + 5, p[4]);
		if (!r)
			r = i2c(a, 1, rd, l);
		result(r, l);
		break;
	case 0x14:
		result(i2c(a, 0, p + 3, p[2]), 0);
		break;
	case 0x15:
		d = push();
		d[0] = 0x16;
		d[1] = xs0;
		d[2] = xs1;
		d[5] = rdn >> 8;
		d[6] = rdn;
		break;
	case 0x12:
		d = push();
		d[0] = 0x13;
		d[1] = xs0;
		l = rdn - rdk > 61 ? 61 : rdn - rdk;
		d[2] = l;
		memcpy(d + 3, rd + rdk, l);
		rdk += l;
		break;
	}
}

static int feature(int set, int id, u8 * p, int n)
{
	if (set) {
		if (id == 2)
			gdir = p[1];
		else if (id == 4)
			gout = (gout & ~p[2]) | (p[1] & p[2]);
		else if (id == 6 && n >= 14)
			memcpy(conf, p, 14);
		return n;
	}
	memset(p, 0, n);
	p[0] = id;
	switch (id) {
	case 2:
		p[1] = gdir;
		p[2] = 0xff;
		return 5;
	case 3:
		p[1] = levels();
		return 2;
	case 5:
		p[1] = 0x0c;
		p[2] = 2;
		return 3;
	case 6:
		memcpy(p, conf, 14);
		return 14;
	case 0x20:
		p[1] = 0xff;
		return 2;
	case 0x21:{
			u8 d[] = { 0x21, 0xc4, 0x10, 0x90, 0xea, 50, 0, 1, 0, 0 };
			memcpy(p, d, 10);
			return 10;
		}
	case 0x22:
	case 0x23:
	case 0x24:
		p[1] = 4;
		p[2] = 3;
		p[3] = 'x';
		return 63;
	}
	return -1;
}

static u8 buf[70000], stat_ = 0;
static void control(struct hdr *h, u8 * u, int n)
{				/* u: setup; buf: data */
	int val = u[2] | u[3] << 8, idx = u[4] | u[5] << 8, r = 0, in = u[0] & 0x80;
	if (verbose)
		fprintf(stderr, "setup %02x %02x %04x %04x %d\n", u[0], u[1], val, idx, n);
	if (u[0] == 0x80 && u[1] == 6)
		r = descriptor(val >> 8, val & 255, buf);
	else if (u[0] == 0x81 && u[1] == 6)
		r = descriptor(val >> 8, val & 255, buf);
	else if (u[0] == 0x80 && u[1] == 0) {
		buf[0] = buf[1] = 0;
		r = 2;
	} else if (u[0] == 0x80 && u[1] == 8) {
		buf[0] = 1;
		r = 1;
	} else if ((u[0] & 0x60) == 0)
		r = in ? -1 : 0;
	else if ((u[0] & 0x60) == 0x20 && hid) {
		if (u[1] == 1)
			r = feature(0, val & 255, buf, n);
		else if (u[1] == 9) {
			if (val >> 8 == 2)
				output(buf, n), r = n;
			else
				r = feature(1, val & 255, buf, n);
		} else
			r = 0;
	} else if ((u[0] & 0x60) == 0x40 && !hid)
		switch (u[1]) {
		case 0:
			buf[0] = val;
			buf[1] = val >> 8;
			r = 2;
			break;
		case 1:{
				uint32_t f = 0x0eff0009;
				for (int i = 0; i < 4; i++)
					buf[i] = f >> 8 * i;
				r = 4;
				break;
			}
		case 2:
			r = 0;
			break;
		case 3:
			buf[0] = stat_;
			r = 1;
			break;
		case 4:
		case 5:
		case 6:
		case 7:{
				int k = i2c(idx, in, buf, n);
				if (k == 2)
					r = -1;
				else {
					stat_ = k ? 2 : 1;
					r = n;
				}
				break;
			}
		default:
			r = -1;
	} else
		r = -1;
	if (r < 0) {
		ret(h->seq, -EPIPE, 0, 0, 0);
		return;
	}
	if (r > n)
		r = n;
	ret(h->seq, 0, in ? buf : 0, in ? r : 0, r);
}

int main(int c, char **v)
{
	if (c < 2)
		return 2;
	hid = !strcmp(v[1], "cp2112");
	if (c > 2)
		snprintf(serial, sizeof serial, "%s", v[2]);
	verbose = !!getenv("VUSB_V");
	for (int i = 0; i < 256; i++)
		mem[0][i] = mem[1][i] = i ^ 0xa5;
	int sv[2];
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv))
		return perror("socketpair"), 1;
	int fd = open("/sys/devices/platform/vhci_hcd.0/attach", O_WRONLY);
	if (fd < 0)
		return perror("vhci_hcd attach"), 1;
	int ok = 0;
	for (int port = 0; port < 8 && !ok; port++) {
		char t[64];
		int n = snprintf(t, sizeof t, "%d %d %d %d", port, sv[1], 0x10002 + port, 2 /* full speed */ );
		ok = write(fd, t, n) == n;
	}
	if (!ok)
		return perror("attach"), 1;
	close(fd);
	close(sv[1]);
	s = sv[0];
	for (;;) {
		struct pollfd p = { s, POLLIN, 0 };
		poll(&p, 1, 1000);
		if (!p.revents)
			continue;
		struct hdr h;
		if (full(s, &h, sizeof h, 0))
			return 0;
		for (uint32_t * w = &h.cmd; w < h.a + 5; w++)
			*w = ntohl(*w);
		if (h.cmd == 2) {	/* unlink: the seqnum to cancel is a[0] */
			int found = 0;
			for (int i = wh; i != wt; i++)
				if (wait[i % 16].seq == h.a[0]) {
					for (int j = i; j + 1 != wt; j++)
						wait[j % 16] = wait[(j + 1) % 16];
					wt--;
					found = 1;
					break;
				}
			struct hdr r = { 0 };
			r.cmd = htonl(4);
			r.seq = htonl(h.seq);
			r.a[0] = htonl(found ? -ECONNRESET : 0);
			if (full(s, &r, sizeof r, 1))
				return 0;
			continue;
		}
		int n = h.a[1];
		if (n < 0 || n > (int)sizeof buf)
			return 3;
		if (!h.dir && n && full(s, buf, n, 0))
			return 0;
		if (h.ep == 0)
			control(&h, h.setup, n);
		else if (h.dir) {
			wait[wt % 16].seq = h.seq;
			wait[wt++ % 16].len = n;
			pump();
			continue;
		} else {
			output(buf, n);
			ret(h.seq, 0, 0, 0, n);
		}
		pump();
	}
}
