//! Numbers as `strace` and the kernel's sources know them, and what must hold of every table.

use std::collections::{BTreeMap, BTreeSet};

use expect_test::expect;

use super::sets::CLASSES;
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
        // `struct kvm_regs` of amd64 and of arm64.
        ("kvm", None, 0x8090_ae81, "KVM_GET_REGS"),
        ("kvm", None, 0x8360_ae81, "KVM_GET_REGS"),
        ("dri", None, 0xc040_6400, "DRM_IOCTL_VERSION"),
        ("dri", Some("i915"), 0xc010_645b, "DRM_IOCTL_I915_GEM_CREATE"),
        ("dri", Some("v3d"), 0xc010_6441, "DRM_IOCTL_V3D_WAIT_BO"),
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
        assert_eq!(find(class, &[driver], false, command), Some(expected), "{class} {driver:?} {command:#x}");
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
            assert_eq!(find(class, &[], compat, command), Some(expected), "{class} {command:#x}");
        }
    }
}

#[test]
fn a_number_that_two_headers_claim_goes_by_the_device() {
    for (command, names) in [
        (0x5402, [("tty", "pts", "TCSETS"), ("sound", "sequencer", "SNDCTL_TMR_START")]),
        (0x5501, [("other", "uinput", "UI_DEV_CREATE"), ("other", "raw-gadget", "USB_RAW_IOCTL_RUN")]),
        (
            0x4004_550d,
            [
                ("usb", "usb", "USBDEVFS_REAPURBNDELAY32"),
                ("other", "raw-gadget", "USB_RAW_IOCTL_EP_SET_HALT"),
            ],
        ),
        (0x8004_4801, [("hid", "hidraw", "HIDIOCGRDESCSIZE"), ("other", "hiddev", "HIDIOCGVERSION")]),
        (0x8004_4d07, [("sound", "mixer", "SOUND_MIXER_READ_MIC"), ("mtd", "mtd", "MEMGETREGIONCOUNT")]),
        (0x8008_5617, [("video", "video", "VIDIOC_G_STD"), ("video", "v4l-subdev", "VIDIOC_SUBDEV_G_STD")]),
        (
            0xc010_6443,
            [("dri", "vc4", "DRM_IOCTL_VC4_CREATE_BO"), ("dri", "virtio_gpu", "DRM_IOCTL_VIRTGPU_GETPARAM")],
        ),
    ] {
        for (class, driver, _) in names {
            assert_ne!(
                find("other", &[], false, command),
                find(class, &[Some(driver)], false, command),
                "{command:#x}"
            );
        }
        for (class, driver, expected) in names {
            assert_eq!(
                find(class, &[Some(driver)], false, command),
                Some(expected),
                "{class} {driver} {command:#x}"
            );
        }
    }
}

#[test]
fn a_device_without_a_class_has_what_nobody_disputes() {
    assert_eq!(find("other", &[], false, 0x8178_5501), Some("SNDRV_CTL_IOCTL_CARD_INFO"));
    assert_eq!(find("i2c", &[], false, 0x8178_5501), None, "a known class has no other's commands");
    assert_eq!(find("tty", &[Some("tty")], false, 0x5606), Some("VT_ACTIVATE"));
    assert_eq!(find("tty", &[Some("ttyS")], false, 0x5606), None, "nor has another driver of the class");
    assert_eq!(find("other", &[Some("uinput")], false, 0x8178_5501), None, "nor has a known kind of node");
    assert_eq!(find("other", &[], false, 0x5501), None, "disputed");
    assert_eq!(find("other", &[], false, 1), None, "no letter, so anybody's");
    assert_eq!(find("other", &[], false, 0xc020_462a), None, "nobody's");
}

#[test]
fn graphics_go_by_the_number() {
    // As some later kernel may have it, with a larger structure.
    assert_eq!(find("dri", &[], false, 0xc0ff_6400), Some("DRM_IOCTL_VERSION"));
    assert_eq!(find("video", &[], false, 0xc0ff_5611), None);
    // More than one command of i915 has this number.
    assert_eq!(find("dri", &[Some("i915")], false, 0xc0ff_6469), None);
}

#[test]
fn nodes_are_of_a_kind() {
    for (path, expected) in [
        ("/dev/ttyS0", Some("ttyS")),
        ("/dev/loop0p1", Some("loop")),
        ("/dev/loop-control", Some("loop-control")),
        ("/dev/nvme0n1", Some("nvme")),
        ("/dev/dm-0", Some("dm")),
        ("/dev/pts/3", Some("pts")),
        ("/dev/vfio/12", Some("vfio")),
        ("/dev/cpu/0/msr", Some("msr")),
        ("/dev/snd/pcmC0D0p", Some("pcmC")),
        ("/dev/v4l-subdev2", Some("v4l-subdev")),
        ("/dev/dvb/adapter0/frontend1", Some("frontend")),
        ("/dev/iio:device0", Some("iio:device")),
        ("/dev/ubi0_1", Some("ubi")),
        ("/dev/12", None),
        ("/dev/", None),
        ("char:10:3", None),
    ] {
        assert_eq!(node_kind(path), expected, "{path}");
    }
}

