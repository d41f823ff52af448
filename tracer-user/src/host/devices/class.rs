//! Which class a device is of, and which numbers a class has.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::sysfs::{Sysfs, entries, link_name};
use crate::model::capture::{DeviceKind, DeviceNumber};

/// A row of the kernel side's filter: character (1) or block (2), major, a minor or all of them.
pub type Row = (u32, u32, Option<u32>);

/// Rows with the class of their devices.
pub type Rows = BTreeMap<Row, &'static str>;

/// A class by the names and numbers that its drivers have.
struct Class {
    name: &'static str,
    /// As in the character half of `/proc/devices`.
    drivers: &'static [&'static str],
    /// As in `/sys/class` and `/sys/bus`.
    subsystems: &'static [&'static str],
    /// Character majors that are nobody else's, `Documentation/admin-guide/devices.txt`: known before their driver is
    /// there, and where a stand-in (CUSE) has taken its place.
    majors: &'static [u32],
}

/// The classes of design's vocabulary. Drivers that share major 10 (`misc`) are in [`MISC`].
const CLASSES: &[Class] = &[
    Class {
        name: "tty",
        drivers: &[
            "ttyS", "ttyUSB", "ttyACM", "ttyAMA", "ttySC", "ttyGS", "ttymxc", "ttySAC", "ttyO", "ttyPS",
            "ttyLP", "ttyHS", "ttyMSM", "ttyAML", "ttySTM", "ttyTHS", "ttyMI", "ttyXRUSB", "rfcomm", "pts",
            "serial",
        ],
        subsystems: &["tty"],
        majors: &[136, 137, 138, 139, 140, 141, 142, 143, 166, 188, 204, 216],
    },
    Class { name: "i2c", drivers: &["i2c"], subsystems: &["i2c-dev"], majors: &[89] },
    Class { name: "spi", drivers: &["spi"], subsystems: &["spidev"], majors: &[153] },
    Class { name: "gpio", drivers: &["gpiochip"], subsystems: &["gpio"], majors: &[] },
    Class { name: "hid", drivers: &["hidraw"], subsystems: &["hidraw"], majors: &[] },
    Class { name: "input", drivers: &["input"], subsystems: &["input"], majors: &[13] },
    Class { name: "usb", drivers: &["usb_device"], subsystems: &["usb"], majors: &[189] },
    Class { name: "video", drivers: &["video4linux"], subsystems: &["video4linux"], majors: &[81] },
    Class { name: "media", drivers: &["media"], subsystems: &["media"], majors: &[] },
    Class { name: "sound", drivers: &["alsa", "sound"], subsystems: &["sound"], majors: &[14, 116] },
    Class { name: "block", drivers: &[], subsystems: &["block"], majors: &[] },
    Class { name: "scsi", drivers: &["sg", "bsg"], subsystems: &["scsi_generic", "bsg"], majors: &[21] },
    // Namespaces are disks, of class `block`; the class selects them all the same.
    Class {
        name: "nvme",
        drivers: &["nvme", "nvme-generic"],
        subsystems: &["nvme", "nvme-generic"],
        majors: &[],
    },
    Class { name: "watchdog", drivers: &["watchdog"], subsystems: &["watchdog"], majors: &[] },
    Class { name: "rtc", drivers: &["rtc"], subsystems: &["rtc"], majors: &[] },
    Class { name: "mtd", drivers: &["mtd"], subsystems: &["mtd"], majors: &[90] },
    Class { name: "ptp", drivers: &["ptp"], subsystems: &["ptp"], majors: &[] },
    Class { name: "dri", drivers: &["drm"], subsystems: &["drm"], majors: &[226] },
    Class { name: "accel", drivers: &["accel"], subsystems: &["accel"], majors: &[261] },
    Class { name: "tun", drivers: &[], subsystems: &[], majors: &[] },
    Class { name: "fuse", drivers: &[], subsystems: &[], majors: &[] },
    Class { name: "kvm", drivers: &[], subsystems: &[], majors: &[] },
    Class { name: "vhost", drivers: &["vhost-vdpa"], subsystems: &["vhost-vdpa"], majors: &[] },
];

/// Nodes of the `misc` driver that belong to a class, with their fixed minors, `include/linux/miscdevice.h`.
const MISC: &[(&str, u32, &str)] = &[
    ("watchdog", 130, "watchdog"),
    ("rtc", 135, "rtc"),
    ("net/tun", 200, "tun"),
    ("uinput", 223, "input"),
    ("fuse", 229, "fuse"),
    ("kvm", 232, "kvm"),
    ("loop-control", 237, "block"),
    ("vhost-net", 238, "vhost"),
    ("uhid", 239, "hid"),
    ("vhost-vsock", 241, "vhost"),
];

