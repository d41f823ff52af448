/* input keyboard|joystick|mouse: an input device made in user space, so that readers of /dev/input and of hidraw have something
 * real to read. It does what its standard input says, a word a line, and says `done` after each; at the word `end` it
 * takes the device away.
 *
 * keyboard (uinput): `keys` presses and releases A and B, four frames; `chord` presses shift and A in one frame and releases
 * both in the next; `lamp` waits for a lamp to be switched. joystick (uinput): `move` sets both axes in one frame and presses
 * and releases a button in the next two. mouse (uhid): `move` sends three reports. What is refused on the way is checked here, too. */
#include "check.h"
#include <fcntl.h>
#include <linux/uhid.h>
#include <linux/uinput.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int fd;

/* The next line of the standard input, without its end; none at the last. */
static const char *word(void)
{
	static char line[32];
	size_t have = 0;
	while (have < sizeof line - 1 && read(0, line + have, 1) == 1) {
		if (line[have] == '\n') {
			line[have] = 0;
			return strcmp(line, "end") ? line : NULL;
		}
		have++;
	}
	return NULL;
}

static void done(void)
{
	CHECK(write(1, "done\n", 5) == 5);
}

static void event(int type, int code, int value)
{
	struct input_event event = {.type = type, .code = code, .value = value};
	CHECK(write(fd, &event, sizeof event) == sizeof event);
}

static void frame(void)
{
	event(EV_SYN, SYN_REPORT, 0);
}

/* --- uinput --- */

static void make(const char *name, int product)
{
	struct uinput_setup setup = {
		.id = {.bustype = BUS_USB, .vendor = 0x1d6b, .product = product, .version = 1},
	};
	char sysname[16];
	strcpy(setup.name, name);
	CHECK(!ioctl(fd, UI_SET_PHYS, "iotrail/input0"));
	/* Nothing was set up, and there is no device yet. */
	REFUSED(ioctl(fd, UI_DEV_CREATE), EINVAL);
	CHECK(!ioctl(fd, UI_DEV_SETUP, &setup));
	REFUSED(ioctl(fd, UI_GET_SYSNAME(sizeof sysname), sysname), ENOENT);
	CHECK(!ioctl(fd, UI_DEV_CREATE));
	CHECK(ioctl(fd, UI_GET_SYSNAME(sizeof sysname), sysname) > 0);
	done();
}

static void keyboard(void)
{
	unsigned version;
	CHECK(!ioctl(fd, UI_GET_VERSION, &version) && version >= 5);
	REFUSED(ioctl(fd, UI_SET_EVBIT, EV_CNT), EINVAL);
	CHECK(!ioctl(fd, UI_SET_EVBIT, EV_KEY) && !ioctl(fd, UI_SET_EVBIT, EV_LED) && !ioctl(fd, UI_SET_EVBIT, EV_REP));
	CHECK(!ioctl(fd, UI_SET_KEYBIT, KEY_A) && !ioctl(fd, UI_SET_KEYBIT, KEY_B) &&
	      !ioctl(fd, UI_SET_KEYBIT, KEY_LEFTSHIFT));
	CHECK(!ioctl(fd, UI_SET_LEDBIT, LED_MUTE));
	make("iotrail test keyboard", 0x0104);
	for (const char *order; (order = word());) {
		if (!strcmp(order, "keys")) {
			for (int key = 0; key < 2; key++)
				for (int down = 1; down >= 0; down--) {
					event(EV_KEY, key ? KEY_B : KEY_A, down);
					frame();
				}
		} else if (!strcmp(order, "chord")) {
			for (int down = 1; down >= 0; down--) {
				event(EV_KEY, KEY_LEFTSHIFT, down);
				event(EV_KEY, KEY_A, down);
				frame();
			}
		} else {
			struct input_event lamp;
			do
				CHECK(read(fd, &lamp, sizeof lamp) == sizeof lamp);
			while (lamp.type != EV_LED);
			CHECK(lamp.code == LED_MUTE && lamp.value == 1);
		}
		done();
	}
}

static void joystick(void)
{
	CHECK(!ioctl(fd, UI_SET_EVBIT, EV_KEY) && !ioctl(fd, UI_SET_EVBIT, EV_ABS));
	CHECK(!ioctl(fd, UI_SET_KEYBIT, BTN_TRIGGER) && !ioctl(fd, UI_SET_KEYBIT, BTN_THUMB));
	for (int axis = ABS_X; axis <= ABS_Y; axis++) {
		struct uinput_abs_setup setup = {.code = axis, .absinfo = {.minimum = -127, .maximum = 127}};
		CHECK(!ioctl(fd, UI_ABS_SETUP, &setup));
	}
	make("iotrail test joystick", 0x0106);
	while (word()) {
		event(EV_ABS, ABS_X, 127);
		event(EV_ABS, ABS_Y, -127);
		frame();
		for (int down = 1; down >= 0; down--) {
			event(EV_KEY, BTN_TRIGGER, down);
			frame();
		}
		done();
	}
}

