/* A picture on a screen, and a turn to another one: `dri DEVICE`. libdrm is not everywhere: what is needed of
   include/uapi/drm/drm.h and drm_mode.h is here. */
#include "check.h"
#include <fcntl.h>
#include <linux/types.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DRM(number, type) _IOWR('d', number, type)

struct version {
	int major, minor, patch;
	__kernel_size_t name_len;
	char *name;
	__kernel_size_t date_len;
	char *date;
	__kernel_size_t desc_len;
	char *desc;
};

struct capability { __u64 capability, value; };
struct number { __u32 handle, pad; };
struct event { __u32 type, length; };

struct mode {
	__u32 clock;
	__u16 hdisplay, hsync_start, hsync_end, htotal, hskew;
	__u16 vdisplay, vsync_start, vsync_end, vtotal, vscan;
	__u32 vrefresh, flags, type;
	char name[32];
};

struct resources {
	__u64 framebuffers, crtcs, connectors, encoders;
	__u32 count_fbs, count_crtcs, count_connectors, count_encoders;
	__u32 min_width, max_width, min_height, max_height;
};

struct connector {
	__u64 encoders, modes, props, prop_values;
	__u32 count_modes, count_props, count_encoders;
	__u32 encoder, connector, type, type_id, connection, mm_width, mm_height, subpixel, pad;
};

struct dumb { __u32 height, width, bpp, flags, handle, pitch; __u64 size; };
struct framebuffer { __u32 id, width, height, pitch, bpp, depth, handle; };

struct crtc {
	__u64 connectors;
	__u32 count_connectors, crtc, framebuffer, x, y, gamma_size, mode_valid;
	struct mode mode;
};

struct flip { __u32 crtc, framebuffer, flags, reserved; __u64 user_data; };

/* A buffer of the size of the screen, as something that can be shown. */
static unsigned picture(int fd, const struct mode *mode)
{
	struct dumb dumb = {.width = mode->hdisplay, .height = mode->vdisplay, .bpp = 32};
	CHECK(!ioctl(fd, DRM(0xb2, struct dumb), &dumb));
	struct framebuffer framebuffer = {
		.width = dumb.width, .height = dumb.height, .pitch = dumb.pitch, .bpp = 32, .depth = 24, .handle = dumb.handle,
	};
	CHECK(!ioctl(fd, DRM(0xae, struct framebuffer), &framebuffer));
	return framebuffer.id;
}

int main(int count, char **arguments)
{
	CHECK(count == 2);
	int fd = open(arguments[1], O_RDWR);
	CHECK(fd >= 0);
	char name[32] = "";
	struct version version = {.name = name, .name_len = sizeof name - 1};
	CHECK(!ioctl(fd, DRM(0x00, struct version), &version));
	struct capability dumb = {.capability = 1}, unknown = {.capability = 0x7777};
	CHECK(!ioctl(fd, DRM(0x0c, struct capability), &dumb) && dumb.value == 1);
	REFUSED(ioctl(fd, DRM(0x0c, struct capability), &unknown), EINVAL);

	__u32 crtcs[8], connectors[8];
	struct resources all = {
		.crtcs = (__u64)(unsigned long)crtcs, .count_crtcs = 8,
		.connectors = (__u64)(unsigned long)connectors, .count_connectors = 8,
	};
	CHECK(!ioctl(fd, DRM(0xa0, struct resources), &all) && all.count_crtcs == 1 && all.count_connectors == 1);
	static struct mode modes[128];
	struct connector connector = {.connector = connectors[0]};
	CHECK(!ioctl(fd, DRM(0xa7, struct connector), &connector));
	CHECK(connector.count_modes > 0 && connector.count_modes <= 128);
	connector.modes = (__u64)(unsigned long)modes;
	connector.count_props = connector.count_encoders = 0;
	CHECK(!ioctl(fd, DRM(0xa7, struct connector), &connector));

	/* For the table: what is shown, and where. */
	printf("driver=%s\ncrtc=%u\nconnector=%u\nwidth=%u\nheight=%u\n", name, crtcs[0], connectors[0],
	       modes[0].hdisplay, modes[0].vdisplay);
	unsigned first = picture(fd, modes), second = picture(fd, modes);
	struct crtc crtc = {
		.connectors = (__u64)(unsigned long)connectors, .count_connectors = 1, .crtc = crtcs[0],
		.framebuffer = first, .mode_valid = 1, .mode = modes[0],
	};
	CHECK(!ioctl(fd, DRM(0xa2, struct crtc), &crtc));
	/* When it is done, an event says so. */
	struct flip flip = {.crtc = crtcs[0], .framebuffer = second, .flags = 1, .user_data = 77};
	CHECK(!ioctl(fd, DRM(0xb0, struct flip), &flip));
	char events[1024];
	const struct event *event = (const void *)events;
	CHECK(read(fd, events, sizeof events) == 32 && event->type == 2);
	struct number nothing = {.handle = 999};
	REFUSED(ioctl(fd, _IOW('d', 0x09, struct number), &nothing), EINVAL);
	return 0;
}