/// The major of the `misc` driver.
const MISC_MAJOR: u32 = 10;

/// Starts of nodes' names below `/dev` that a number or, for disks, letters follow.
const FORMS: &[(&str, &str)] = &[
    ("ttyS", "tty"),
    ("ttyUSB", "tty"),
    ("ttyACM", "tty"),
    ("ttyAMA", "tty"),
    ("ttySC", "tty"),
    ("ttyGS", "tty"),
    ("ttymxc", "tty"),
    ("ttySAC", "tty"),
    ("ttyO", "tty"),
    ("ttyPS", "tty"),
    ("ttyLP", "tty"),
    ("ttyHS", "tty"),
    ("ttyMSM", "tty"),
    ("ttyAML", "tty"),
    ("ttySTM", "tty"),
    ("ttyTHS", "tty"),
    ("ttyXRUSB", "tty"),
    ("rfcomm", "tty"),
    ("pts/", "tty"),
    ("tty", "tty"),
    ("i2c-", "i2c"),
    ("spidev", "spi"),
    ("gpiochip", "gpio"),
    ("hidraw", "hid"),
    ("usb/hiddev", "hid"),
    ("input/event", "input"),
    ("input/js", "input"),
    ("input/mouse", "input"),
    ("bus/usb/", "usb"),
    ("video", "video"),
    ("vbi", "video"),
    ("radio", "video"),
    ("swradio", "video"),
    ("v4l-subdev", "video"),
    ("v4l-touch", "video"),
    ("media", "media"),
    ("snd/controlC", "sound"),
    ("snd/pcmC", "sound"),
    ("snd/hwC", "sound"),
    ("snd/midiC", "sound"),
    ("sg", "scsi"),
    ("bsg/", "scsi"),
    ("nvme", "nvme"),
    ("ng", "nvme"),
    ("watchdog", "watchdog"),
    ("rtc", "rtc"),
    ("mtdblock", "block"),
    ("mtd", "mtd"),
    ("ptp", "ptp"),
    ("dri/card", "dri"),
    ("dri/renderD", "dri"),
    ("accel/accel", "accel"),
    ("vhost-vdpa-", "vhost"),
    ("loop", "block"),
    ("mmcblk", "block"),
    ("dm-", "block"),
    ("md", "block"),
    ("nbd", "block"),
    ("sr", "block"),
    ("zram", "block"),
    ("ram", "block"),
    ("pmem", "block"),
    ("rbd", "block"),
];

/// Nodes whose numbers are fixed, `Documentation/admin-guide/devices.txt`: major, and the minor of the first.
const FIXED: &[(&str, DeviceKind, u32, u32)] = &[
    ("ttyUSB", DeviceKind::Char, 188, 0),
    ("ttyACM", DeviceKind::Char, 166, 0),
    ("ttyS", DeviceKind::Char, 4, 64),
    ("ttyAMA", DeviceKind::Char, 204, 64),
    ("i2c-", DeviceKind::Char, 89, 0),
    ("sg", DeviceKind::Char, 21, 0),
    ("loop", DeviceKind::Block, 7, 0),
    ("sr", DeviceKind::Block, 11, 0),
];

/// Disks: letters and then perhaps a partition's number.
const DISKS: &[&str] = &["sd", "vd", "xvd", "hd"];

/// Majors of unix98 pseudo-terminals' slaves, `Documentation/admin-guide/devices.txt`.
pub(super) const PTS_MAJORS: RangeInclusive<u32> = 136..=143;

/// Block majors that are nobody else's (loop, sd, md, sr, nbd, mmc, extended numbers), the same document.
const BLOCK_MAJORS: &[u32] =
    &[7, 8, 9, 11, 43, 65, 66, 67, 68, 69, 70, 71, 128, 129, 130, 131, 132, 133, 134, 135, 179, 259];

/// The names that `--device` takes for whole classes.
#[must_use]
pub fn classes() -> Vec<&'static str> {
    let mut names: Vec<_> = CLASSES.iter().map(|class| class.name).collect();
    names.sort_unstable();
    names
}

/// The class called `name`, as the program's own text.
#[must_use]
pub fn class_named(name: &str) -> Option<&'static str> {
    CLASSES.iter().find(|class| class.name == name).map(|class| class.name)
}

/// Every class.
#[must_use]
pub fn everything(sysfs: &Sysfs) -> Rows {
    CLASSES.iter().flat_map(|class| rows_of(sysfs, class)).collect()
}

