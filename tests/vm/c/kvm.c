/* A virtual machine with one processor: `kvm DEVICE`. */
#include "check.h"
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int count, char **arguments)
{
	CHECK(count == 2);
	int kvm = open(arguments[1], O_RDWR);
	CHECK(kvm >= 0);
	CHECK(ioctl(kvm, KVM_GET_API_VERSION, 0) == 12);
	CHECK(ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_USER_MEMORY) == 1);
	int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	CHECK(size > 0);
	int machine = ioctl(kvm, KVM_CREATE_VM, 0);
	CHECK(machine >= 0);

	unsigned char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(memory != MAP_FAILED);
	struct kvm_userspace_memory_region region = {
		.slot = 0, .guest_phys_addr = 0x1000, .memory_size = 4096, .userspace_addr = (unsigned long)memory,
	};
	CHECK(!ioctl(machine, KVM_SET_USER_MEMORY_REGION, &region));
	/* Half a page. */
	region.slot = 1;
	region.memory_size = 2048;
	REFUSED(ioctl(machine, KVM_SET_USER_MEMORY_REGION, &region), EINVAL);

	int processor = ioctl(machine, KVM_CREATE_VCPU, 0);
	CHECK(processor >= 0);
	REFUSED(ioctl(machine, KVM_CREATE_VCPU, 0), EEXIST);
#ifdef __x86_64__
	/* One instruction, `hlt`, in real mode. */
	struct kvm_run *run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, processor, 0);
	CHECK(run != MAP_FAILED);
	memory[0] = 0xf4;
	struct kvm_sregs special;
	CHECK(!ioctl(processor, KVM_GET_SREGS, &special));
	special.cs.base = special.cs.selector = 0;
	CHECK(!ioctl(processor, KVM_SET_SREGS, &special));
	struct kvm_regs registers = {.rip = 0x1000, .rflags = 2};
	CHECK(!ioctl(processor, KVM_SET_REGS, &registers));
	CHECK(!ioctl(processor, KVM_RUN, 0) && run->exit_reason == KVM_EXIT_HLT);
#else
	/* It was never initialised. */
	REFUSED(ioctl(processor, KVM_RUN, 0), ENOEXEC);
#endif
	return 0;
}
