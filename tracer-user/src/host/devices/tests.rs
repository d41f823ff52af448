//! Trees of devices as the kernel makes them, in a temporary folder, and what is made of them.

mod disks;
mod hostile;
mod links;
mod machine;
mod parts;
mod patterns;
mod usb;

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

/// A made-up `/sys`, `/dev` and `/proc`.
pub(super) struct Tree {
    root: TempDir,
}

impl Tree {
    pub(super) fn new() -> Self {
        let root = tempfile::tempdir().expect("a folder");
        for folder in ["sys/devices", "sys/bus", "sys/class", "sys/dev/char", "sys/dev/block", "dev", "proc"]
        {
            fs::create_dir_all(root.path().join(folder)).expect("it can be made");
        }
        Self { root }
    }

    pub(super) fn sysfs(&self) -> Sysfs {
        let at = |name: &str| self.root.path().join(name);
        Sysfs { sys: at("sys"), dev: at("dev"), proc: at("proc") }
    }

    pub(super) fn catalog(&self) -> Catalog {
        Catalog::new(self.sysfs(), None)
    }

    pub(super) fn path(&self, inside: &str) -> PathBuf {
        self.root.path().join(inside)
    }

    /// A file, from the root of the tree.
    pub(super) fn file(&self, path: &str, text: impl AsRef<[u8]>) -> &Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("below the root")).expect("it can be made");
        fs::write(path, text).expect("it can be written");
        self
    }

    /// A device below `/sys/devices` on a bus or of a class, with its attributes.
    pub(super) fn device(&self, path: &str, subsystem: &str, attributes: &[(&str, &str)]) -> &Self {
        let folder = self.path("sys/devices").join(path);
        fs::create_dir_all(&folder).expect("it can be made");
        let name = folder.file_name().expect("a name");
        // Buses are told by these; all others are classes.
        let bus = [
            "usb",
            "pci",
            "platform",
            "pnp",
            "spi",
            "i2c",
            "hid",
            "scsi",
            "virtio",
            "gpio",
            "mmc",
            "usb-serial",
            "serial-base",
            "media",
            "pseudo",
        ];
        let home = if bus.contains(&subsystem) {
            format!("bus/{subsystem}/devices")
        } else {
            format!("class/{subsystem}")
        };
        let home = self.path("sys").join(home);
        fs::create_dir_all(&home).expect("it can be made");
        let up = if bus.contains(&subsystem) { "../../../devices" } else { "../../devices" };
        symlink(format!("{up}/{path}"), home.join(name)).expect("a link");
        let depth = "../".repeat(path.split('/').count() + 1);
        let of = if bus.contains(&subsystem) { "bus" } else { "class" };
        symlink(format!("{depth}{of}/{subsystem}"), folder.join("subsystem")).expect("a link");
        for (attribute, text) in attributes {
            self.file(&format!("sys/devices/{path}/{attribute}"), format!("{text}\n"));
        }
        self
    }

    /// Binds a driver.
    pub(super) fn driver(&self, path: &str, name: &str) -> &Self {
        let link = self.path("sys/devices").join(path).join("driver");
        symlink(format!("/sys/bus/x/drivers/{name}"), link).expect("a link");
        self
    }

    /// Gives a device a number and a node, which is a plain file here.
    pub(super) fn node(&self, path: &str, number: &str, name: &str) -> DeviceNumber {
        let block = path.contains("/block/");
        let (folder, kind) = if block { ("block", DeviceKind::Block) } else { ("char", DeviceKind::Char) };
        let (major, minor) = number.split_once(':').expect("major:minor");
        symlink(format!("../../devices/{path}"), self.path("sys/dev").join(folder).join(number))
            .expect("a link");
        let uevent = format!("MAJOR={major}\nMINOR={minor}\nDEVNAME={name}\n");
        self.file(&format!("sys/devices/{path}/uevent"), uevent).file(&format!("dev/{name}"), "");
        let parse = |digits: &str| digits.parse().expect("a number");
        DeviceNumber { kind, major: parse(major), minor: parse(minor) }
    }

    /// A link below `/dev`.
    pub(super) fn link(&self, link: &str, to: &str) -> &Self {
        let link = self.path("dev").join(link);
        fs::create_dir_all(link.parent().expect("below the root")).expect("it can be made");
        symlink(to, link).expect("a link");
        self
    }

    /// Describes a device, a fact a line.
    pub(super) fn facts(&self, number: DeviceNumber) -> String {
        facts(&self.catalog().describe(number))
    }

    pub(super) fn id(&self, number: DeviceNumber) -> String {
        self.catalog().describe(number).id.to_string()
    }
}

/// What is known of a device, a fact a line.
fn facts(device: &Device) -> String {
    let identity = &device.identity;
    let mut text = format!("{} {} {}\n", device.class, device.path, device.id);
    for (key, value) in [
        ("driver", &identity.driver),
        ("bus", &identity.bus),
        ("address", &identity.address),
        ("vendor_id", &identity.vendor_id),
        ("product_id", &identity.product_id),
        ("vendor", &identity.vendor),
        ("model", &identity.model),
        ("serial", &identity.serial),
        ("name", &identity.name),
    ] {
        if let Some(value) = value {
            let _ = writeln!(text, "{key} {value}");
        }
    }
    for link in &identity.links {
        let _ = writeln!(text, "link {link}");
    }
    text
}