/// The device numbers of a class on this host; `None` if there is no such class.
#[must_use]
pub fn class_rows(sysfs: &Sysfs, name: &str) -> Option<Rows> {
    CLASSES.iter().find(|class| class.name == name).map(|class| rows_of(sysfs, class).collect())
}

fn rows_of(sysfs: &Sysfs, class: &Class) -> impl Iterator<Item = (Row, &'static str)> + use<> {
    let (char, block) = (row_kind(DeviceKind::Char), row_kind(DeviceKind::Block));
    let registered = Registered::read(sysfs);
    let named = registered.char.iter().filter(|(_, driver)| class.drivers.contains(&driver.as_str()));
    let mut rows: Vec<Row> = named.map(|(major, _)| (char, *major, None)).collect();
    rows.extend(class.majors.iter().map(|major| (char, *major, None)));
    let misc = MISC.iter().filter(|(.., of)| *of == class.name);
    rows.extend(misc.map(|(_, minor, _)| (char, MISC_MAJOR, Some(*minor))));
    match class.name {
        "tty" => {
            // Major 4 is shared: below 64 are the virtual consoles.
            rows.retain(|(_, major, _)| *major != 4);
            rows.extend((64..256).map(|minor| (char, 4, Some(minor))));
        }
        "block" => {
            rows.extend(registered.block.iter().map(|(major, _)| (block, *major, None)));
            rows.extend(BLOCK_MAJORS.iter().map(|major| (block, *major, None)));
        }
        "nvme" => rows.extend(namespaces(sysfs)),
        "hid" => rows.extend(hiddevs(sysfs)),
        _ => {}
    }
    rows.extend(stand_ins(sysfs, class.name));
    let name = class.name;
    rows.into_iter().map(move |row| (row, if row.0 == block { "block" } else { name }))
}

/// NVMe namespaces: they share a block major with others' partitions.
fn namespaces(sysfs: &Sysfs) -> Vec<Row> {
    let blocks = sysfs.numbers().into_iter().filter(|number| number.kind == DeviceKind::Block);
    let is_namespace = |number: &DeviceNumber| {
        let link = sysfs.sys.join(format!("dev/block/{}:{}", number.major, number.minor));
        link_name(&link).is_some_and(|name| name.starts_with("nvme"))
    };
    blocks.filter(is_namespace).map(row).collect()
}

/// The subsystem of USB drivers' own character devices, which share a major: printers, instruments, `usb/hiddevN`.
const USB_MISC: &str = "usbmisc";

/// HID devices in their older form.
fn hiddevs(sysfs: &Sysfs) -> Vec<Row> {
    let folder = sysfs.sys.join("class").join(USB_MISC);
    let number = |name: String| {
        let text = super::sysfs::text(&folder.join(&name).join("dev"))?;
        let (major, minor) = text.split_once(':')?;
        Some(row(DeviceNumber {
            kind: DeviceKind::Char,
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        }))
    };
    entries(&folder).into_iter().filter(|name| name.starts_with("hiddev")).filter_map(number).collect()
}

/// Devices that a program stands in for (CUSE), of numbers that are not the class' own.
fn stand_ins(sysfs: &Sysfs, class: &str) -> Vec<Row> {
    let folder = sysfs.sys.join("class/cuse");
    let number = |name: String| {
        let text = super::sysfs::text(&folder.join(&name).join("dev"))?;
        let (major, minor) = text.split_once(':')?;
        let number =
            DeviceNumber { kind: DeviceKind::Char, major: major.parse().ok()?, minor: minor.parse().ok()? };
        (class_of("cuse", &name, number, &Registered::default()) == class).then(|| row(number))
    };
    entries(&folder).into_iter().filter_map(number).collect()
}

/// The filter row of one device.
#[must_use]
pub fn row(number: DeviceNumber) -> Row {
    (row_kind(number.kind), number.major, Some(number.minor))
}

/// The device of a row, if it is of one.
#[must_use]
pub fn number_of_row((kind, major, minor): Row) -> Option<DeviceNumber> {
    let kind = if kind == row_kind(DeviceKind::Char) { DeviceKind::Char } else { DeviceKind::Block };
    minor.map(|minor| DeviceNumber { kind, major, minor })
}

fn row_kind(kind: DeviceKind) -> u32 {
    match kind {
        DeviceKind::Char => 1,
        DeviceKind::Block => 2,
    }
}

