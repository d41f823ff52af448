//! Which device a number is, and which numbers a class has: from `/sys` and `/proc/devices`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use crate::model::capture::{DeviceKind, DeviceNumber};
use crate::model::command::Device;

/// Rows of the kernel side's filter: character (1) or block (2), major, a minor or all of them.
pub type Rows = BTreeSet<(u32, u32, Option<u32>)>;

/// A class, the names that its drivers have in `/proc/devices`, and whether it is traced when nothing is selected.
struct Class {
    name: &'static str,
    drivers: &'static [&'static str],
    subsystems: &'static [&'static str],
}

/// The classes of design's vocabulary. Dynamic majors are found by the driver's name; drivers that share major 10
/// (`misc`) by the node's name.
const CLASSES: &[Class] = &[
    Class {
        name: "tty",
        drivers: &[
            "ttyS", "ttyUSB", "ttyACM", "ttyAMA", "ttySC", "ttyGS", "ttymxc", "ttySAC", "ttyO", "ttyPS",
            "ttyLP", "rfcomm", "pts", "serial",
        ],
        subsystems: &["tty"],
    },
    Class { name: "i2c", drivers: &["i2c"], subsystems: &["i2c-dev"] },
    Class { name: "spi", drivers: &["spi"], subsystems: &["spidev"] },
    Class { name: "gpio", drivers: &["gpiochip"], subsystems: &["gpio"] },
    Class { name: "hid", drivers: &["hidraw"], subsystems: &["hidraw"] },
    Class { name: "input", drivers: &["input"], subsystems: &["input"] },
    Class { name: "usb", drivers: &["usb_device"], subsystems: &["usb"] },
    Class { name: "video", drivers: &["video4linux"], subsystems: &["video4linux"] },
    Class { name: "media", drivers: &["media"], subsystems: &["media"] },
    Class { name: "sound", drivers: &["alsa", "sound"], subsystems: &["sound"] },
    Class { name: "scsi", drivers: &["sg", "bsg"], subsystems: &["scsi_generic", "bsg"] },
    Class { name: "nvme", drivers: &["nvme", "nvme-generic"], subsystems: &["nvme", "nvme-generic"] },
    Class { name: "watchdog", drivers: &["watchdog"], subsystems: &["watchdog"] },
    Class { name: "rtc", drivers: &["rtc"], subsystems: &["rtc"] },
    Class { name: "mtd", drivers: &["mtd"], subsystems: &["mtd"] },
    Class { name: "ptp", drivers: &["ptp"], subsystems: &["ptp"] },
    Class { name: "dri", drivers: &["drm"], subsystems: &["drm"] },
    Class { name: "accel", drivers: &["accel"], subsystems: &["accel"] },
];

/// Nodes of the `misc` driver, major 10, that are a class of their own.
const MISC: &[(&str, &str)] = &[
    ("watchdog", "watchdog"),
    ("net/tun", "tun"),
    ("fuse", "fuse"),
    ("kvm", "kvm"),
    ("vhost-net", "vhost"),
    ("uhid", "hid"),
    ("uinput", "input"),
];

/// Majors of unix98 pseudo-terminals' slaves, `Documentation/admin-guide/devices.txt`.
const PTS_MAJORS: std::ops::RangeInclusive<u32> = 136..=143;

/// The names that `--device` takes for whole classes.
#[must_use]
pub fn classes() -> Vec<&'static str> {
    let mut names: Vec<_> =
        CLASSES.iter().map(|class| class.name).chain(["tun", "fuse", "kvm", "vhost"]).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Every device class that iotrail knows, on this host.
#[must_use]
pub fn everything() -> Rows {
    classes().into_iter().flat_map(|class| class_rows(class).unwrap_or_default()).collect()
}

/// The device numbers of a class on this host; `None` if there is no such class.
#[must_use]
pub fn class_rows(name: &str) -> Option<Rows> {
    let mut rows = Rows::new();
    let mut known = false;
    let registered = fs::read_to_string("/proc/devices").unwrap_or_default();
    for class in CLASSES.iter().filter(|class| class.name == name) {
        known = true;
        rows.extend(majors(&registered, class.drivers).into_iter().map(|major| (1, major, None)));
        if class.name == "tty" {
            rows.extend(PTS_MAJORS.map(|major| (1, major, None)));
            // Major 4 is shared: below 64 are the virtual consoles.
            rows.remove(&(1, 4, None));
            rows.extend((64..256).map(|minor| (1, 4, Some(minor))));
        }
    }
    for (node, _) in MISC.iter().filter(|(_, class)| *class == name) {
        known = true;
        if let Some(row) = node_row(&Path::new("/dev").join(node)) {
            rows.insert(row);
        }
    }
    known.then_some(rows)
}

/// The filter row of a device node; `None` if the path is no device.
#[must_use]
pub fn node_row(path: &Path) -> Option<(u32, u32, Option<u32>)> {
    let number = node_number(path)?;
    let kind = match number.kind {
        DeviceKind::Char => 1,
        DeviceKind::Block => 2,
    };
    Some((kind, number.major, Some(number.minor)))
}

