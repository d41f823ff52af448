/* vusb i2c-tiny|cp2112 SERIAL: a USB device in user space, plugged into the kernel's vhci_hcd over a socket pair, so that real
 * drivers bind to it: i2c-tiny-usb makes a /dev/i2c-N with I2C_RDWR, hid-cp2112 a gpiochip with edge events, an I2C adapter
 * and a hidraw node. Runs until it is killed, and is unplugged by that.
 *
 * On its I2C bus: 0x50 is a memory (the first byte written is the address; byte n is n ^ 0xa5 at first), 0x51 the same, 100 ms
 * slow, 0x52 fails in the device, 0x53 unplugs it, all others do not answer. Lines of the cp2112: 1 reads what 0 drives, 7 toggles at 2 Hz.
 *
 * The messages are those of USB/IP (Documentation/usb/usbip_protocol.rst), all numbers big endian. */
#include "check.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef uint8_t u8;

/* drivers/usb/usbip/usbip_common.h */
enum { SUBMIT = 1, UNLINK = 2, RET_SUBMIT = 3, RET_UNLINK = 4, FULL_SPEED = 2, PORTS = 8 };

/* The header that every message has; `more` depends on the command. */
struct header {
	uint32_t command, sequence, device, in, endpoint, more[5];
	u8 setup[8];
};

/* What a control request comes to, if not a number of bytes. */
enum { STALL = -1 };

static int host;
static int is_hid;
static const char *serial;

static int move(void *bytes, size_t length, int out)
{
	for (size_t done = 0; done < length;) {
		char *at = (char *)bytes + done;
		ssize_t moved = out ? write(host, at, length - done) : read(host, at, length - done);
		if (moved <= 0)
			return 0;
		done += moved;
	}
	return 1;
}

static void give(void *bytes, size_t length)
{
	if (!move(bytes, length, 1))
		exit(0);
}

static void take(void *bytes, size_t length)
{
	if (!move(bytes, length, 0))
		exit(0);
}

/* Answers a request: `data` goes with it where the request was for bytes. */
static void answer(uint32_t sequence, int status, void *data, uint32_t length)
{
	struct header header = {.command = htonl(RET_SUBMIT), .sequence = htonl(sequence)};
	header.more[0] = htonl(status);
	header.more[1] = htonl(length);
	give(&header, sizeof header);
	if (data)
		give(data, length);
}

/* --- The I2C bus --- */

enum outcome { DONE, NOBODY, BROKEN };

static u8 memory[2][256], address;

static enum outcome transfer(int target, int read, u8 *bytes, int length)
{
	if (target == 0x52)
		return BROKEN;
	if (target == 0x53)
		exit(0);
	if (target != 0x50 && target != 0x51)
		return NOBODY;
	if (target == 0x51)
		usleep(100000);
	u8 *cells = memory[target - 0x50];
	for (int at = 0; at < length; at++) {
		if (read)
			bytes[at] = cells[address++];
		else if (at == 0)
			address = bytes[0];
		else
			cells[address++] = bytes[at];
	}
	return DONE;
}

/* --- Descriptors (USB 2.0, chapter 9; HID 1.11, chapter 6) --- */

/* A report of so many bytes: 0xb1 a feature, 0x91 output, 0x81 input. */
#define REPORT(id, length, kind) 0x85, id, 0x95, length, 0x09, 1, kind, 2

static u8 reports[] = {
	0x06, 0x00, 0xff, 0x09, 1, 0xa1, 1, 0x15, 0, 0x26, 0xff, 0, 0x75, 8,
	REPORT(0x02, 4, 0xb1), REPORT(0x03, 1, 0xb1), REPORT(0x04, 2, 0xb1), REPORT(0x05, 2, 0xb1),
	REPORT(0x06, 13, 0xb1), REPORT(0x20, 1, 0xb1), REPORT(0x21, 9, 0xb1), REPORT(0x22, 62, 0xb1),
	REPORT(0x23, 62, 0xb1), REPORT(0x24, 62, 0xb1), REPORT(0x10, 3, 0x91), REPORT(0x11, 20, 0x91),
	REPORT(0x12, 2, 0x91), REPORT(0x14, 62, 0x91), REPORT(0x15, 1, 0x91), REPORT(0x17, 1, 0x91),
	REPORT(0x13, 63, 0x81), REPORT(0x16, 6, 0x81), 0xc0,
};

