/* Publishes what is in a file without having it in memory: `files sendfile|splice PORT`. Eight messages to files/WAY, of 100 to
 * 12800 bytes, in one file of packets. */
#define _GNU_SOURCE
#include "check.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

static unsigned char packets[64 << 10];

/* A text with its length before it, MQTT 3.1.1, 1.5.3. */
static int text(unsigned char *to, const char *text) {
	int length = strlen(text);
	to[0] = length >> 8;
	to[1] = length;
	memcpy(to + 2, text, length);
	return 2 + length;
}

int main(int count, char **arguments) {
	CHECK(count == 3);
	int is_splice = strcmp(arguments[1], "splice") == 0;
	int broker = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(arguments[2])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	CHECK(connect(broker, (struct sockaddr *)&to, sizeof to) == 0);
	char topic[40];
	snprintf(topic, sizeof topic, "files/%s", arguments[1]);
	unsigned char connecting[64] = "\x10\0\0\4MQTT\4\2\0\74", answer[4];
	connecting[1] = 10 + text(connecting + 12, arguments[1]);
	CHECK(write(broker, connecting, 2 + connecting[1]) == 2 + connecting[1]);
	CHECK(read(broker, answer, 4) == 4 && answer[0] == 0x20);
	int length = 0;
	for (int size = 100; size <= 12800; size *= 2) {
		packets[length++] = 0x30;
		/* The length of what follows, seven bits a byte. */
		for (int left = 2 + strlen(topic) + size; left > 0; left >>= 7)
			packets[length++] = (left & 127) | (left > 127 ? 128 : 0);
		length += text(packets + length, topic);
		memset(packets + length, 'a', size);
		length += size;
	}
	int file = open("/tmp/packets", O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(write(file, packets, length) == length);
	CHECK(lseek(file, 0, SEEK_SET) == 0);
	int ends[2];
	CHECK(pipe(ends) == 0);
	for (int left = length; left > 0;) {
		int moved;
		if (is_splice) {
			moved = splice(file, NULL, ends[1], NULL, left < 8192 ? left : 8192, 0);
			CHECK(moved > 0 && splice(ends[0], NULL, broker, NULL, moved, 0) == moved);
		} else {
			moved = sendfile(broker, file, NULL, left);
			CHECK(moved > 0);
		}
		left -= moved;
	}
	CHECK(write(broker, "\340\0", 2) == 2);
	/* It has read everything when it ends the connection. */
	CHECK(read(broker, answer, 1) == 0);
	return 0;
}
