/* Rings of a virtual network card, and the number of a virtual socket: `vhost NET-DEVICE VSOCK-DEVICE`. */
#include "check.h"
#include <fcntl.h>
#include <linux/vhost.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(int count, char **arguments)
{
	CHECK(count == 3);
	int net = open(arguments[1], O_RDWR);
	CHECK(net >= 0);
	__u64 features;
	struct vhost_vring_state ring = {.index = 1, .num = 256};
	struct vhost_vring_file kick = {.index = 1, .fd = eventfd(0, 0)};
	struct vhost_memory memory = {0};
	CHECK(!ioctl(net, VHOST_GET_FEATURES, &features));
	/* It is nobody's yet. */
	REFUSED(ioctl(net, VHOST_SET_VRING_NUM, &ring), EPERM);
	CHECK(!ioctl(net, VHOST_SET_OWNER, 0));
	REFUSED(ioctl(net, VHOST_SET_OWNER, 0), EBUSY);
	CHECK(!ioctl(net, VHOST_SET_FEATURES, &features));
	CHECK(!ioctl(net, VHOST_SET_MEM_TABLE, &memory));
	CHECK(!ioctl(net, VHOST_SET_VRING_NUM, &ring));
	ring.num = 255;
	REFUSED(ioctl(net, VHOST_SET_VRING_NUM, &ring), EINVAL);
	ring.num = 7;
	CHECK(!ioctl(net, VHOST_SET_VRING_BASE, &ring));
	ring.num = 0;
	CHECK(!ioctl(net, VHOST_GET_VRING_BASE, &ring) && ring.num == 7);
	CHECK(!ioctl(net, VHOST_SET_VRING_KICK, &kick));
	CHECK(!ioctl(net, VHOST_RESET_OWNER, 0));

	int vsock = open(arguments[2], O_RDWR);
	CHECK(vsock >= 0);
	__u64 own = 42, reserved = 2;
	CHECK(!ioctl(vsock, VHOST_VSOCK_SET_GUEST_CID, &own));
	REFUSED(ioctl(vsock, VHOST_VSOCK_SET_GUEST_CID, &reserved), EINVAL);
	return 0;
}