static int copy(u8 *to, const u8 *from, int length)
{
	memcpy(to, from, length);
	return length;
}

static int text(const char *text, u8 *to)
{
	int length = strlen(text);
	to[0] = 2 + 2 * length;
	to[1] = 3;
	for (int at = 0; at < length; at++) {
		to[2 + 2 * at] = text[at];
		to[3 + 2 * at] = 0;
	}
	return to[0];
}

static int descriptor(int type, int index, u8 *to)
{
	int vendor = is_hid ? 0x10c4 : 0x0403, product = is_hid ? 0xea90 : 0xc631;
	switch (type) {
	case 1: {
		u8 device[] = {18, 1, 0x00, 0x02, is_hid ? 0 : 0xff, 0, 0, 64, vendor & 255, vendor >> 8, product & 255,
			       product >> 8, 0x00, 0x01, 1, 2, 3, 1};
		return copy(to, device, sizeof device);
	}
	case 2: {
		u8 vendors[] = {9, 2, 18, 0, 1, 1, 0, 0x80, 50, 9, 4, 0, 0, 0, 0xff, 0, 0, 0};
		u8 hid[] = {9, 2, 41, 0, 1, 1, 0, 0x80, 50, 9, 4, 0, 0, 2, 3, 0, 0, 0,
			    9, 0x21, 0x11, 1, 0, 1, 0x22, sizeof reports & 255, sizeof reports >> 8,
			    7, 5, 0x81, 3, 64, 0, 4, 7, 5, 0x01, 3, 64, 0, 4};
		return is_hid ? copy(to, hid, sizeof hid) : copy(to, vendors, sizeof vendors);
	}
	case 3: {
		u8 languages[] = {4, 3, 9, 4};
		switch (index) {
		case 0: return copy(to, languages, sizeof languages);
		case 1: return text("iotrail", to);
		case 2: return text(is_hid ? "virtual CP2112" : "virtual i2c-tiny-usb", to);
		default: return text(serial, to);
		}
	}
	case 0x22: return is_hid ? copy(to, reports, sizeof reports) : STALL;
	default: return STALL;
	}
}

/* --- The CP2112 (Silicon Labs AN495; drivers/hid/hid-cp2112.c) --- */

enum { INPUTS = 16, INPUT_LENGTH = 64, READ_MAX = 512, READ_PART = 61 };

static u8 directions, driven;
static u8 status[2], read_back[READ_MAX];
static int read_length, read_done;
/* 100 kHz. */
static u8 smbus_settings[14] = {6, 0, 1, 0x86, 0xa0, 2, 0, 0xff, 0, 0, 0xff, 0, 0, 1};
/* Reports for the host, and the host's requests for one, each in their order. */
static u8 inputs[INPUTS][INPUT_LENGTH];
static struct { uint32_t sequence; int length; } waiting[INPUTS];
static unsigned inputs_from, inputs_to, waiting_from, waiting_to;

static u8 levels(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	u8 in = driven & 1 ? 1 << 1 : 0;
	if (now.tv_nsec / 250000000 & 1)
		in |= 1 << 7;
	return (driven & directions) | (in & ~directions);
}

static u8 *new_input(u8 id)
{
	u8 *input = inputs[inputs_to++ % INPUTS];
	memset(input, 0, INPUT_LENGTH);
	input[0] = id;
	return input;
}

