/* Does nothing: a process to be there. As a 32-bit one it lets iotrail find, when it starts, that there are such. */
#include <unistd.h>

int main(void)
{
	return pause();
}