#[test]
fn numbers_inside_arguments_have_names() {
    for (kind, code, expected) in [
        (0x00, 0, Some("SYN_REPORT")),
        (0x01, 30, Some("KEY_A")),
        (0x01, 113, Some("KEY_MUTE")),
        (0x01, 0x100, Some("BTN_0")),
        (0x01, 0x110, Some("BTN_LEFT")),
        (0x01, 0x130, Some("BTN_SOUTH")),
        (0x01, 0x140, Some("BTN_TOOL_PEN")),
        (0x01, 0x2ff, None),
        (0x02, 8, Some("REL_WHEEL")),
        (0x03, 0, Some("ABS_X")),
        (0x03, 0x3f, None),
        (0x04, 4, Some("MSC_SCAN")),
        (0x05, 0, Some("SW_LID")),
        (0x11, 1, Some("LED_CAPSL")),
        (0x12, 2, Some("SND_TONE")),
        (0x14, 0, Some("REP_DELAY")),
        (0x15, 0x50, Some("FF_RUMBLE")),
        (0x15, 0x60, Some("FF_GAIN")),
        (0x17, 1, Some("FF_STATUS_PLAYING")),
        (0x1f, 0, None),
    ] {
        assert_eq!(input_code(kind, code), expected, "{kind:#x} {code:#x}");
    }
    assert_eq!((input_type(1), input_type(0x1f)), (Some("EV_KEY"), None));
    assert_eq!(input_property(0), Some("INPUT_PROP_POINTER"));
    assert_eq!(input_bus(3), Some("BUS_USB"));
    assert_eq!(v4l2_control(0x0098_0900), Some("V4L2_CID_BRIGHTNESS"));
    assert_eq!(v4l2_control(0x009a_0902), Some("V4L2_CID_EXPOSURE_ABSOLUTE"));
    assert_eq!(v4l2_control(0), None);
    assert_eq!((scsi_opcode(0x28), scsi_opcode(0x12)), (Some("READ_10"), Some("INQUIRY")));
    assert_eq!((scsi_opcode(0xbb), scsi_opcode(0xff)), (Some("GPCMD_SET_SPEED"), None));
}