static void deliver(void)
{
	while (inputs_from != inputs_to && waiting_from != waiting_to) {
		int wanted = waiting[waiting_from % INPUTS].length;
		answer(waiting[waiting_from++ % INPUTS].sequence, 0, inputs[inputs_from++ % INPUTS],
		       wanted < INPUT_LENGTH ? wanted : INPUT_LENGTH);
	}
}

static void transferred(enum outcome outcome, int length)
{
	status[0] = outcome == DONE ? 2 : 3;
	status[1] = outcome == DONE ? 5 : outcome == NOBODY ? 0 : 1;
	read_length = outcome == DONE ? length : 0;
	read_done = 0;
}

static void output(u8 *report)
{
	int target = report[1] >> 1, length = report[2] << 8 | report[3];
	enum outcome outcome;
	u8 *input;
	if (length > READ_MAX)
		length = READ_MAX;
	switch (report[0]) {
	case 0x10: /* read */
		transferred(transfer(target, 1, read_back, length), length);
		break;
	case 0x11: /* write, then read */
		outcome = transfer(target, 0, report + 5, report[4]);
		if (outcome == DONE)
			outcome = transfer(target, 1, read_back, length);
		transferred(outcome, length);
		break;
	case 0x14: /* write */
		transferred(transfer(target, 0, report + 3, report[2]), 0);
		break;
	case 0x15: /* how did it go? */
		input = new_input(0x16);
		memcpy(input + 1, status, sizeof status);
		input[5] = read_length >> 8;
		input[6] = read_length;
		break;
	case 0x12: /* what was read? */
		input = new_input(0x13);
		length = read_length - read_done > READ_PART ? READ_PART : read_length - read_done;
		input[1] = status[0];
		input[2] = length;
		memcpy(input + 3, read_back + read_done, length);
		read_done += length;
		break;
	}
}

static void set_feature(const u8 *report, int length)
{
	if (report[0] == 2)
		directions = report[1];
	else if (report[0] == 4)
		driven = (driven & ~report[2]) | (report[1] & report[2]);
	else if (report[0] == 6 && length >= (int)sizeof smbus_settings)
		memcpy(smbus_settings, report, sizeof smbus_settings);
}

static int get_feature(int id, u8 *to)
{
	u8 lines[] = {2, directions, 0xff, 0, 0}, level[] = {3, levels()}, version[] = {5, 0x0c, 2}, lock[] = {0x20, 0xff};
	u8 usb[] = {0x21, 0xc4, 0x10, 0x90, 0xea, 50, 0, 1, 0, 0}, name[63] = {id, 4, 3, 'x'};
	switch (id) {
	case 2: return copy(to, lines, sizeof lines);
	case 3: return copy(to, level, sizeof level);
	case 5: return copy(to, version, sizeof version);
	case 6: return copy(to, smbus_settings, sizeof smbus_settings);
	case 0x20: return copy(to, lock, sizeof lock);
	case 0x21: return copy(to, usb, sizeof usb);
	case 0x22: case 0x23: case 0x24: return copy(to, name, sizeof name);
	default: return STALL;
	}
}

/* --- i2c-tiny-usb's own requests (drivers/i2c/busses/i2c-tiny-usb.c) --- */

static int tiny(int request, int value, int target, int read, u8 *bytes, int length)
{
	/* 1: the target answered, 2: it did not. */
	static u8 last;
	/* I2C_FUNC_I2C and all SMBus transfers. */
	u8 echo[] = {value & 255, value >> 8}, functions[] = {0x09, 0x00, 0xff, 0x0e};
	enum outcome outcome;
	switch (request) {
	case 0: return copy(bytes, echo, sizeof echo);
	case 1: return copy(bytes, functions, sizeof functions);
	case 2: return 0;
	case 3: return copy(bytes, &last, 1);
	case 4: case 5: case 6: case 7:
		outcome = transfer(target, read, bytes, length);
		if (outcome == BROKEN)
			return STALL;
		last = outcome == DONE ? 1 : 2;
		return length;
	default: return STALL;
	}
}

/* --- Requests --- */

