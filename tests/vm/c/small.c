/* small watchdog|rtc|tun NODE: a few commands of a class, for which no packaged tool is small enough. */
#include "check.h"
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/rtc.h>
#include <linux/watchdog.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Three commands, one refused, and the magic byte that stops it. */
static void watchdog(int fd)
{
	struct watchdog_info about;
	int seconds = 30, none = 0;
	CHECK(!ioctl(fd, WDIOC_GETSUPPORT, &about));
	CHECK(!ioctl(fd, WDIOC_SETTIMEOUT, &seconds) && seconds == 30);
	REFUSED(ioctl(fd, WDIOC_SETTIMEOUT, &none), EINVAL);
	CHECK(!ioctl(fd, WDIOC_KEEPALIVE, 0));
	CHECK(write(fd, "V", 1) == 1);
}

static void rtc(int fd)
{
	struct rtc_time time;
	CHECK(!ioctl(fd, RTC_RD_TIME, &time) && time.tm_year > 100);
	time.tm_mon = 12;
	REFUSED(ioctl(fd, RTC_SET_TIME, &time), EINVAL);
}

static void tun(int fd)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	unsigned features;
	CHECK(!ioctl(fd, TUNGETFEATURES, &features) && features & IFF_TAP);
	REFUSED(ioctl(fd, TUNGETIFF, &request), EBADFD);
	CHECK(!ioctl(fd, TUNSETIFF, &request) && !strncmp(request.ifr_name, "tap", 3));
}

int main(int count, char **arguments)
{
	static const struct { const char *name; void (*run)(int); } CLASSES[] = {
		{"watchdog", watchdog}, {"rtc", rtc}, {"tun", tun},
	};
	CHECK(count == 3);
	int fd = open(arguments[2], O_RDWR);
	CHECK(fd >= 0);
	for (size_t at = 0; at < sizeof CLASSES / sizeof *CLASSES; at++) {
		if (!strcmp(CLASSES[at].name, arguments[1])) {
			CLASSES[at].run(fd);
			return 0;
		}
	}
	return 2;
}
