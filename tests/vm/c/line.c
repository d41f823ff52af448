/* line: a program that commands an instrument on a serial line, and the instrument: one process at each end of a
 * pseudo-terminal, the first one there is. Ordinary calls only; what they were and what came back is checked here, so that what iotrail says of them
 * can be held against it.
 *
 * The commands: TCGETS, TCSETS, TIOCMGET (which a pseudo-terminal refuses), three questions with their answers, one setting
 * that nobody waits on, one question that is never answered. */
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <asm/termbits.h>
#include <sys/wait.h>
#include <unistd.h>

/* Answers each line that ends with `?` and a number by that number. */
static void instrument(int far)
{
	char request[64], reply[80];
	size_t have = 0;
	for (;;) {
		if (read(far, request + have, 1) != 1)
			_exit(0);
		if (request[have] != '\n') {
			if (++have == sizeof request)
				_exit(1);
			continue;
		}
		request[have] = 0;
		have = 0;
		char *number = strchr(request, '?');
		if (!number || !number[1])
			continue;
		int length = snprintf(reply, sizeof reply, "VOLT %s\r\n", number + 2);
		if (write(far, reply, length) != length)
			_exit(1);
	}
}

static void ask(int line, const char *question, const char *expected)
{
	char reply[64];
	size_t have = 0;
	ssize_t length = strlen(question);
	CHECK(write(line, question, length) == length);
	for (;;) {
		CHECK(read(line, reply + have, 1) == 1);
		if (reply[have] == '\n')
			break;
		CHECK(++have < sizeof reply);
	}
	reply[have + 1] = 0;
	CHECK(!strcmp(reply, expected));
}

int main(void)
{
	int far = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC), unlock = 0;
	unsigned number;
	CHECK(far >= 0 && !ioctl(far, TIOCSPTLCK, &unlock) && !ioctl(far, TIOCGPTN, &number));
	char path[32];
	snprintf(path, sizeof path, "/dev/pts/%u", number);
	int line = open(path, O_RDWR | O_NOCTTY);
	CHECK(line >= 0);

	struct termios mode;
	CHECK(!ioctl(line, TCGETS, &mode));
	mode.c_iflag = 0;
	mode.c_oflag = 0;
	mode.c_lflag = 0;
	mode.c_cc[VMIN] = 1;
	mode.c_cc[VTIME] = 0;
	CHECK(!ioctl(line, TCSETS, &mode));
	int lines;
	REFUSED(ioctl(line, TIOCMGET, &lines), ENOTTY);

	pid_t child = fork();
	CHECK(child >= 0);
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(line);
		instrument(far);
	}
	close(far);
	ask(line, "MEAS:VOLT? 1\n", "VOLT 1\r\n");
	ask(line, "MEAS:VOLT? 2\n", "VOLT 2\r\n");
	ask(line, "MEAS:VOLT? 3\n", "VOLT 3\r\n");
	CHECK(write(line, "OUTP ON\n", 8) == 8);
	CHECK(write(line, "SYST:ERR?\n", 10) == 10);
	struct pollfd answer = {line, POLLIN, 0};
	CHECK(poll(&answer, 1, 1500) == 0);
	close(line);
	kill(child, SIGTERM);
	CHECK(waitpid(child, NULL, 0) == child);
	return 0;
}
