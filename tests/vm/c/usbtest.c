/* usbtest transfers|endpoints|iso|about NODE: what a program does with a USB device through usbfs
 * (include/uapi/linux/usbdevice_fs.h).
 *
 * transfers: the gadget of the rig `usb`, whose configuration 1 sends and takes bulk data of pattern 1 (byte n is n modulo
 * 63, f_sourcesink.c), and whose configuration 2 loops them back and has a HID function, /dev/hidg0. Control, bulk and
 * interrupt transfers in one call and by URB; refused, stalled, out of time, discarded, and cut off when the device is taken
 * away, which it waits for after it said `reading`, and says how (`gone ERRNO`). endpoints: says the addresses of its
 * endpoints, as shell variables. iso: QEMU's sound card. about: one harmless question. */
#define _GNU_SOURCE
#include "check.h"
#include <fcntl.h>
#include <linux/usb/ch9.h>
#include <linux/usbdevice_fs.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BULK_LENGTH = 512, SHORT = 100, REPORT = 8, PACKETS = 8, PACKET = 192 };

static int fd;
static uint8_t data[BULK_LENGTH];

/* Addresses of the endpoints: the bulk ones of each configuration, and the interrupt one that is read. */
static struct { int in, out; } bulk[3];
static int interrupt;

/* Reads the descriptors of the device and of all its configurations. */
static void look(void)
{
	static uint8_t bytes[4096];
	ssize_t length = read(fd, bytes, sizeof bytes);
	CHECK(length > 18);
	for (int at = 0, configuration = 0, first = 1; at + 6 < length && bytes[at]; at += bytes[at]) {
		const uint8_t *descriptor = bytes + at;
		if (descriptor[1] == USB_DT_CONFIG)
			configuration = descriptor[5];
		/* Other settings of an interface have the same endpoints. */
		if (descriptor[1] == USB_DT_INTERFACE)
			first = descriptor[3] == 0;
		if (descriptor[1] != USB_DT_ENDPOINT || !first || configuration > 2)
			continue;
		int address = descriptor[2], in = address & USB_DIR_IN;
		if ((descriptor[3] & 3) == USB_ENDPOINT_XFER_BULK)
			*(in ? &bulk[configuration].in : &bulk[configuration].out) = address;
		else if ((descriptor[3] & 3) == USB_ENDPOINT_XFER_INT && in)
			interrupt = address;
	}
}

static void pattern(void)
{
	for (int at = 0; at < BULK_LENGTH; at++)
		data[at] = at % 63;
}

static int control(int type, int request, int value, int index, void *bytes, int length)
{
	struct usbdevfs_ctrltransfer transfer = {type, request, value, index, length, 1000, bytes};
	return ioctl(fd, USBDEVFS_CONTROL, &transfer);
}

static int move(int endpoint, void *bytes, unsigned length, unsigned timeout)
{
	struct usbdevfs_bulktransfer transfer = {endpoint, length, timeout, bytes};
	return ioctl(fd, USBDEVFS_BULK, &transfer);
}

static void submit(struct usbdevfs_urb *urb, int type, int endpoint, void *bytes, int length)
{
	memset(urb, 0, sizeof *urb);
	urb->type = type;
	urb->endpoint = endpoint;
	urb->buffer = bytes;
	urb->buffer_length = length;
	CHECK(!ioctl(fd, USBDEVFS_SUBMITURB, urb));
}

/* Waits for a transfer; it has to be this one, and its status that. */
static void reap(struct usbdevfs_urb *urb, int status)
{
	struct usbdevfs_urb *done = NULL;
	CHECK(!ioctl(fd, USBDEVFS_REAPURB, &done) && done == urb && done->status == status);
}

static void nothing(void)
{
	struct usbdevfs_urb *done;
	REFUSED(ioctl(fd, USBDEVFS_REAPURBNDELAY, &done), EAGAIN);
}

