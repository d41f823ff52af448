// A client on BoringSSL: PORT NAME COUNT. Subscribes to tls/NAME, publishes NAME-0, NAME-1, … to it, and waits for each. If
// COUNT is 0 it connects and says nothing.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static SSL *tls;

static void check(int good, const char *what) {
    if (!good) {
        fprintf(stderr, "%s\n", what);
        exit(1);
    }
}

static void take(void *to, int length) {
    for (char *at = to; length > 0;) {
        int got = SSL_read(tls, at, length);
        check(got > 0, "SSL_read");
        at += got;
        length -= got;
    }
}

// A packet of this kind is next.
static void await(int kind) {
    unsigned char head[2], body[255];
    take(head, 2);
    take(body, head[1]);
    check(head[0] >> 4 == kind, "another packet was expected");
}

static void packet(int first, const char *fixed, int length, const char *name, const char *more) {
    unsigned char bytes[255] = {first};
    int at = 2;
    memcpy(bytes + at, fixed, length);
    at += length;
    bytes[at++] = 0;
    bytes[at++] = strlen(name);
    at += sprintf((char *)bytes + at, "%s%s", name, more);
    if (first == 0x82)
        bytes[at++] = 0;
    bytes[1] = at - 2;
    check(SSL_write(tls, bytes, at) == at, "SSL_write");
}

int main(int count, char **arguments) {
    check(count > 3, "PORT NAME COUNT");
    char *name = arguments[2], topic[80], body[80];
    snprintf(topic, sizeof topic, "tls/%s", name);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(arguments[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    check(connect(fd, (struct sockaddr *)&to, sizeof to) == 0, "connect");
    if (atoi(arguments[3]) == 0)
        pause();
    tls = SSL_new(SSL_CTX_new(TLS_method()));
    SSL_set_fd(tls, fd);
    check(SSL_connect(tls) == 1, "SSL_connect");
    packet(0x10, "\0\4MQTT\4\2\0\74", 10, name, "");
    await(2);
    packet(0x82, "\0\1", 2, topic, "");
    await(9);
    for (int number = 0; number < atoi(arguments[3]); number++) {
        snprintf(body, sizeof body, "%s-%d", name, number);
        packet(0x30, "", 0, topic, body);
        await(3);
    }
    check(SSL_write(tls, "\340\0", 2) == 2, "SSL_write");
    SSL_shutdown(tls);
    return 0;
}
