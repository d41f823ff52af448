/* inputtest event|js|hidraw NODE: what a program does with an input device that `input` made: what it is, what it can, what
 * is refused, then it reads until the device is taken away. Says `reading` before that. */
#include "check.h"
#include <fcntl.h>
#include <linux/hidraw.h>
#include <linux/input.h>
#include <linux/joystick.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int fd;

/* Reads until that fails, as it has to; says how often it brought something. */
static void drain(void *buffer, size_t size, int error)
{
	ssize_t got;
	int reads = 0;
	CHECK(write(1, "reading\n", 8) == 8);
	while ((got = read(fd, buffer, size)) > 0)
		reads++;
	CHECK(got == -1 && errno == error);
	dprintf(1, "%d reads\n", reads);
}

static void event(void)
{
	static const unsigned char KEYS[] = {KEY_A, KEY_B, KEY_LEFTSHIFT};
	char text[64];
	struct input_id id;
	int version, clock = 1;
	/* Never, as far as this goes. */
	unsigned repeat[2] = {600000, 60000}, is[2], code[2] = {0x70004, KEY_B};
	unsigned char bits[KEY_MAX / 8 + 1];
	struct input_absinfo axis;
	struct input_mask mask = {.type = EV_KEY, .codes_size = sizeof bits, .codes_ptr = (uintptr_t)bits};
	CHECK(!ioctl(fd, EVIOCGVERSION, &version));
	CHECK(!ioctl(fd, EVIOCGID, &id) && id.vendor == 0x1d6b && id.product == 0x0104);
	CHECK(ioctl(fd, EVIOCGNAME(sizeof text), text) > 0 && !strcmp(text, "iotrail test keyboard"));
	CHECK(ioctl(fd, EVIOCGPHYS(sizeof text), text) > 0 && !strcmp(text, "iotrail/input0"));
	/* It has no number of its own, no axes, and no table of keys. */
	REFUSED(ioctl(fd, EVIOCGUNIQ(sizeof text), text), ENOENT);
	REFUSED(ioctl(fd, EVIOCGABS(ABS_X), &axis), EINVAL);
	REFUSED(ioctl(fd, EVIOCSKEYCODE, code), EINVAL);
	CHECK(ioctl(fd, EVIOCGBIT(0, sizeof bits), bits) > 0);
	CHECK(ioctl(fd, EVIOCGBIT(EV_KEY, sizeof bits), bits) > 0);
	CHECK(ioctl(fd, EVIOCGKEY(sizeof bits), bits) > 0);
	CHECK(ioctl(fd, EVIOCGLED(sizeof bits), bits) > 0);
	/* That would empty the queue, which the next makes longer. */
	CHECK(!ioctl(fd, EVIOCSCLOCKID, &clock));
	CHECK(!ioctl(fd, EVIOCSREP, repeat) && !ioctl(fd, EVIOCGREP, is) && is[0] == repeat[0] && is[1] == repeat[1]);
	memset(bits, 0, sizeof bits);
	for (size_t at = 0; at < sizeof KEYS; at++)
		bits[KEYS[at] / 8] |= 1 << KEYS[at] % 8;
	CHECK(!ioctl(fd, EVIOCSMASK, &mask) && !ioctl(fd, EVIOCGMASK, &mask));
	CHECK(!ioctl(fd, EVIOCGRAB, 1));
	REFUSED(ioctl(fd, EVIOCGRAB, 1), EBUSY);
	CHECK(!ioctl(fd, EVIOCGRAB, 0));
	struct input_event lamp[2] = {{.type = EV_LED, .code = LED_MUTE, .value = 1}, {.type = EV_SYN}};
	CHECK(write(fd, lamp, sizeof lamp) == sizeof lamp);
	struct input_event events[16];
	drain(events, sizeof events, ENODEV);
}

static void js(void)
{
	unsigned version;
	unsigned char axes, buttons, map[ABS_CNT];
	char name[64];
	unsigned short buttons_map[KEY_MAX - BTN_MISC + 1];
	struct js_event events[4];
	CHECK(!ioctl(fd, JSIOCGVERSION, &version));
	CHECK(!ioctl(fd, JSIOCGAXES, &axes) && axes == 2 && !ioctl(fd, JSIOCGBUTTONS, &buttons) && buttons == 2);
	CHECK(ioctl(fd, JSIOCGNAME(sizeof name), name) > 0 && !strcmp(name, "iotrail test joystick"));
	CHECK(ioctl(fd, JSIOCGAXMAP, map) >= 0 && map[0] == ABS_X && map[1] == ABS_Y);
	CHECK(ioctl(fd, JSIOCGBTNMAP, buttons_map) >= 0 && buttons_map[0] == BTN_TRIGGER);
	/* A button that is none. */
	buttons_map[0] = KEY_A;
	REFUSED(ioctl(fd, JSIOCSBTNMAP, buttons_map), EINVAL);
	/* How things are now: two buttons, two axes. */
	for (int at = 0; at < 4; at++)
		CHECK(read(fd, events, sizeof *events) == sizeof *events && events[0].type & JS_EVENT_INIT);
	drain(events, sizeof events, ENODEV);
}

static void hidraw(void)
{
	char text[64];
	unsigned char report[16], feature[3] = {3, 0xab, 0xcd}, output[3] = {4, 0x11, 0x22};
	struct hidraw_devinfo about;
	static struct hidraw_report_descriptor descriptor;
	int size;
	CHECK(!ioctl(fd, HIDIOCGRDESCSIZE, &size) && size > 50);
	descriptor.size = size;
	CHECK(!ioctl(fd, HIDIOCGRDESC, &descriptor) && descriptor.value[0] == 5);
	CHECK(!ioctl(fd, HIDIOCGRAWINFO, &about) && about.vendor == 0x1d6b && about.product == 0x0105);
	CHECK(ioctl(fd, HIDIOCGRAWNAME(sizeof text), text) > 0 && !strcmp(text, "iotrail test mouse"));
	CHECK(ioctl(fd, HIDIOCGRAWPHYS(sizeof text), text) > 0 && !strcmp(text, "iotrail/hid0"));
	CHECK(ioctl(fd, HIDIOCGRAWUNIQ(sizeof text), text) > 0 && !strcmp(text, "SN-42"));
	CHECK(ioctl(fd, HIDIOCSFEATURE(sizeof feature), feature) == 3);
	memset(feature, 0, sizeof feature);
	feature[0] = 3;
	CHECK(ioctl(fd, HIDIOCGFEATURE(sizeof feature), feature) == 3 && feature[1] == 0xab && feature[2] == 0xcd);
	feature[0] = 5;
	REFUSED(ioctl(fd, HIDIOCGFEATURE(sizeof feature), feature), EIO);
	CHECK(write(fd, output, sizeof output) == sizeof output);
	drain(report, sizeof report, EIO);
}

int main(int count, char **arguments)
{
	CHECK(count == 3);
	fd = open(arguments[2], O_RDWR);
	/* Joysticks are only read. */
	if (fd < 0)
		fd = open(arguments[2], O_RDONLY);
	CHECK(fd >= 0);
	switch (arguments[1][0]) {
	case 'e': event(); return 0;
	case 'j': js(); return 0;
	case 'h': hidraw(); return 0;
	default: return 2;
	}
}