/// Where two headers of one device have a number, the first of them names it: here is every such number.
#[test]
fn conflicts_within_a_set_are_known() {
    let mut conflicts = BTreeSet::new();
    let sets = CLASSES.iter().flat_map(|class| {
        let own = class.drivers.iter().map(|(_, headers)| *headers).chain([&[][..]]);
        own.map(|own| own.iter().chain(class.common))
    });
    for headers in sets {
        let mut names: BTreeMap<u32, (&str, &str)> = BTreeMap::new();
        for (header, (number, name)) in
            headers.flat_map(|header: &&Header| header.wide.iter().map(move |row| (header.name, row)))
        {
            let (first, kept) = *names.entry(*number).or_insert((header, name));
            if kept != *name {
                conflicts.insert(format!("{number:#x} {kept} ({first}) over {name} ({header})"));
            }
        }
    }
    let found: String = conflicts.iter().map(|conflict| format!("{conflict}\n")).collect();
    expect![[r#"
        0x1 FIBMAP (linux/fs.h) over SCSI_IOCTL_SEND_COMMAND (scsi/scsi_ioctl.h)
        0x1 SCSI_IOCTL_SEND_COMMAND (scsi/scsi_ioctl.h) over FIBMAP (linux/fs.h)
        0x2 FIGETBSZ (linux/fs.h) over SCSI_IOCTL_TEST_UNIT_READY (scsi/scsi_ioctl.h)
        0x2 SCSI_IOCTL_TEST_UNIT_READY (scsi/scsi_ioctl.h) over FIGETBSZ (linux/fs.h)
        0x40085618 VIDIOC_SUBDEV_S_STD (linux/v4l2-subdev.h) over VIDIOC_S_STD (linux/videodev2.h)
        0x40085618 VIDIOC_S_STD (linux/videodev2.h) over VIDIOC_SUBDEV_S_STD (linux/v4l2-subdev.h)
        0x80044801 HIDIOCGVERSION (linux/hiddev.h) over HIDIOCGRDESCSIZE (linux/hidraw.h)
        0x80085617 VIDIOC_G_STD (linux/videodev2.h) over VIDIOC_SUBDEV_G_STD (linux/v4l2-subdev.h)
        0x80085617 VIDIOC_SUBDEV_G_STD (linux/v4l2-subdev.h) over VIDIOC_G_STD (linux/videodev2.h)
        0x8008563f VIDIOC_QUERYSTD (linux/videodev2.h) over VIDIOC_SUBDEV_QUERYSTD (linux/v4l2-subdev.h)
        0x8008563f VIDIOC_SUBDEV_QUERYSTD (linux/v4l2-subdev.h) over VIDIOC_QUERYSTD (linux/videodev2.h)
        0x80845663 VIDIOC_QUERY_DV_TIMINGS (linux/videodev2.h) over VIDIOC_SUBDEV_QUERY_DV_TIMINGS (linux/v4l2-subdev.h)
        0x80845663 VIDIOC_SUBDEV_QUERY_DV_TIMINGS (linux/v4l2-subdev.h) over VIDIOC_QUERY_DV_TIMINGS (linux/videodev2.h)
        0xc0285628 VIDIOC_G_EDID (linux/videodev2.h) over VIDIOC_SUBDEV_G_EDID (linux/v4l2-subdev.h)
        0xc0285628 VIDIOC_SUBDEV_G_EDID (linux/v4l2-subdev.h) over VIDIOC_G_EDID (linux/videodev2.h)
        0xc0285629 VIDIOC_SUBDEV_S_EDID (linux/v4l2-subdev.h) over VIDIOC_S_EDID (linux/videodev2.h)
        0xc0285629 VIDIOC_S_EDID (linux/videodev2.h) over VIDIOC_SUBDEV_S_EDID (linux/v4l2-subdev.h)
        0xc0485619 VIDIOC_ENUMSTD (linux/videodev2.h) over VIDIOC_SUBDEV_ENUMSTD (linux/v4l2-subdev.h)
        0xc0485619 VIDIOC_SUBDEV_ENUMSTD (linux/v4l2-subdev.h) over VIDIOC_ENUMSTD (linux/videodev2.h)
        0xc0845657 VIDIOC_SUBDEV_S_DV_TIMINGS (linux/v4l2-subdev.h) over VIDIOC_S_DV_TIMINGS (linux/videodev2.h)
        0xc0845657 VIDIOC_S_DV_TIMINGS (linux/videodev2.h) over VIDIOC_SUBDEV_S_DV_TIMINGS (linux/v4l2-subdev.h)
        0xc0845658 VIDIOC_G_DV_TIMINGS (linux/videodev2.h) over VIDIOC_SUBDEV_G_DV_TIMINGS (linux/v4l2-subdev.h)
        0xc0845658 VIDIOC_SUBDEV_G_DV_TIMINGS (linux/v4l2-subdev.h) over VIDIOC_G_DV_TIMINGS (linux/videodev2.h)
        0xc0905664 VIDIOC_DV_TIMINGS_CAP (linux/videodev2.h) over VIDIOC_SUBDEV_DV_TIMINGS_CAP (linux/v4l2-subdev.h)
        0xc0905664 VIDIOC_SUBDEV_DV_TIMINGS_CAP (linux/v4l2-subdev.h) over VIDIOC_DV_TIMINGS_CAP (linux/videodev2.h)
        0xc0945662 VIDIOC_ENUM_DV_TIMINGS (linux/videodev2.h) over VIDIOC_SUBDEV_ENUM_DV_TIMINGS (linux/v4l2-subdev.h)
        0xc0945662 VIDIOC_SUBDEV_ENUM_DV_TIMINGS (linux/v4l2-subdev.h) over VIDIOC_ENUM_DV_TIMINGS (linux/videodev2.h)
    "#]].assert_eq(&found);
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

#[test]
fn the_first_driver_with_headers_of_its_own_counts() {
    let create = 0xc010_645b;
    for (drivers, expected) in [
        (&[Some("i915"), Some("card")][..], Some("DRM_IOCTL_I915_GEM_CREATE")),
        (&[Some("unheard_of"), Some("i915")], Some("DRM_IOCTL_I915_GEM_CREATE")),
        (&[None, Some("card")], None),
    ] {
        assert_eq!(find("dri", drivers, false, create), expected, "{drivers:?}");
    }
    // What the core registers for a card without hardware is nobody's.
    assert_eq!(find("dri", &[Some("drm"), Some("card")], false, 0xc010_6440), None);
    // What out-of-tree drivers have is not mistaken for frame buffers' with the same letter.
    for nvidia in [0xc020_462a, 0xc030_464e, 0xc00c_46d1, 0xc048_46d2, 0xc138_4637] {
        assert_eq!(find("other", &[Some("nvidia-frontend"), Some("nvidia")], false, nvidia), None);
    }
}
