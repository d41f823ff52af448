//! Virtual machines, `/dev/kvm`: `Documentation/virt/kvm/api.rst`, `include/uapi/linux/kvm.h`.
//!
//! Span rule: one command per call. `KVM_CREATE_VM`, `KVM_CREATE_VCPU` and `KVM_CREATE_DEVICE` make descriptors; calls
//! on those are commands of `/dev/kvm` too, those of a virtual processor with its number (`vcpu`). `KVM_RUN` lasts as
//! long as the guest ran without needing its program; why it came back lies in memory that both share and is not seen.
//! Registers and memory of guests are not shown.

mod capabilities;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::class::{Class, Context, Ioctl, Row, Session};
use super::fields::{As, Fields, by_value, choice, fields, hex, long, result};
use super::generic;
use super::ioc::{Args, Argument, Nested, io, ior, iow, iowr, no_args, u32_at};
use crate::model::command::{Command, Status};
use crate::model::time::Interval;
use tracer_common::recipe::{Condition, FD_IS_RESULT, Field, Recipe};

/// The class.
pub(crate) const CLASS: Class =
    Class { name: "kvm", ioctls: TABLE, session: || Box::new(Machines::default()) };

/// The driver's letter.
const KVM: u8 = 0xae;

const CREATE_VCPU: u32 = io(KVM, 0x41);

