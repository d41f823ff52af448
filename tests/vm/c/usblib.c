/* usblib: the rig `usb`'s gadget through libusb, which makes URBs of everything and gives them up itself when their time is up.
 * What is called is declared here: the library is the guest's, its headers need not be where this is compiled. */
#include "check.h"
#include <dlfcn.h>
#include <stdint.h>

enum { VENDOR = 0x1d6b, PRODUCT = 0x0107, PIPE = -9, TIMEOUT = -7, LENGTH = 512, SHORT = 100 };

typedef struct libusb_context context;
typedef struct libusb_device_handle handle;

#define FUNCTION(result, name, ...)                                                                 \
	result (*name)(__VA_ARGS__) = (result (*)(__VA_ARGS__))dlsym(library, "libusb_" #name);     \
	CHECK(name)

int main(int count, char **arguments)
{
	CHECK(count == 5);
	/* The endpoints: of configuration 1 out and in, of configuration 2 the interrupt one. */
	int out = atoi(arguments[2]), in = atoi(arguments[3]), interrupt = atoi(arguments[4]);
	void *library = dlopen(arguments[1], RTLD_NOW);
	if (!library) {
		fprintf(stderr, "%s\n", dlerror());
		return 1;
	}
	FUNCTION(int, init, context **);
	FUNCTION(handle *, open_device_with_vid_pid, context *, uint16_t, uint16_t);
	FUNCTION(void, close, handle *);
	FUNCTION(int, set_configuration, handle *, int);
	FUNCTION(int, claim_interface, handle *, int);
	FUNCTION(int, release_interface, handle *, int);
	FUNCTION(int, set_interface_alt_setting, handle *, int, int);
	FUNCTION(int, clear_halt, handle *, unsigned char);
	FUNCTION(int, control_transfer, handle *, uint8_t, uint8_t, uint16_t, uint16_t, uint8_t *, uint16_t, unsigned);
	FUNCTION(int, bulk_transfer, handle *, unsigned char, uint8_t *, int, int *, unsigned);
	FUNCTION(int, interrupt_transfer, handle *, unsigned char, uint8_t *, int, int *, unsigned);

	context *all = NULL;
	CHECK(!init(&all));
	handle *device = open_device_with_vid_pid(all, VENDOR, PRODUCT);
	CHECK(device && !claim_interface(device, 0) && !set_interface_alt_setting(device, 0, 0));
	uint8_t data[LENGTH], given[4] = {0xde, 0xad, 0xbe, 0xef};
	int moved = 0;
	CHECK(control_transfer(device, 0x40, 0x5b, 0, 0, given, sizeof given, 1000) == sizeof given);
	CHECK(control_transfer(device, 0xc0, 0x5c, 0, 0, data, 4, 1000) == 4 && data[0] == 0xde);
	CHECK(control_transfer(device, 0xc0, 0x99, 0x1234, 0x5678, data, 1, 1000) == PIPE);
	for (int at = 0; at < LENGTH; at++)
		data[at] = at % 63;
	CHECK(!bulk_transfer(device, out, data, SHORT, &moved, 1000) && moved == SHORT);
	CHECK(!bulk_transfer(device, in, data, LENGTH, &moved, 1000) && moved == LENGTH && data[62] == 62);
	CHECK(!clear_halt(device, in));
	CHECK(!release_interface(device, 0) && !set_configuration(device, 2) && !claim_interface(device, 1));
	/* Nothing comes. */
	CHECK(interrupt_transfer(device, interrupt, data, 8, &moved, 50) == TIMEOUT);
	CHECK(!release_interface(device, 1) && !set_configuration(device, 1));
	close(device);
	return 0;
}
