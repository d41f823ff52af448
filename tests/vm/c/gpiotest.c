/* gpiotest NODE INPUT OUT OUT: requests of lines by both versions of the interface. INPUT changes by itself, the OUTs may be driven. Says
 * on its standard output, as facts, what the kernel told of each edge. */
#include "check.h"
#include <fcntl.h>
#include <linux/gpio.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int chip;
static unsigned input, outs[2];

static void edge(const char *name, int number, unsigned id, uint64_t ns)
{
	printf("%s.%d.what=%s\n%s.%d.ns=%llu\n", name, number, id == 1 ? "rising_edge" : "falling_edge", name, number,
		(unsigned long long)ns);
}

static void first(void)
{
	struct gpioline_info info = {.line_offset = input};
	CHECK(!ioctl(chip, GPIO_GET_LINEINFO_IOCTL, &info));
	struct gpiohandle_request handle = {.lineoffsets = {outs[0], outs[1]}, .lines = 2, .flags = GPIOHANDLE_REQUEST_OUTPUT,
		.default_values = {1, 0}, .consumer_label = "out-v1"};
	CHECK(!ioctl(chip, GPIO_GET_LINEHANDLE_IOCTL, &handle) && handle.fd >= 0);
	struct gpiohandle_data data = {{0, 1}};
	CHECK(!ioctl(handle.fd, GPIOHANDLE_SET_LINE_VALUES_IOCTL, &data));
	CHECK(!ioctl(handle.fd, GPIOHANDLE_GET_LINE_VALUES_IOCTL, &data) && !data.values[0] && data.values[1]);
	/* In use; not there. */
	struct gpiohandle_request again = handle;
	REFUSED(ioctl(chip, GPIO_GET_LINEHANDLE_IOCTL, &again), EBUSY);
	again.lineoffsets[0] = 1000;
	REFUSED(ioctl(chip, GPIO_GET_LINEHANDLE_IOCTL, &again), EINVAL);
	struct gpiohandle_config config = {.flags = GPIOHANDLE_REQUEST_INPUT};
	CHECK(!ioctl(handle.fd, GPIOHANDLE_SET_CONFIG_IOCTL, &config));
	REFUSED(ioctl(handle.fd, GPIOHANDLE_SET_LINE_VALUES_IOCTL, &data), EPERM);
	close(handle.fd);
}

static void second(void)
{
	struct gpio_v2_line_info info = {.offset = outs[0]};
	CHECK(!ioctl(chip, GPIO_V2_GET_LINEINFO_WATCH_IOCTL, &info));
	struct gpio_v2_line_request request = {.offsets = {outs[0], outs[1]}, .num_lines = 2, .consumer = "out-v2",
		.config = {.flags = GPIO_V2_LINE_FLAG_OUTPUT, .num_attrs = 1,
			.attrs = {{.attr = {.id = GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES, .values = 2}, .mask = 3}}}};
	CHECK(!ioctl(chip, GPIO_V2_GET_LINE_IOCTL, &request) && request.fd >= 0);
	struct gpio_v2_line_values values = {.bits = 1, .mask = 3};
	CHECK(!ioctl(request.fd, GPIO_V2_LINE_SET_VALUES_IOCTL, &values));
	values.mask = 3;
	CHECK(!ioctl(request.fd, GPIO_V2_LINE_GET_VALUES_IOCTL, &values) && values.bits == 1);
	values.mask = 4;
	REFUSED(ioctl(request.fd, GPIO_V2_LINE_SET_VALUES_IOCTL, &values), EINVAL);
	struct gpio_v2_line_request again = request;
	REFUSED(ioctl(chip, GPIO_V2_GET_LINE_IOCTL, &again), EBUSY);
	struct gpio_v2_line_config config = {.flags = GPIO_V2_LINE_FLAG_INPUT};
	CHECK(!ioctl(request.fd, GPIO_V2_LINE_SET_CONFIG_IOCTL, &config));
	REFUSED(ioctl(request.fd, GPIO_V2_LINE_SET_VALUES_IOCTL, &values), EINVAL);
	values.mask = 1;
	REFUSED(ioctl(request.fd, GPIO_V2_LINE_SET_VALUES_IOCTL, &values), EPERM);
	close(request.fd);
	/* Requested, reconfigured, released. */
	static const unsigned types[3] = {GPIO_V2_LINE_CHANGED_REQUESTED, GPIO_V2_LINE_CHANGED_CONFIG, GPIO_V2_LINE_CHANGED_RELEASED};
	struct gpio_v2_line_info_changed changed[3];
	for (int i = 0; i < 3; i++) {
		CHECK(read(chip, &changed[i], sizeof changed[i]) == sizeof changed[i]);
		CHECK(changed[i].event_type == types[i] && changed[i].info.offset == outs[0]);
		printf("change.%d.ns=%llu\n", i + 1, (unsigned long long)changed[i].timestamp_ns);
	}
	unsigned offset = outs[0];
	CHECK(!ioctl(chip, GPIO_GET_LINEINFO_UNWATCH_IOCTL, &offset));
	REFUSED(ioctl(chip, GPIO_GET_LINEINFO_UNWATCH_IOCTL, &offset), EBUSY);
}

static void edges(void)
{
	struct gpioevent_request old = {.lineoffset = input, .handleflags = GPIOHANDLE_REQUEST_INPUT,
		.eventflags = GPIOEVENT_REQUEST_BOTH_EDGES, .consumer_label = "edge-v1"};
	CHECK(!ioctl(chip, GPIO_GET_LINEEVENT_IOCTL, &old) && old.fd >= 0);
	for (int i = 1; i <= 2; i++) {
		struct gpioevent_data event;
		CHECK(read(old.fd, &event, sizeof event) == sizeof event);
		edge("v1", i, event.id, event.timestamp);
	}
	struct gpiohandle_data data;
	CHECK(!ioctl(old.fd, GPIOHANDLE_GET_LINE_VALUES_IOCTL, &data));
	close(old.fd);

	struct gpio_v2_line_request request = {.offsets = {input}, .num_lines = 1, .consumer = "edge-v2", .event_buffer_size = 8,
		.config = {.flags = GPIO_V2_LINE_FLAG_INPUT | GPIO_V2_LINE_FLAG_EDGE_RISING | GPIO_V2_LINE_FLAG_EDGE_FALLING}};
	CHECK(!ioctl(chip, GPIO_V2_GET_LINE_IOCTL, &request) && request.fd >= 0);
	for (int i = 1; i <= 3; i++) {
		struct gpio_v2_line_event event;
		CHECK(read(request.fd, &event, sizeof event) == sizeof event && event.seqno == (unsigned)i);
		edge("v2", i, event.id, event.timestamp_ns);
	}
	close(request.fd);
}

int main(int count, char **arguments)
{
	CHECK(count == 5);
	chip = open(arguments[1], O_RDWR);
	CHECK(chip >= 0);
	input = atoi(arguments[2]);
	outs[0] = atoi(arguments[3]);
	outs[1] = atoi(arguments[4]);
	struct gpiochip_info info;
	CHECK(!ioctl(chip, GPIO_GET_CHIPINFO_IOCTL, &info) && info.lines >= 8);
	first();
	second();
	edges();
	close(chip);
	return 0;
}
