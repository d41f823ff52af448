//! What `--device` takes.

use super::*;

/// Two converters of one make, the second with two lines, and an I2C adapter.
fn tree() -> Tree {
    let tree = super::usb::host();
    tree.node("pci0000:00/0000:00:14.0/usb1", "189:0", "bus/usb/001/001");
    for (port, serial, minors) in [("1-1", "FT1", &[0][..]), ("1-2", "FT12", &[1, 2])] {
        let device = super::usb::plug(&tree, port, ("0403", "6001"), Some(serial));
        tree.node(&device, &format!("189:{}", minors[0] + 3), &format!("bus/usb/001/00{}", minors[0] + 4));
        for minor in minors {
            super::usb::converter(&tree, &device, port, "0", *minor);
        }
    }
    tree.device("platform/soc/fe804000.i2c", "platform", &[])
        .driver("platform/soc/fe804000.i2c", "i2c-bcm2835");
    tree.device("platform/soc/fe804000.i2c/i2c-1", "i2c", &[]);
    tree.device("platform/soc/fe804000.i2c/i2c-1/i2c-dev/i2c-1", "i2c-dev", &[]);
    tree.node("platform/soc/fe804000.i2c/i2c-1/i2c-dev/i2c-1", "89:1", "i2c-1");
    tree.link("serial/by-id/usb-FTDI_FT1-if00", "../../ttyUSB0");
    tree.link("serial/by-id/usb-FTDI_FT12-if00", "../../ttyUSB1");
    tree.link("usb/by-id/usb-FTDI_FT1-if00", "../../bus/usb/001/004");
    tree.file(
        "proc/devices",
        "Character devices:\n 89 i2c\n188 ttyUSB\n189 usb_device\n\nBlock devices:\n  7 loop\n",
    );
    fs::create_dir_all(tree.path("sys/bus/usb/drivers/cp210x")).expect("it can be made");
    tree
}

/// The minors of what a text means, with their majors.
fn means(tree: &Tree, text: &str) -> Vec<String> {
    let catalog = tree.catalog();
    let pattern = Pattern::parse(text, &catalog).unwrap_or_else(|error| panic!("{text}: {error}"));
    let (rows, waiting) = resolve(std::slice::from_ref(&pattern), &catalog);
    assert!(rows.is_empty() <= !waiting.is_empty());
    let minor = |minor: Option<u32>| minor.map_or_else(|| "*".to_owned(), |minor| minor.to_string());
    rows.into_keys().map(|(_, major, of)| format!("{major}:{}", minor(of))).collect()
}

#[test]
fn every_form_means_its_devices() {
    let tree = tree();
    for (text, expected) in [
        ("i2c", &["89:*"][..]),
        ("usb:0403:6001", &["188:0", "188:1", "188:2", "189:3", "189:4"]),
        ("usb:403:6001", &["188:0", "188:1", "188:2", "189:3", "189:4"]),
        ("usb:0403:6001:FT1", &["188:0", "189:3"]),
        ("usb:1D6B:0002", &["189:0"]),
        ("by-id/usb-FTDI_FT1-if00", &["188:0", "189:3"]),
        ("serial/by-id/usb-FTDI_FT1-if00", &["188:0"]),
        ("/dev/serial/by-id/usb-FTDI_FT1-if00", &["188:0"]),
        ("serial/by-id/usb-FTDI*", &["188:0", "188:1"]),
        ("id:tty:usb:0403:6001:FT12:if00", &["188:1"]),
        ("tty:usb:0403:6001:FT12:if00:1", &["188:2"]),
        ("ftdi_sio", &["188:0", "188:1", "188:2"]),
        ("i2c-bcm2835", &["89:1"]),
        // Not there, but they may come.
        ("usb:1209:0001", &[]),
        ("by-id/usb-other", &[]),
        ("id:anything", &[]),
        ("cp210x", &[]),
        // By the number that they will have.
        ("ttyUSB7", &["188:7"]),
        ("/dev/loop300", &[]),
        ("/dev/input/event4", &[]),
        ("/dev/sdc1", &[]),
        ("snd/pcmC0D0p", &[]),
    ] {
        assert_eq!(means(&tree, text), expected, "{text}");
    }
}

