//! What programs do with virtual machines.

use super::PROCESSORS;
use crate::device::tests::calls::{Ioctl, rendered};
use crate::device::{descriptor_made, family, recipes};
use expect_test::expect;
use tracer_common::recipe::{FD_IS_RESULT, NO_FD, RecipeKey};

#[test]
fn processors_have_numbers() {
    let region = [1_u64 << 32, 0x1000, 0x20_0000, 0x7f00_0000_0000].map(u64::to_le_bytes).concat();
    let device = |fd: u32, flags: u32| [7, fd, flags].map(u32::to_le_bytes).concat();
    let calls = [
        Ioctl::new(0xae00).returns(12),
        Ioctl::new(0xae03).value(3).returns(1),
        Ioctl::new(0xae03).value(5).returns(0),
        Ioctl::new(0xae01).returns(8),
        Ioctl::new(0x4020_ae46).fd(8).argument(&region),
        Ioctl::new(0xae41).fd(8).value(2).returns(9),
        Ioctl::new(0xae80).fd(9),
        Ioctl::new(0xae80).fd(9).returns(-4),
        Ioctl::new(0xc00c_aee0).fd(8).was(&device(0, 0)).argument(&device(10, 0)),
        Ioctl::new(0xc00c_aee0).fd(8).was(&device(99, 1)).argument(&device(99, 1)),
        Ioctl::new(0x8004_ae98).fd(9).argument(&[3, 0, 0, 0]),
        Ioctl::new(0x4068_aea3).fd(8).argument(&[121, 0, 0, 0, 0, 0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0]),
        Ioctl::new(0x4068_aea3).fd(8).argument(&[121, 0, 0, 0, 0]),
    ];
    expect![[r#"
        0 command KVM_GET_API_VERSION 0..10 version=12
        1 command KVM_CHECK_EXTENSION 0..10 capability=USER_MEMORY result=1
        2 command KVM_CHECK_EXTENSION 0..10 capability=5 result=0
        3 command KVM_CREATE_VM 0..10 type=0 fd=8
        4 command KVM_SET_USER_MEMORY_REGION 0..10 slot=0 flags=0x1 guest_address=0x1000 bytes=2097152 address=0x7f0000000000
        5 command KVM_CREATE_VCPU 0..10 vcpu=2 fd=9
        6 command KVM_RUN 0..10 vcpu=2
        7 command KVM_RUN 0..10 error EINTR vcpu=2
        8 command KVM_CREATE_DEVICE 0..10 type=ARM_VGIC_V3 flags=0x0 fd=10
        9 command KVM_CREATE_DEVICE 0..10 type=ARM_VGIC_V3 flags=0x1
        10 command KVM_GET_MP_STATE 0..10 state=HALTED vcpu=2
        11 command KVM_ENABLE_CAP 0..10 capability=SPLIT_IRQCHIP flags=0x0 argument=0x18
        12 command KVM_ENABLE_CAP 0..10 capability=SPLIT_IRQCHIP
    "#]]
    .assert_eq(&rendered("kvm", calls));
}

#[test]
fn descriptors_that_were_made_are_followed() {
    let recipe = |command: u32, alternative| {
        let key = RecipeKey { family: family("kvm"), command, alternative, ..RecipeKey::default() };
        recipes().iter().find(|(of, _)| *of == key).map(|(_, recipe)| recipe.new_fd)
    };
    assert_eq!(recipe(0xae01, 0), Some(FD_IS_RESULT));
    assert_eq!(recipe(0xae41, 0), Some(FD_IS_RESULT));
    assert_eq!(recipe(0xc000_aee0, 0), Some(4));
    assert_eq!(recipe(0xc000_aee0, 1), Some(NO_FD), "a test makes none");
    let device = |flags: u32| [7, 10, flags].map(u32::to_le_bytes).concat();
    let made = |command, argument: &[u8], result| {
        [0, family("kvm")].map(|family| descriptor_made(family, false, command, argument, result))
    };
    assert_eq!(made(0xae01, &[], 8), [Some(8); 2]);
    assert_eq!(made(0xae01, &[], -1), [None; 2]);
    assert_eq!(made(0xae80, &[], 0), [None; 2]);
    assert_eq!(made(0xc00c_aee0, &device(0), 0), [Some(10); 2]);
    assert_eq!(made(0xc00c_aee0, &device(1), 0), [None; 2]);
    assert_eq!(made(0xc00c_aee0, &device(0)[..6], 0), [None; 2]);
}

#[test]
fn processors_are_bounded() {
    let create = |index: usize| Ioctl::new(0xae41).value(index as u64).returns(index as i64 + 10);
    let run = |index: usize| Ioctl::new(0xae80).fd(index as i32 + 10);
    let text = rendered("kvm", (0..PROCESSORS + 1).map(create).chain([run(0), run(PROCESSORS)]));
    let tail: Vec<_> = text.lines().rev().take(2).map(|line| line.contains("vcpu=")).collect();
    assert_eq!(tail, [false, true], "the last one is not known");
}
