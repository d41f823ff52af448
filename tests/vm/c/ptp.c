/* The clock of a network card: `ptp DEVICE`. */
#include "check.h"
#include <fcntl.h>
#include <linux/ptp_clock.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(int count, char **arguments)
{
	CHECK(count == 2);
	int fd = open(arguments[1], O_RDWR);
	CHECK(fd >= 0);
	struct ptp_clock_caps about;
	CHECK(!ioctl(fd, PTP_CLOCK_GETCAPS, &about));
	/* For the table: what the clock can do. */
	printf("max_adj=%d\nn_pins=%d\nn_ext_ts=%d\nn_per_out=%d\n", about.max_adj, about.n_pins, about.n_ext_ts,
	       about.n_per_out);
	struct ptp_sys_offset offset = {.n_samples = 3};
	CHECK(!ioctl(fd, PTP_SYS_OFFSET, &offset));
	struct ptp_sys_offset_extended extended = {.n_samples = 2};
	CHECK(!ioctl(fd, PTP_SYS_OFFSET_EXTENDED, &extended));
	extended.n_samples = PTP_MAX_SAMPLES + 1;
	REFUSED(ioctl(fd, PTP_SYS_OFFSET_EXTENDED, &extended), EINVAL);
	/* Inputs that it does not have. */
	struct ptp_extts_request input = {.index = 200, .flags = PTP_ENABLE_FEATURE};
	REFUSED(ioctl(fd, PTP_EXTTS_REQUEST, &input), EINVAL);
	struct ptp_pin_desc pin = {.index = 201};
	REFUSED(ioctl(fd, PTP_PIN_GETFUNC, &pin), EINVAL);
	return 0;
}
