/* A file system that has nothing in it: `fuse DEVICE FOLDER` mounts it, looks for a file, and takes it away again. */
#include "check.h"
#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char request[FUSE_MIN_READ_BUFFER * 2];

static void answer(int fd, int error, const void *body, size_t size)
{
	const struct fuse_in_header *asked = (const void *)request;
	char out[256];
	struct fuse_out_header header = {.len = sizeof header + size, .error = error, .unique = asked->unique};
	memcpy(out, &header, sizeof header);
	memcpy(out + sizeof header, body, size);
	CHECK(write(fd, out, header.len) == (ssize_t)header.len);
}

/* Asks for what is not there, and ends the mount. */
static void look(const char *folder)
{
	char path[256];
	struct stat about;
	snprintf(path, sizeof path, "%s/absent", folder);
	REFUSED(stat(path, &about), ENOENT);
	CHECK(!umount(folder));
	_exit(0);
}

int main(int count, char **arguments)
{
	CHECK(count == 3);
	int fd = open(arguments[1], O_RDWR);
	CHECK(fd >= 0);
	char options[128];
	snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	CHECK(!mount("iotrail", arguments[2], "fuse", 0, options));

	/* Requests have to fit. */
	REFUSED(read(fd, request, 16), EINVAL);
	const struct fuse_in_header *asked = (const void *)request;
	CHECK(read(fd, request, sizeof request) > 0 && asked->opcode == FUSE_INIT);
	struct fuse_init_out init = {.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096};
	answer(fd, 0, &init, sizeof init);
	/* Nobody has asked that. */
	struct fuse_out_header nothing = {.len = sizeof nothing, .unique = 1 << 20};
	REFUSED(write(fd, &nothing, sizeof nothing), ENOENT);

	pid_t child = fork();
	CHECK(child >= 0);
	if (!child)
		look(arguments[2]);
	int status, lookups = 0;
	while (read(fd, request, sizeof request) > 0) {
		lookups += asked->opcode == FUSE_LOOKUP;
		answer(fd, asked->opcode == FUSE_LOOKUP ? -ENOENT : -ENOSYS, NULL, 0);
	}
	CHECK(errno == ENODEV && lookups == 1);
	CHECK(wait(&status) == child && status == 0);
	return 0;
}
