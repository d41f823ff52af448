/* ask NODE REQUEST…: a program that commands an instrument on a serial line: raw mode at 115200 baud, modem lines, then a line
 * for each request, and for those with a `?` it waits for the line that answers, and says it. A setting of RS-485 is refused by
 * drivers for lines that are none. `cut:REQUEST` is one that has to be cut off by a hang-up, after which nothing can be
 * written; it says `waiting` before. */
#include "check.h"
#include <asm/termbits.h>
#include <fcntl.h>
#include <linux/serial.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char CUT[] = "cut:";

static void request(int line, const char *text)
{
	char bytes[64];
	int length = snprintf(bytes, sizeof bytes, "%s\n", text);
	CHECK(write(line, bytes, length) == length);
}

int main(int count, char **arguments)
{
	CHECK(count >= 3);
	int line = open(arguments[1], O_RDWR | O_NOCTTY), lines = TIOCM_DTR | TIOCM_RTS;
	CHECK(line >= 0);
	struct termios mode;
	struct serial_rs485 rs485 = {.flags = SER_RS485_ENABLED};
	CHECK(!ioctl(line, TCGETS, &mode));
	mode.c_iflag = mode.c_oflag = mode.c_lflag = 0;
	mode.c_cflag = CS8 | CREAD | CLOCAL | B115200;
	mode.c_cc[VMIN] = 1;
	mode.c_cc[VTIME] = 0;
	CHECK(!ioctl(line, TCSETS, &mode));
	CHECK(!ioctl(line, TIOCMBIS, &lines) && !ioctl(line, TIOCMGET, &lines) && lines & TIOCM_DTR);
	REFUSED(ioctl(line, TIOCSRS485, &rs485), ENOTTY);
	CHECK(!ioctl(line, TCFLSH, TCIOFLUSH));

	for (int at = 2; at < count; at++) {
		const char *text = arguments[at];
		if (!strncmp(text, CUT, strlen(CUT))) {
			char byte;
			request(line, text + strlen(CUT));
			CHECK(write(1, "waiting\n", 8) == 8);
			ssize_t got = read(line, &byte, 1);
			CHECK(got == 0 || (got == -1 && errno == EIO));
			REFUSED(write(line, "X\n", 2), EIO);
			close(line);
			return 0;
		}
		request(line, text);
		if (!strchr(text, '?'))
			continue;
		for (char byte = 0; byte != '\n';) {
			CHECK(read(line, &byte, 1) == 1);
			CHECK(write(1, &byte, 1) == 1);
		}
	}
	close(line);
	return 0;
}
