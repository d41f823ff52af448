/* sslex LIBRARY PORT COUNT: a client of MQTT over TLS on the functions of OpenSSL that Python uses, which tell the number of bytes
 * by a pointer. Subscribes to tls/ex, publishes ex-0, ex-1, … to it, and waits for each. What is called is declared here: the
 * library is the guest's. */
#include "check.h"
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <sys/socket.h>

static int (*read_ex)(void *, void *, size_t, size_t *), (*write_ex)(void *, const void *, size_t, size_t *);
static void *tls;

static void take(unsigned char *to, size_t length)
{
	for (size_t got; length > 0; to += got, length -= got)
		CHECK(read_ex(tls, to, length, &got) == 1);
}

/* A packet of this kind is next. */
static void await(int kind)
{
	unsigned char head[2], body[255];
	take(head, 2);
	take(body, head[1]);
	CHECK(head[0] >> 4 == kind);
}

/* A packet: what comes first, a text with its length before it, and what is behind that. */
static void packet(int first, const char *before, int length, const char *text, const char *behind, int more)
{
	unsigned char bytes[255] = {first, length + 2 + strlen(text) + more};
	size_t wrote, at = 2;
	memcpy(bytes + at, before, length);
	at += length + 1;
	bytes[at++] = strlen(text);
	memcpy(bytes + at, text, strlen(text));
	at += strlen(text);
	memcpy(bytes + at, behind, more);
	CHECK(write_ex(tls, bytes, at + more, &wrote) == 1 && wrote == at + more);
}

int main(int count, char **arguments)
{
	CHECK(count == 4);
	void *library = dlopen(arguments[1], RTLD_NOW);
	if (!library) {
		fprintf(stderr, "%s\n", dlerror());
		return 1;
	}
#define FUNCTION(result, name, ...)                                                                 \
	result (*ssl_##name)(__VA_ARGS__) = (result (*)(__VA_ARGS__))dlsym(library, "SSL_" #name);  \
	CHECK(ssl_##name)
	FUNCTION(void *, CTX_new, const void *);
	FUNCTION(void *, new, void *);
	FUNCTION(int, set_fd, void *, int);
	FUNCTION(int, connect, void *);
	FUNCTION(int, shutdown, void *);
	const void *(*method)(void) = (const void *(*)(void))dlsym(library, "TLS_client_method");
	read_ex = (int (*)(void *, void *, size_t, size_t *))dlsym(library, "SSL_read_ex");
	write_ex = (int (*)(void *, const void *, size_t, size_t *))dlsym(library, "SSL_write_ex");
	CHECK(method && read_ex && write_ex);

	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(atoi(arguments[2])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	CHECK(connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
	tls = ssl_new(ssl_CTX_new(method()));
	CHECK(ssl_set_fd(tls, fd) == 1 && ssl_connect(tls) == 1);
	packet(0x10, "\0\4MQTT\4\2\0\74", 10, "ex", "", 0);
	await(2);
	packet(0x82, "\0\1", 2, "tls/ex", "", 1);
	await(9);
	for (int number = 0; number < atoi(arguments[3]); number++) {
		char body[16];
		packet(0x30, "", 0, "tls/ex", body, sprintf(body, "ex-%d", number));
		await(3);
	}
	size_t wrote;
	CHECK(write_ex(tls, "\340\0", 2, &wrote) == 1 && wrote == 2);
	ssl_shutdown(tls);
	return 0;
}
