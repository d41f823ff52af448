/* input uinput|uhid: a keyboard or a mouse made in user space, so that readers of /dev/input and of hidraw have something
 * real to read: a key, or a button, twice a second until it is killed. */
#include "check.h"
#include <fcntl.h>
#include <linux/uhid.h>
#include <linux/uinput.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* A mouse of three buttons with report number 1 (HID 1.11, appendix E.10, with a report ID). */
static const unsigned char MOUSE[] = {
	0x05, 0x01, 0x09, 0x02, 0xa1, 0x01, 0x09, 0x01, 0xa1, 0x00, 0x85, 0x01, 0x05, 0x09, 0x19, 0x01, 0x29, 0x03,
	0x15, 0x00, 0x25, 0x01, 0x95, 0x03, 0x75, 0x01, 0x81, 0x02, 0x95, 0x01, 0x75, 0x05, 0x81, 0x01, 0x05, 0x01,
	0x09, 0x30, 0x09, 0x31, 0x15, 0x80, 0x25, 0x7f, 0x75, 0x08, 0x95, 0x02, 0x81, 0x06, 0xc0, 0xc0,
};

static void event(int fd, int type, int code, int value)
{
	struct input_event event = {.type = type, .code = code, .value = value};
	CHECK(write(fd, &event, sizeof event) == sizeof event);
}

static void keyboard(void)
{
	int fd = open("/dev/uinput", O_RDWR);
	CHECK(fd >= 0);
	struct uinput_setup setup = {
		.id = {.bustype = BUS_USB, .vendor = 0x1d6b, .product = 0x0104, .version = 1},
		.name = "iotrail test keyboard",
	};
	CHECK(!ioctl(fd, UI_SET_EVBIT, EV_KEY) && !ioctl(fd, UI_SET_KEYBIT, KEY_A));
	CHECK(!ioctl(fd, UI_SET_PHYS, "iotrail/input0"));
	CHECK(!ioctl(fd, UI_DEV_SETUP, &setup) && !ioctl(fd, UI_DEV_CREATE));
	for (int down = 1;; down = !down) {
		usleep(250000);
		event(fd, EV_KEY, KEY_A, down);
		event(fd, EV_SYN, SYN_REPORT, 0);
	}
}

static void mouse(void)
{
	int fd = open("/dev/uhid", O_RDWR);
	CHECK(fd >= 0);
	struct uhid_event make = {.type = UHID_CREATE2};
	strcpy((char *)make.u.create2.name, "iotrail test mouse");
	strcpy((char *)make.u.create2.uniq, "SN-42");
	memcpy(make.u.create2.rd_data, MOUSE, sizeof MOUSE);
	make.u.create2.rd_size = sizeof MOUSE;
	make.u.create2.bus = BUS_USB;
	make.u.create2.vendor = 0x1d6b;
	make.u.create2.product = 0x0105;
	CHECK(write(fd, &make, sizeof make) == sizeof make);
	for (int down = 1;; down = !down) {
		struct uhid_event report = {.type = UHID_INPUT2};
		usleep(250000);
		report.u.input2.size = 4;
		memcpy(report.u.input2.data, (unsigned char[]){1, down, 5, 5}, 4);
		CHECK(write(fd, &report, sizeof report) == sizeof report);
	}
}

int main(int count, char **arguments)
{
	CHECK(count == 2);
	if (!strcmp(arguments[1], "uinput"))
		keyboard();
	CHECK(!strcmp(arguments[1], "uhid"));
	mouse();
}