/* Configuration 1: one interface, a source and a sink. */
static void source_sink(void)
{
	struct usbdevfs_getdriver driver = {.interface = 0};
	struct usbdevfs_connectinfo connection;
	struct usbdevfs_setinterface setting = {0, 0};
	struct usbdevfs_urb first, second;
	unsigned capabilities, interface = 0, none = 7, endpoint = bulk[1].out, one = 1;
	uint8_t bytes[USB_DT_DEVICE_SIZE], given[4] = {0xde, 0xad, 0xbe, 0xef};
	CHECK(!ioctl(fd, USBDEVFS_SETCONFIGURATION, &one));
	CHECK(!ioctl(fd, USBDEVFS_RESET));
	CHECK(!ioctl(fd, USBDEVFS_GET_CAPABILITIES, &capabilities));
	CHECK(ioctl(fd, USBDEVFS_GET_SPEED) == USB_SPEED_HIGH);
	CHECK(!ioctl(fd, USBDEVFS_CONNECTINFO, &connection));

	CHECK(control(0x80, USB_REQ_GET_DESCRIPTOR, USB_DT_DEVICE << 8, 0, bytes, sizeof bytes) == sizeof bytes);
	CHECK(control(0x40, 0x5b, 0, 0, given, sizeof given) == sizeof given);
	CHECK(control(0xc0, 0x5c, 0, 0, bytes, sizeof given) == sizeof given && bytes[0] == 0xde);
	CHECK(control(0xc0, 0x99, 0x1234, 0x5678, bytes, 1) == -1 && errno == EPIPE);

	REFUSED(ioctl(fd, USBDEVFS_GETDRIVER, &driver), ENODATA);
	REFUSED(ioctl(fd, USBDEVFS_CLAIMINTERFACE, &none), ENOENT);
	CHECK(!ioctl(fd, USBDEVFS_CLAIMINTERFACE, &interface));
	CHECK(!ioctl(fd, USBDEVFS_GETDRIVER, &driver) && !strcmp(driver.driver, "usbfs"));
	CHECK(!ioctl(fd, USBDEVFS_SETINTERFACE, &setting));

	pattern();
	CHECK(move(bulk[1].out, data, SHORT, 1000) == SHORT);
	memset(data, 0, sizeof data);
	CHECK(move(bulk[1].in, data, BULK_LENGTH, 1000) == BULK_LENGTH && data[62] == 62 && data[63] == 0);

	/* Two at once. */
	static uint8_t more[BULK_LENGTH];
	nothing();
	submit(&first, USBDEVFS_URB_TYPE_BULK, bulk[1].in, data, BULK_LENGTH);
	submit(&second, USBDEVFS_URB_TYPE_BULK, bulk[1].in, more, BULK_LENGTH);
	reap(&first, 0);
	reap(&second, 0);
	CHECK(first.actual_length == BULK_LENGTH && more[62] == 62);
	submit(&first, USBDEVFS_URB_TYPE_BULK, bulk[1].out, data, SHORT);
	reap(&first, 0);
	uint8_t packet[8 + USB_DT_DEVICE_SIZE] = {0x80, USB_REQ_GET_DESCRIPTOR, 0, USB_DT_DEVICE, 0, 0, USB_DT_DEVICE_SIZE, 0};
	submit(&first, USBDEVFS_URB_TYPE_CONTROL, 0, packet, sizeof packet);
	reap(&first, 0);
	CHECK(first.actual_length == USB_DT_DEVICE_SIZE && packet[8] == USB_DT_DEVICE_SIZE);

	/* What is not as the sink wants it makes it halt. */
	memset(data, 0xee, SHORT);
	submit(&first, USBDEVFS_URB_TYPE_BULK, bulk[1].out, data, SHORT);
	reap(&first, 0);
	submit(&first, USBDEVFS_URB_TYPE_BULK, bulk[1].out, data, SHORT);
	reap(&first, -EPIPE);
	CHECK(move(bulk[1].out, data, SHORT, 1000) == -1 && errno == EPIPE);
	CHECK(!ioctl(fd, USBDEVFS_CLEAR_HALT, &endpoint));
	pattern();
	CHECK(move(bulk[1].out, data, SHORT, 1000) == SHORT);

	unsigned two = 2;
	REFUSED(ioctl(fd, USBDEVFS_SETCONFIGURATION, &two), EBUSY);
	CHECK(!ioctl(fd, USBDEVFS_RELEASEINTERFACE, &interface));
	CHECK(!ioctl(fd, USBDEVFS_SETCONFIGURATION, &two));
}