/// The device number of a node; `None` if the path is no device.
#[must_use]
pub fn node_number(path: &Path) -> Option<DeviceNumber> {
    let metadata = fs::metadata(path).ok()?;
    let kind = match metadata.file_type() {
        kind if kind.is_char_device() => DeviceKind::Char,
        kind if kind.is_block_device() => DeviceKind::Block,
        _ => return None,
    };
    let rdev = metadata.rdev();
    Some(DeviceNumber { kind, major: libc::major(rdev), minor: libc::minor(rdev) })
}

/// Describes a device by its number.
#[must_use]
pub fn describe(number: DeviceNumber) -> Device {
    let (folder, letter) = match number.kind {
        DeviceKind::Char => ("char", 'c'),
        DeviceKind::Block => ("block", 'b'),
    };
    let DeviceNumber { major, minor, .. } = number;
    if number.kind == DeviceKind::Char && PTS_MAJORS.contains(&major) {
        let path: Arc<str> = format!("/dev/pts/{}", minor + 256 * (major - PTS_MAJORS.start())).into();
        return Device { number, class: "tty", id: Arc::clone(&path), path };
    }
    let sys = Path::new("/sys/dev").join(folder).join(format!("{major}:{minor}"));
    let uevent = fs::read_to_string(sys.join("uevent")).unwrap_or_default();
    let name = uevent.lines().find_map(|line| line.strip_prefix("DEVNAME="));
    let path = name.map_or_else(
        || format!("{folder}:{major}:{minor}"),
        |name| if name.starts_with('/') { name.to_owned() } else { format!("/dev/{name}") },
    );
    let subsystem = fs::read_link(sys.join("subsystem")).ok();
    let subsystem =
        subsystem.as_deref().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or("");
    let class = class_of(subsystem, name.unwrap_or(""), number);
    let hardware =
        fs::read_link(&sys).ok().and_then(|link| Some(link.to_str()?.trim_start_matches("../").to_owned()));
    let id = hardware.unwrap_or_else(|| format!("{letter}{major}:{minor}"));
    Device { number, class, path: path.into(), id: id.into() }
}

/// The class of the devices of a filter row; empty if it is not known.
#[must_use]
pub fn class_of_row((kind, major, minor): (u32, u32, Option<u32>)) -> &'static str {
    let kind = if kind == 2 { DeviceKind::Block } else { DeviceKind::Char };
    if let Some(minor) = minor {
        return describe(DeviceNumber { kind, major, minor }).class;
    }
    if kind == DeviceKind::Block {
        return "block";
    }
    if PTS_MAJORS.contains(&major) {
        return "tty";
    }
    let registered = fs::read_to_string("/proc/devices").unwrap_or_default();
    let class = CLASSES.iter().find(|class| majors(&registered, class.drivers).contains(&major));
    class.map_or("", |class| class.name)
}

fn class_of(subsystem: &str, node: &str, number: DeviceNumber) -> &'static str {
    if let Some((_, class)) = MISC.iter().find(|(name, _)| *name == node) {
        return class;
    }
    if let Some(class) = CLASSES.iter().find(|class| class.subsystems.contains(&subsystem)) {
        return class.name;
    }
    if number.kind == DeviceKind::Block { "block" } else { "other" }
}

/// Character majors of these drivers in the text of `/proc/devices`.
fn majors(registered: &str, drivers: &[&str]) -> Vec<u32> {
    let characters = registered.split("Block devices:").next().unwrap_or_default();
    let row = |line: &str| {
        let (major, driver) = line.trim().split_once(' ')?;
        drivers.contains(&driver.trim_start_matches("/dev/")).then(|| major.parse().ok())?
    };
    characters.lines().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn majors_are_read_from_the_character_half() {
        let text = "Character devices:\n  4 ttyS\n 89 i2c\n254 gpiochip\n\nBlock devices:\n 89 i2c\n";
        assert_eq!(majors(text, &["i2c"]), [89]);
        assert_eq!(majors(text, &["gpiochip", "ttyS"]), [4, 254]);
    }

    #[test]
    fn a_pseudo_terminal_is_named_by_its_number() {
        let number = DeviceNumber { kind: DeviceKind::Char, major: 137, minor: 2 };
        assert_eq!((&*describe(number).path, describe(number).class), ("/dev/pts/258", "tty"));
    }

    #[test]
    fn null_is_a_device_without_a_class() {
        let number = node_number(Path::new("/dev/null")).expect("every host has it");
        assert_eq!((number.major, number.minor), (1, 3));
        assert_eq!(describe(number).class, "other");
        assert_eq!(node_number(Path::new("/proc/self/status")), None);
    }

    #[test]
    fn unknown_classes_are_refused() {
        assert_eq!(class_rows("toaster"), None);
        assert!(class_rows("tty").is_some_and(|rows| rows.contains(&(1, 136, None))));
    }
}