/* --- uhid --- */

/* A mouse of three buttons, its report number 1 (HID 1.11, appendix E.10, with a report ID); beside it, of a vendor's own, a
 * feature report 3 and an output report 4 of two bytes each, and a feature report 5 that it refuses. */
static const unsigned char MOUSE[] = {
	0x05, 0x01, 0x09, 0x02, 0xa1, 0x01, 0x09, 0x01, 0xa1, 0x00, 0x85, 0x01, 0x05, 0x09, 0x19, 0x01, 0x29, 0x03,
	0x15, 0x00, 0x25, 0x01, 0x95, 0x03, 0x75, 0x01, 0x81, 0x02, 0x95, 0x01, 0x75, 0x05, 0x81, 0x01, 0x05, 0x01,
	0x09, 0x30, 0x09, 0x31, 0x15, 0x80, 0x25, 0x7f, 0x75, 0x08, 0x95, 0x02, 0x81, 0x06, 0xc0, 0xc0,
	0x06, 0x00, 0xff, 0x09, 0x01, 0xa1, 0x01, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95, 0x02,
	0x85, 0x03, 0x09, 0x01, 0xb1, 0x02, 0x85, 0x04, 0x09, 0x01, 0x91, 0x02, 0x85, 0x05, 0x09, 0x01, 0xb1, 0x02, 0xc0,
};

static void give(const struct uhid_event *event)
{
	CHECK(write(fd, event, sizeof *event) == sizeof *event);
}

/* Somebody asks the device. Feature report 3 is a memory. */
static void asked(void)
{
	static unsigned char memory[3] = {3, 0, 0};
	struct uhid_event event, reply = {0};
	CHECK(read(fd, &event, sizeof event) > 0);
	if (event.type == UHID_GET_REPORT) {
		int known = event.u.get_report.rnum == 3;
		reply.type = UHID_GET_REPORT_REPLY;
		reply.u.get_report_reply.id = event.u.get_report.id;
		reply.u.get_report_reply.err = known ? 0 : EIO;
		reply.u.get_report_reply.size = known ? sizeof memory : 0;
		memcpy(reply.u.get_report_reply.data, memory, known ? sizeof memory : 0);
		give(&reply);
	} else if (event.type == UHID_SET_REPORT) {
		CHECK(event.u.set_report.size == sizeof memory);
		memcpy(memory, event.u.set_report.data, sizeof memory);
		reply.type = UHID_SET_REPORT_REPLY;
		reply.u.set_report_reply.id = event.u.set_report.id;
		give(&reply);
	}
}

static void mouse(void)
{
	struct uhid_event make = {.type = UHID_CREATE2}, unmake = {.type = UHID_DESTROY};
	strcpy((char *)make.u.create2.name, "iotrail test mouse");
	strcpy((char *)make.u.create2.phys, "iotrail/hid0");
	strcpy((char *)make.u.create2.uniq, "SN-42");
	memcpy(make.u.create2.rd_data, MOUSE, sizeof MOUSE);
	make.u.create2.rd_size = sizeof MOUSE;
	make.u.create2.bus = BUS_USB;
	make.u.create2.vendor = 0x1d6b;
	make.u.create2.product = 0x0105;
	/* There is none yet. */
	REFUSED(write(fd, &unmake, sizeof unmake), EINVAL);
	give(&make);
	done();
	for (;;) {
		struct pollfd wait[2] = {{0, POLLIN, 0}, {fd, POLLIN, 0}};
		CHECK(poll(wait, 2, -1) > 0);
		if (wait[1].revents) {
			asked();
			continue;
		}
		if (!word())
			break;
		for (int down = 1; down <= 3; down++) {
			struct uhid_event report = {.type = UHID_INPUT2};
			report.u.input2.size = 4;
			memcpy(report.u.input2.data, (unsigned char[]){1, down, 5, 5}, 4);
			give(&report);
		}
		done();
	}
	give(&unmake);
}

int main(int count, char **arguments)
{
	CHECK(count == 2);
	int hid = !strcmp(arguments[1], "mouse");
	fd = open(hid ? "/dev/uhid" : "/dev/uinput", O_RDWR);
	CHECK(fd >= 0);
	if (hid) {
		mouse();
		return 0;
	}
	if (!strcmp(arguments[1], "keyboard"))
		keyboard();
	else
		joystick();
	CHECK(!ioctl(fd, UI_DEV_DESTROY));
	return 0;
}