/* Configuration 2: what is sent comes back; reports of a HID function. */
static void loop_and_reports(void)
{
	struct usbdevfs_urb first, second;
	/* Shorter than a packet: after a whole one comes an empty one. */
	uint8_t sent[SHORT], report[5] = {1, 2, 3, 4, 5}, got[REPORT] = {0};
	CHECK(!ioctl(fd, USBDEVFS_CLAIMINTERFACE, &(unsigned){0}) && !ioctl(fd, USBDEVFS_CLAIMINTERFACE, &(unsigned){1}));
	memset(sent, 0x5a, sizeof sent);
	memset(data, 0, sizeof data);
	submit(&first, USBDEVFS_URB_TYPE_BULK, bulk[2].in, data, BULK_LENGTH);
	submit(&second, USBDEVFS_URB_TYPE_BULK, bulk[2].out, sent, SHORT);
	reap(&second, 0);
	reap(&first, 0);
	CHECK(first.actual_length == SHORT && data[0] == 0x5a && data[SHORT - 1] == 0x5a);

	int gadget = open("/dev/hidg0", O_RDWR);
	CHECK(gadget >= 0);
	submit(&first, USBDEVFS_URB_TYPE_INTERRUPT, interrupt, got, sizeof got);
	nothing();
	CHECK(write(gadget, report, sizeof report) == sizeof report);
	reap(&first, 0);
	CHECK(first.actual_length == sizeof report && !memcmp(got, report, sizeof report));
	close(gadget);

	/* Nothing comes: not in time, then taken back. */
	CHECK(move(interrupt, got, sizeof got, 50) == -1 && errno == ETIMEDOUT);
	submit(&first, USBDEVFS_URB_TYPE_INTERRUPT, interrupt, got, sizeof got);
	CHECK(!ioctl(fd, USBDEVFS_DISCARDURB, &first));
	reap(&first, -ENOENT);
	REFUSED(ioctl(fd, USBDEVFS_DISCARDURB, &first), EINVAL);

	submit(&first, USBDEVFS_URB_TYPE_INTERRUPT, interrupt, got, sizeof got);
	CHECK(write(1, "reading\n", 8) == 8);
	/* Whoever notices first says it in his way: the controller or the hub. */
	struct usbdevfs_urb *done = NULL, *none;
	CHECK(!ioctl(fd, USBDEVFS_REAPURB, &done) && done == &first && first.status < 0);
	dprintf(1, "gone %s\n", strerrorname_np(-first.status));
	REFUSED(ioctl(fd, USBDEVFS_REAPURB, &none), ENODEV);
	CHECK(control(0x80, USB_REQ_GET_STATUS, 0, 0, got, 2) == -1 && errno == ENODEV);
}

/* QEMU's sound card: interface 1, setting 1, endpoint 1. */
static void iso(void)
{
	static uint8_t samples[PACKETS * PACKET];
	struct usbdevfs_setinterface setting = {1, 1};
	struct usbdevfs_urb *urb = calloc(1, sizeof *urb + PACKETS * sizeof *urb->iso_frame_desc), *done = NULL;
	CHECK(urb && !ioctl(fd, USBDEVFS_CLAIMINTERFACE, &(unsigned){1}) && !ioctl(fd, USBDEVFS_SETINTERFACE, &setting));
	CHECK(control(USB_DIR_IN, USB_REQ_GET_DESCRIPTOR, USB_DT_DEVICE << 8, 0, data, 18) == 18);
	/* It has none of these. */
	CHECK(control(USB_DIR_IN, USB_REQ_GET_DESCRIPTOR, USB_DT_DEBUG << 8, 0, data, 4) < 0 && errno == EPIPE);
	urb->type = USBDEVFS_URB_TYPE_ISO;
	urb->endpoint = 1;
	urb->flags = USBDEVFS_URB_ISO_ASAP;
	urb->buffer = samples;
	urb->buffer_length = sizeof samples;
	urb->number_of_packets = PACKETS;
	for (int at = 0; at < PACKETS; at++)
		urb->iso_frame_desc[at].length = PACKET;
	for (int round = 0; round < 3; round++) {
		CHECK(!ioctl(fd, USBDEVFS_SUBMITURB, urb));
		CHECK(!ioctl(fd, USBDEVFS_REAPURB, &done) && done == urb && !urb->status && !urb->error_count);
	}
}

int main(int count, char **arguments)
{
	CHECK(count == 3);
	fd = open(arguments[2], O_RDWR);
	CHECK(fd >= 0);
	switch (arguments[1][0]) {
	case 't':
		look();
		source_sink();
		loop_and_reports();
		return 0;
	case 'e':
		look();
		printf("out=%d in=%d loop_out=%d loop_in=%d interrupt=%d\n", bulk[1].out, bulk[1].in, bulk[2].out,
		       bulk[2].in, interrupt);
		return 0;
	case 'i': iso(); return 0;
	default: return ioctl(fd, USBDEVFS_GET_CAPABILITIES, &(unsigned){0}) ? 1 : 0;
	}
}
