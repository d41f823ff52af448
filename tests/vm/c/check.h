/* What the guests' programs share: a condition that has to hold, or the program says so and ends. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                            \
	do {                                                                                        \
		if (!(condition)) {                                                                 \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition,          \
				strerror(errno));                                                   \
			exit(1);                                                                    \
		}                                                                                   \
	} while (0)

/* A call that has to be refused, and how. */
#define REFUSED(call, error) CHECK((call) == -1 && errno == (error))