/// The class of a device by its subsystem, its node's name below `/dev`, and its number; `other` if it is of none.
pub(super) fn class_of(
    subsystem: &str,
    node: &str,
    number: DeviceNumber,
    registered: &Registered,
) -> &'static str {
    if number.kind == DeviceKind::Block {
        return "block";
    }
    if subsystem == "misc" || number.major == MISC_MAJOR {
        let known = MISC.iter().find(|(name, minor, _)| *name == node || *minor == number.minor);
        return known.map_or("other", |(.., class)| class);
    }
    if let Some(class) = CLASSES.iter().find(|class| class.subsystems.contains(&subsystem)) {
        return class.name;
    }
    if subsystem == USB_MISC {
        return class_by_name(node).unwrap_or("other");
    }
    // A stand-in (CUSE) is in a subsystem of its own, and a node without a driver in none.
    if subsystem.is_empty() || subsystem == "cuse" {
        let driver = registered.driver(number, node).unwrap_or_default();
        let known =
            |class: &&Class| class.majors.contains(&number.major) || class.drivers.contains(&driver.as_str());
        if let Some(class) = CLASSES.iter().find(known) {
            return class.name;
        }
        return class_by_name(node).unwrap_or("other");
    }
    "other"
}

/// The class of nodes that are called so: `i2c-1`, `input/event3`; `None` if it is no form that iotrail knows.
#[must_use]
pub fn class_by_name(node: &str) -> Option<&'static str> {
    if let Some((.., class)) = MISC.iter().find(|(name, ..)| *name == node) {
        return Some(class);
    }
    let disk = |start: &&&str| {
        let Some(rest) = node.strip_prefix(**start) else { return false };
        let letters = rest.trim_end_matches(|c: char| c.is_ascii_digit());
        (1..=3).contains(&letters.len()) && letters.bytes().all(|byte| byte.is_ascii_lowercase())
    };
    if DISKS.iter().find(disk).is_some() {
        return Some("block");
    }
    // `nvme0` is a controller, `nvme0n1` a disk.
    let is_namespace = |rest: &str| rest.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with('n');
    if node.strip_prefix("nvme").is_some_and(is_namespace) {
        return Some("block");
    }
    let follows = |start: &str| {
        let rest = node.strip_prefix(start)?;
        rest.starts_with(|c: char| c.is_ascii_digit()).then_some(())
    };
    FORMS.iter().find(|(start, _)| follows(start).is_some()).map(|(_, class)| *class)
}

/// The number that a node will have when it comes, if that is known.
pub(super) fn expected(node: &str) -> Option<DeviceNumber> {
    let number = |(start, kind, major, first): &(&str, DeviceKind, u32, u32)| {
        let index: u32 = node.strip_prefix(start)?.parse().ok().filter(|index| *index < 256)?;
        Some(DeviceNumber { kind: *kind, major: *major, minor: first + index })
    };
    FIXED.iter().find_map(number)
}

/// Which driver registered which major: `/proc/devices` and `/proc/misc`.
#[derive(Clone, Debug, Default)]
pub(super) struct Registered {
    char: Vec<(u32, String)>,
    block: Vec<(u32, String)>,
    misc: Vec<(u32, String)>,
}

impl Registered {
    pub(super) fn read(sysfs: &Sysfs) -> Self {
        let text = sysfs.table("devices");
        let (char, block) = text.split_once("Block devices:").unwrap_or((&text, ""));
        Self { char: pairs(char), block: pairs(block), misc: pairs(&sysfs.table("misc")) }
    }

    /// Every name that is registered.
    pub(super) fn names(self) -> impl Iterator<Item = String> {
        self.char.into_iter().chain(self.block).chain(self.misc).map(|(_, name)| name)
    }

    /// The name that the driver of a number registered. Where several share a major, the one that the node is called
    /// after.
    pub(super) fn driver(&self, number: DeviceNumber, node: &str) -> Option<String> {
        let (rows, wanted) = match number {
            DeviceNumber { kind: DeviceKind::Block, major, .. } => (&self.block, major),
            DeviceNumber { major: MISC_MAJOR, minor, .. } => (&self.misc, minor),
            DeviceNumber { major, .. } => (&self.char, major),
        };
        let fitting = || rows.iter().filter(|(key, _)| *key == wanted).map(|(_, name)| name);
        let best = fitting().filter(|name| node.starts_with(name.as_str())).max_by_key(|name| name.len());
        best.or_else(|| fitting().next()).cloned()
    }
}

/// Lines of a number and a name.
fn pairs(text: &str) -> Vec<(u32, String)> {
    let pair = |line: &str| {
        let (number, name) = line.trim().split_once(' ')?;
        Some((number.parse().ok()?, name.trim().trim_start_matches("/dev/").to_owned()))
    };
    text.lines().filter_map(pair).collect()
}