enum { TYPE = 0x60, STANDARD = 0x00, OF_CLASS = 0x20, OF_VENDOR = 0x40 };

/* A request on the control pipe; its bytes, in or out, are in `bytes`. */
static int control(const u8 *setup, u8 *bytes, int length)
{
	int in = setup[0] & 0x80, request = setup[1], value = setup[2] | setup[3] << 8, index = setup[4] | setup[5] << 8;
	u8 self_status[] = {0, 0}, configuration[] = {1};
	switch (setup[0] & TYPE) {
	case STANDARD:
		if (!in)
			return 0;
		switch (request) {
		case 0: return copy(bytes, self_status, sizeof self_status);
		case 6: return descriptor(value >> 8, value & 255, bytes);
		case 8: return copy(bytes, configuration, sizeof configuration);
		default: return STALL;
		}
	case OF_CLASS:
		if (!is_hid)
			return STALL;
		if (request == 1)
			return get_feature(value & 255, bytes);
		if (request == 9 && value >> 8 == 2)
			output(bytes);
		else if (request == 9)
			set_feature(bytes, length);
		return request == 9 ? length : 0;
	case OF_VENDOR: return is_hid ? STALL : tiny(request, value, index, in, bytes, length);
	default: return STALL;
	}
}

/* The host gives a request up that waits for an input. */
static void unlink_request(const struct header *header)
{
	int found = 0;
	for (unsigned at = waiting_from; at != waiting_to; at++) {
		if (found)
			waiting[(at - 1) % INPUTS] = waiting[at % INPUTS];
		else
			found = waiting[at % INPUTS].sequence == header->more[0];
	}
	waiting_to -= found;
	struct header reply = {.command = htonl(RET_UNLINK), .sequence = htonl(header->sequence)};
	reply.more[0] = htonl(found ? -ECONNRESET : 0);
	give(&reply, sizeof reply);
}

static void plug_in(void)
{
	int pair[2];
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	int attach = open("/sys/devices/platform/vhci_hcd.0/attach", O_WRONLY);
	CHECK(attach >= 0);
	int plugged = 0;
	for (int port = 0; port < PORTS && !plugged; port++) {
		char line[64];
		int length = snprintf(line, sizeof line, "%d %d %d %d", port, pair[1], 0x10002 + port, FULL_SPEED);
		plugged = write(attach, line, length) == length;
	}
	CHECK(plugged);
	close(attach);
	close(pair[1]);
	host = pair[0];
}

int main(int count, char **arguments)
{
	static u8 bytes[1 << 16];
	CHECK(count == 3);
	is_hid = !strcmp(arguments[1], "cp2112");
	CHECK(is_hid || !strcmp(arguments[1], "i2c-tiny"));
	serial = arguments[2];
	for (int at = 0; at < 256; at++)
		memory[0][at] = memory[1][at] = at ^ 0xa5;
	plug_in();
	for (;;) {
		struct header header;
		take(&header, sizeof header);
		uint32_t *words = (uint32_t *)&header;
		for (size_t at = 0; at < offsetof(struct header, setup) / sizeof *words; at++)
			words[at] = ntohl(words[at]);
		if (header.command == UNLINK) {
			unlink_request(&header);
			continue;
		}
		uint32_t length = header.more[1];
		CHECK(header.command == SUBMIT && length <= sizeof bytes);
		if (!header.in)
			take(bytes, length);
		if (header.endpoint == 0) {
			int moved = control(header.setup, bytes, length);
			if (moved == STALL)
				answer(header.sequence, -EPIPE, NULL, 0);
			else
				answer(header.sequence, 0, header.in ? bytes : NULL,
				       moved < (int)length ? moved : (int)length);
		} else if (header.in) {
			CHECK(waiting_to - waiting_from < INPUTS);
			waiting[waiting_to % INPUTS].sequence = header.sequence;
			waiting[waiting_to++ % INPUTS].length = length;
		} else {
			output(bytes);
			answer(header.sequence, 0, NULL, length);
		}
		deliver();
	}
}