#[test]
fn what_cannot_come_is_refused_with_what_there_is() {
    let tree = tree();
    let catalog = tree.catalog();
    for (text, words) in [
        ("toaster", &["unknown device class `toaster`", "tty", "ftdi_sio"][..]),
        (
            "/dev/ttyMISSING9",
            &["no device node /dev/ttyMISSING9", "iotrail devices", "/dev/ttyUSB0, /dev/ttyUSB1"],
        ),
        ("/dev/sdtoaster", &["no device node"]),
        ("ttyUSB0", &["is not a device node"]),
        ("usb:xyz", &["usb:VENDOR:PRODUCT", "0403:6001, 1d6b:0002"]),
        ("usb:12345:1", &["usb:VENDOR:PRODUCT"]),
        ("usb:1:2:", &["usb:VENDOR:PRODUCT"]),
        ("", &["`` names no device"]),
        ("id:", &["`id:` names no device", "id:ID"]),
        ("tty:", &["`tty:` names no device"]),
        ("by-id/", &["`by-id/` names no device", "by-id/NAME"]),
        ("/dev/", &["is not a device node"]),
    ] {
        let error = Pattern::parse(text, &catalog).expect_err(text).to_string();
        for word in words {
            assert!(error.contains(word), "{text}: `{word}` is not in: {error}");
        }
        assert_eq!(error.lines().count(), 1);
    }
}

#[test]
fn what_is_waited_for_says_what_there_is_instead() {
    let tree = tree();
    let catalog = tree.catalog();
    for (text, words) in [
        ("usb:1209:0001", "; USB devices here: 0403:6001, 1d6b:0002"),
        ("serial/by-id/x", "; links here: serial/by-id/usb-FTDI_FT1-if00, serial/by-id/usb-FTDI_FT12-if00"),
        ("i2c-7", "; nodes of its class here: /dev/i2c-1"),
        ("id:i2c:x", "; ids of its class here: i2c:platform:fe804000.i2c"),
    ] {
        assert_eq!(Pattern::parse(text, &catalog).expect("it may come").instead(&catalog), words);
    }
}

#[test]
fn a_hidden_id_is_taken_as_well() {
    let tree = tree();
    let catalog = Catalog::new(tree.sysfs(), Some(IdKey::new([1; 16])));
    let number = DeviceNumber { kind: DeviceKind::Char, major: 188, minor: 2 };
    let hidden = catalog.describe(number).id;
    for id in [&*hidden, "tty:usb:0403:6001:FT12:if00:1"] {
        let (rows, _) = resolve(&[Pattern::parse(&format!("id:{id}"), &catalog).expect("an id")], &catalog);
        assert_eq!(rows, [((1, 188, Some(2)), "tty")].into(), "{id}");
    }
}

#[test]
fn several_patterns_are_told_apart_by_what_they_find() {
    let tree = tree();
    let catalog = tree.catalog();
    let patterns = ["usb:1209:1", "i2c"].map(|text| Pattern::parse(text, &catalog).expect("it may come"));
    let (rows, waiting) = resolve(&patterns, &catalog);
    assert_eq!((rows, waiting), ([((1, 89, None), "i2c")].into(), vec![&patterns[0]]));
}

#[test]
fn names_of_nodes_tell_their_class() {
    for (name, class) in [
        ("ttyUSB0", Some("tty")),
        ("pts/3", Some("tty")),
        ("i2c-1", Some("i2c")),
        ("spidev0.0", Some("spi")),
        ("input/event12", Some("input")),
        ("snd/pcmC0D0p", Some("sound")),
        ("nvme0n1p1", Some("block")),
        ("nvme10", Some("nvme")),
        ("sdaa12", Some("block")),
        ("vda", Some("block")),
        ("mtdblock0", Some("block")),
        ("mtd0ro", Some("mtd")),
        ("net/tun", Some("tun")),
        ("watchdog", Some("watchdog")),
        ("usb/hiddev0", Some("hid")),
        ("usb/lp0", None),
        ("ttyUSB", None),
        ("sd", None),
        ("sdabcd", None),
        ("null", None),
        ("", None),
    ] {
        assert_eq!(class_by_name(name), class, "{name}");
    }
}