static TABLE: &[Row] = &[
    // On /dev/kvm.
    Row::new(io(KVM, 0x00), "KVM_GET_API_VERSION", |argument, args| result("version", argument, args)),
    Row::new(io(KVM, 0x01), "KVM_CREATE_VM", |argument, args| {
        by_value("type", argument, args);
        result("fd", argument, args);
    })
    .follow(&MADE),
    Row::new(io(KVM, 0x03), "KVM_CHECK_EXTENSION", |argument, args| {
        args.push(("capability", choice(argument.value, capabilities::NAMES)));
        result("result", argument, args);
    }),
    Row::new(io(KVM, 0x04), "KVM_GET_VCPU_MMAP_SIZE", |argument, args| result("bytes", argument, args)),
    Row::new(iowr(KVM, 0x05, 8), "KVM_GET_SUPPORTED_CPUID", |argument, args| {
        after(argument, &[("entries", 0, As::Number)], args);
    }),
    Row::new(iowr(KVM, 0x02, 4), "KVM_GET_MSR_INDEX_LIST", |argument, args| {
        after(argument, &[("entries", 0, As::Number)], args);
    }),
    // On virtual machines.
    Row::new(CREATE_VCPU, "KVM_CREATE_VCPU", |argument, args| {
        by_value("vcpu", argument, args);
        result("fd", argument, args);
    })
    .follow(&MADE),
    Row::new(iow(KVM, 0x46, 32), "KVM_SET_USER_MEMORY_REGION", |argument, args| {
        const REGION: Fields<'_> = &[
            ("slot", 0, As::Number),
            ("flags", 4, As::Hex),
            ("guest_address", 8, As::LongHex),
            ("bytes", 16, As::Long),
            ("address", 24, As::LongHex),
        ];
        fields(argument.given, REGION, args);
    }),
    Row::new(iow(KVM, 0x42, 16), "KVM_GET_DIRTY_LOG", slot),
    Row::new(iowr(KVM, 0xc0, 24), "KVM_CLEAR_DIRTY_LOG", |argument, args| {
        slot(argument, args);
        fields(argument.given, &[("pages", 4, As::Number), ("first_page", 8, As::Long)], args);
    }),
    Row::new(io(KVM, 0x44), "KVM_SET_NR_MMU_PAGES", |argument, args| by_value("pages", argument, args)),
    Row::new(io(KVM, 0x47), "KVM_SET_TSS_ADDR", |argument, args| args.push(("address", hex(argument.value)))),
    Row::new(iow(KVM, 0x48, 8), "KVM_SET_IDENTITY_MAP_ADDR", |argument, args| {
        fields(argument.given, &[("address", 0, As::LongHex)], args);
    }),
    Row::new(io(KVM, 0x60), "KVM_CREATE_IRQCHIP", no_args),
    Row::new(iow(KVM, 0x61, 8), "KVM_IRQ_LINE", |argument, args| fields(argument.given, LEVEL, args)),
    Row::new(iowr(KVM, 0x67, 8), "KVM_IRQ_LINE_STATUS", |argument, args| {
        fields(argument.given, LEVEL, args);
        fields(argument.answered, &[("status", 0, As::Int)], args);
    }),
    Row::new(iow(KVM, 0x67, 16), "KVM_REGISTER_COALESCED_MMIO", |argument, args| {
        fields(argument.given, ZONE, args);
    }),
    Row::new(iow(KVM, 0x68, 16), "KVM_UNREGISTER_COALESCED_MMIO", |argument, args| {
        fields(argument.given, ZONE, args);
    }),
    // A list follows, which is not copied.
    Row::new(iow(KVM, 0x6a, 8), "KVM_SET_GSI_ROUTING", |argument, args| {
        fields(argument.given, &[("entries", 0, As::Number)], args);
    }),
    Row::new(iow(KVM, 0x76, 32), "KVM_IRQFD", |argument, args| {
        const IRQFD: Fields<'_> =
            &[("fd", 0, As::Int), ("gsi", 4, As::Number), ("flags", 8, As::Hex), ("resamplefd", 12, As::Int)];
        fields(argument.given, IRQFD, args);
    }),
    Row::new(iow(KVM, 0x77, 64), "KVM_CREATE_PIT2", |argument, args| {
        fields(argument.given, &[("flags", 0, As::Hex)], args);
    }),
    Row::new(io(KVM, 0x78), "KVM_SET_BOOT_CPU_ID", |argument, args| by_value("vcpu", argument, args)),
    Row::new(iow(KVM, 0x79, 64), "KVM_IOEVENTFD", |argument, args| {
        const IOEVENTFD: Fields<'_> = &[
            ("datamatch", 0, As::LongHex),
            ("guest_address", 8, As::LongHex),
            ("bytes", 16, As::Number),
            ("fd", 20, As::Int),
            ("flags", 24, As::Hex),
        ];
        fields(argument.given, IOEVENTFD, args);
    }),
    Row::new(iow(KVM, 0x7b, 48), "KVM_SET_CLOCK", |argument, args| fields(argument.given, CLOCK, args)),
    Row::new(ior(KVM, 0x7c, 48), "KVM_GET_CLOCK", |argument, args| fields(argument.answered, CLOCK, args)),
    Row::new(io(KVM, 0xa2), "KVM_SET_TSC_KHZ", |argument, args| by_value("khz", argument, args)),
    Row::new(io(KVM, 0xa3), "KVM_GET_TSC_KHZ", |argument, args| result("khz", argument, args)),
    Row::new(iow(KVM, 0xa5, 32), "KVM_SIGNAL_MSI", |argument, args| {
        const MSI: Fields<'_> =
            &[("address_low", 0, As::Hex), ("address_high", 4, As::Hex), ("data", 8, As::Hex)];
        fields(argument.given, MSI, args);
        result("delivered", argument, args);
    }),
    Row::new(iow(KVM, 0xa3, 104), "KVM_ENABLE_CAP", |argument, args| {
        let capability = u32_at(argument.given, 0).map(|number| choice(number.into(), capabilities::NAMES));
        args.extend(capability.map(|name| ("capability", name)));
        fields(argument.given, &[("flags", 4, As::Hex), ("argument", 8, As::LongHex)], args);
    }),
    Row::new(iowr(KVM, 0xe0, 12), "KVM_CREATE_DEVICE", create_device).follow(&MADE_UNLESS_TEST),
    Row::new(iow(KVM, 0xe1, 24), "KVM_SET_DEVICE_ATTR", |argument, args| {
        fields(argument.given, ATTRIBUTE, args);
    }),
    Row::new(iow(KVM, 0xe2, 24), "KVM_GET_DEVICE_ATTR", |argument, args| {
        fields(argument.given, ATTRIBUTE, args);
    }),
    Row::new(iow(KVM, 0xe3, 24), "KVM_HAS_DEVICE_ATTR", |argument, args| {
        fields(argument.given, ATTRIBUTE, args);
    }),
    Row::new(io(KVM, 0xce), "KVM_GET_STATS_FD", |argument, args| result("fd", argument, args)),
    // On virtual processors.
    Row::new(io(KVM, 0x80), "KVM_RUN", no_args),
    Row::new(iow(KVM, 0x86, 4), "KVM_INTERRUPT", |argument, args| {
        fields(argument.given, &[("irq", 0, As::Number)], args);
    }),
    Row::new(io(KVM, 0x9a), "KVM_NMI", no_args),
    Row::new(iowr(KVM, 0x88, 8), "KVM_GET_MSRS", |argument, args| {
        fields(argument.given, &[("entries", 0, As::Number)], args);
        result("read", argument, args);
    }),
    Row::new(iow(KVM, 0x89, 8), "KVM_SET_MSRS", |argument, args| {
        fields(argument.given, &[("entries", 0, As::Number)], args);
        result("written", argument, args);
    }),
    Row::new(iow(KVM, 0x90, 8), "KVM_SET_CPUID2", |argument, args| {
        fields(argument.given, &[("entries", 0, As::Number)], args);
    }),
    Row::new(iowr(KVM, 0x85, 24), "KVM_TRANSLATE", |argument, args| {
        fields(argument.given, &[("linear_address", 0, As::LongHex)], args);
        fields(argument.answered, &[("physical_address", 8, As::LongHex), ("valid", 16, As::Byte)], args);
    }),
    Row::new(ior(KVM, 0x98, 4), "KVM_GET_MP_STATE", |argument, args| mp_state(argument.answered, args)),
    Row::new(iow(KVM, 0x99, 4), "KVM_SET_MP_STATE", |argument, args| mp_state(argument.given, args)),
    Row::new(iow(KVM, 0xab, 16), "KVM_GET_ONE_REG", |argument, args| {
        fields(argument.given, &[("register", 0, As::LongHex)], args);
    }),
    Row::new(iow(KVM, 0xac, 16), "KVM_SET_ONE_REG", |argument, args| {
        fields(argument.given, &[("register", 0, As::LongHex)], args);
    }),
];

