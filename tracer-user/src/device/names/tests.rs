//! Numbers as `strace` and the kernel's sources know them, and what must hold of every table.

use std::collections::{BTreeMap, BTreeSet};

use super::sets::SETS;
use super::table::Header;
use super::{
    count, find, generated, input_bus, input_code, input_property, input_type, node_kind, scsi_opcode,
    v4l2_control,
};

#[test]
fn commands_have_the_name_that_their_class_gives_them() {
    for (class, driver, command, expected) in [
        ("tty", None, 0x5401, "TCGETS"),
        ("tty", Some("ttyS"), 0x5413, "TIOCGWINSZ"),
        ("tty", None, 0x802c_542a, "TCGETS2"),
        ("tty", Some("tty"), 0x4b3a, "KDSETMODE"),
        ("tty", Some("pts"), 0x541b, "FIONREAD"),
        ("i2c", None, 0x0703, "I2C_SLAVE"),
        ("i2c", None, 0x0707, "I2C_RDWR"),
        ("i2c", None, 0x0720, "I2C_SMBUS"),
        ("spi", None, 0x4020_6b00, "SPI_IOC_MESSAGE"),
        ("spi", None, 0x4040_6b00, "SPI_IOC_MESSAGE"),
        ("spi", None, 0x4060_6b00, "SPI_IOC_MESSAGE"),
        ("spi", None, 0x4004_6b04, "SPI_IOC_WR_MAX_SPEED_HZ"),
        ("gpio", None, 0xc250_b407, "GPIO_V2_GET_LINE_IOCTL"),
        ("video", None, 0xc058_5611, "VIDIOC_DQBUF"),
        ("video", None, 0xc0d0_5605, "VIDIOC_S_FMT"),
        ("media", None, 0xc100_7c00, "MEDIA_IOC_DEVICE_INFO"),
        ("sound", Some("pcmC"), 0xc260_4111, "SNDRV_PCM_IOCTL_HW_PARAMS"),
        ("sound", Some("controlC"), 0x8178_5501, "SNDRV_CTL_IOCTL_CARD_INFO"),
        ("sound", Some("dsp"), 0xc004_5002, "SNDCTL_DSP_SPEED"),
        ("usb", None, 0x8038_550a, "USBDEVFS_SUBMITURB"),
        ("usb", None, 0x8010_5520, "USBDEVFS_CONNINFO_EX"),
        ("kvm", None, 0xae80, "KVM_RUN"),
        ("dri", None, 0xc040_6400, "DRM_IOCTL_VERSION"),
        ("dri", Some("i915"), 0xc010_645b, "DRM_IOCTL_I915_GEM_CREATE"),
        ("hid", None, 0xc001_4807, "HIDIOCGFEATURE"),
        ("hid", None, 0xc040_4807, "HIDIOCGFEATURE"),
        ("input", Some("event"), 0x8018_4540, "EVIOCGABS"),
        ("input", Some("event"), 0x8018_457f, "EVIOCGABS"),
        ("input", Some("event"), 0x4018_45c0, "EVIOCSABS"),
        ("input", Some("event"), 0x8060_4521, "EVIOCGBIT"),
        ("input", Some("event"), 0x8100_4506, "EVIOCGNAME"),
        ("input", Some("event"), 0x4004_4590, "EVIOCGRAB"),
        ("input", Some("js"), 0x8080_6a13, "JSIOCGNAME"),
        ("other", Some("uinput"), 0x8040_552c, "UI_GET_SYSNAME"),
        ("block", Some("sd"), 0x8008_1272, "BLKGETSIZE64"),
        ("block", Some("loop"), 0x4c00, "LOOP_SET_FD"),
        ("block", Some("sr"), 0x5309, "CDROMEJECT"),
        ("scsi", None, 0x2285, "SG_IO"),
        ("nvme", None, 0xc048_4e41, "NVME_IOCTL_ADMIN_CMD"),
        ("watchdog", None, 0x8004_5705, "WDIOC_KEEPALIVE"),
        ("rtc", None, 0x8024_7009, "RTC_RD_TIME"),
        ("tun", None, 0x4004_54ca, "TUNSETIFF"),
        ("mtd", None, 0x8020_4d01, "MEMGETINFO"),
        ("fuse", None, 0x8004_e500, "FUSE_DEV_IOC_CLONE"),
        ("vhost", None, 0xaf01, "VHOST_SET_OWNER"),
    ] {
        assert_eq!(find(class, driver, false, command), Some(expected), "{class} {driver:?} {command:#x}");
    }
}

#[test]
fn programs_of_32_bits_have_numbers_of_their_own() {
    for (class, command, expected) in [
        // `struct v4l2_buffer` of i386 and arm, and of both with 64-bit time.
        ("video", 0xc044_5611, "VIDIOC_DQBUF"),
        ("video", 0xc04c_5611, "VIDIOC_DQBUF"),
        ("video", 0xc050_5611, "VIDIOC_DQBUF"),
        ("video", 0xc0cc_5605, "VIDIOC_S_FMT"),
        ("sound", 0xc25c_4111, "SNDRV_PCM_IOCTL_HW_PARAMS"),
        ("usb", 0x802c_550a, "USBDEVFS_SUBMITURB"),
        ("dri", 0xc024_6400, "DRM_IOCTL_VERSION"),
        // What is the same for all.
        ("tty", 0x5401, "TCGETS"),
    ] {
        for compat in [true, false] {
            assert_eq!(find(class, None, compat, command), Some(expected), "{class} {command:#x}");
        }
    }
}

#[test]
fn a_number_that_two_headers_claim_goes_by_the_class() {
    for (command, names) in [
        (
            0x5501,
            [("other", Some("uinput"), "UI_DEV_CREATE"), ("other", Some("raw-gadget"), "USB_RAW_IOCTL_RUN")],
        ),
        (
            0x8178_5501,
            [
                ("sound", None, "SNDRV_CTL_IOCTL_CARD_INFO"),
                ("sound", Some("pcmC"), "SNDRV_CTL_IOCTL_CARD_INFO"),
            ],
        ),
        (0xc010_645b, [("dri", Some("i915"), "DRM_IOCTL_I915_GEM_CREATE"), ("dri", Some("msm"), "")]),
    ] {
        for (class, driver, expected) in names {
            let expected = Some(expected).filter(|name| !name.is_empty());
            assert_eq!(find(class, driver, false, command), expected, "{class} {driver:?} {command:#x}");
        }
        // Of no class at all.
    }
    assert_eq!(find("other", None, false, 0x5501), None, "disputed");
    assert_eq!(find("other", None, false, 0x8178_5501), Some("SNDRV_CTL_IOCTL_CARD_INFO"), "undisputed");
    assert_eq!(find("i2c", None, false, 0x8178_5501), None, "a known class has no other's commands");
}

#[test]
fn there_are_at_least_three_thousand() {
    assert!(count() >= 3000, "{}", count());
}

#[test]
fn tables_are_sorted_and_have_one_name_for_a_number() {
    for header in generated::ALL {
        for table in [header.wide, header.narrow] {
            assert!(table.is_sorted_by(|(a, _), (b, _)| a < b), "{}", header.name);
        }
        for (value, mask, name) in header.families {
            assert_eq!(value & !mask, 0, "{name}");
        }
    }
}