/// What is returned is a descriptor.
static MADE: Nested = Nested {
    native: Recipe::PLAIN.new_fd(FD_IS_RESULT),
    compat: Recipe::PLAIN.new_fd(FD_IS_RESULT),
    alternative: None,
};

/// `KVM_CREATE_DEVICE_TEST`: the descriptor is not made.
const TEST: u32 = 1;

/// `struct kvm_create_device`: type, descriptor, flags.
const DEVICE: Recipe = Recipe::PLAIN.only(Condition::none(Field::u32(8), TEST)).new_fd(4);

static MADE_UNLESS_TEST: Nested =
    Nested { native: DEVICE, compat: DEVICE, alternative: Some((Recipe::PLAIN, Recipe::PLAIN)) };

/// `struct kvm_irq_level`.
const LEVEL: Fields<'_> = &[("irq", 0, As::Hex), ("level", 4, As::Number)];
/// `struct kvm_coalesced_mmio_zone`.
const ZONE: Fields<'_> =
    &[("guest_address", 0, As::LongHex), ("bytes", 8, As::Number), ("pio", 12, As::Number)];
/// `struct kvm_clock_data`.
const CLOCK: Fields<'_> = &[("clock_ns", 0, As::Long), ("flags", 8, As::Hex)];
/// `struct kvm_device_attr`.
const ATTRIBUTE: Fields<'_> =
    &[("flags", 0, As::Hex), ("group", 4, As::Number), ("attribute", 8, As::LongHex)];

/// Of what the driver changed the new value, else the program's.
fn after(argument: &Argument<'_>, of: Fields<'_>, args: &mut Args) {
    fields(if argument.answered.is_empty() { argument.given } else { argument.answered }, of, args);
}

fn slot(argument: &Argument<'_>, args: &mut Args) {
    fields(argument.given, &[("slot", 0, As::Number)], args);
}

fn mp_state(state: &[u8], args: &mut Args) {
    const STATES: &[&str] = &[
        "RUNNABLE",
        "UNINITIALIZED",
        "INIT_RECEIVED",
        "HALTED",
        "SIPI_RECEIVED",
        "STOPPED",
        "CHECK_STOP",
        "OPERATING",
        "LOAD",
        "AP_RESET_HOLD",
        "SUSPENDED",
    ];
    args.extend(u32_at(state, 0).map(|state| ("state", choice(state.into(), STATES))));
}

fn create_device(argument: &Argument<'_>, args: &mut Args) {
    const TYPES: &[&str] = &[
        "",
        "FSL_MPIC_20",
        "FSL_MPIC_42",
        "XICS",
        "VFIO",
        "ARM_VGIC_V2",
        "FLIC",
        "ARM_VGIC_V3",
        "ARM_VGIC_ITS",
        "XIVE",
        "ARM_PV_TIME",
    ];
    args.extend(u32_at(argument.given, 0).map(|kind| ("type", choice(kind.into(), TYPES))));
    fields(argument.given, &[("flags", 8, As::Hex)], args);
    if u32_at(argument.given, 8).is_some_and(|flags| flags & TEST == 0) {
        fields(argument.answered, &[("fd", 4, As::Int)], args);
    }
}

/// Virtual processors of one process that are told apart, of all its machines: more than any host runs.
const PROCESSORS: usize = 1024;

/// Which virtual processor each descriptor is.
#[derive(Default)]
struct Machines {
    processors: BTreeMap<i32, u64>,
}

/// Says what the errno of a run means.
fn refusal(command: &mut Command) {
    let Status::Error { kind, message } = &mut command.status else { return };
    let meaning = match &**kind {
        "EINTR" => "a signal called the program back",
        "ENOEXEC" => "the processor was not initialised",
        "EFAULT" => "the guest touched memory that it does not have",
        _ => return,
    };
    meaning.clone_into(message);
}

impl Session for Machines {
    fn ioctl(&mut self, call: &Ioctl<'_>, row: Option<&'static Row>, context: &mut Context<'_>) {
        let mut command = generic::ioctl_command(call, row, context);
        if let Some(processor) = self.processors.get(&call.fd)
            && command.args.iter().all(|(key, _)| *key != "vcpu")
        {
            command.args.push(("vcpu", long(*processor)));
        }
        if command.name == "KVM_RUN" {
            refusal(&mut command);
        }
        if call.error.is_none()
            && let Ok(fd) = i32::try_from(call.result)
        {
            match call.command {
                CREATE_VCPU if self.processors.len() < PROCESSORS => {
                    self.processors.insert(fd, call.value);
                }
                // A new machine may have the number of a processor whose closing was not seen.
                _ if row.is_some_and(|row| row.name == "KVM_CREATE_VM") => {
                    self.processors.remove(&fd);
                }
                _ => {}
            }
        }
        context.emit(command);
    }

    fn closed(&mut self, fds: std::ops::RangeInclusive<i64>, _at: Interval, _context: &mut Context<'_>) {
        self.processors.retain(|fd, _| !fds.contains(&i64::from(*fd)));
    }
}
