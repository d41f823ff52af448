//! What the kernel's tree says of one device: driver, bus, maker, model, serial number, the driver's own name for it.

use std::path::Path;
use std::sync::Arc;

use super::Surroundings;
use super::names;
use super::sysfs::{Level, link_name};
use crate::model::capture::DeviceNumber;
use crate::model::device::Identity;

/// Buses that the kernel made up, or whose addresses are counted up and say nothing of where the hardware is.
const LOGICAL: &[&str] = &[
    "usb-serial",
    "serial-base",
    "hid",
    "scsi",
    "virtio",
    "gpio",
    "mmc",
    "serio",
    "media",
    "pseudo",
    "container",
];

/// Drivers that only hand on: what is below them is driven by the next one up.
const GO_BETWEEN: &[&str] = &["serial-base"];

/// A device on its way to being described.
pub(super) struct Facts<'a> {
    pub(super) around: &'a Surroundings<'a>,
    pub(super) number: DeviceNumber,
    pub(super) class: &'static str,
    /// Itself and the devices above it.
    pub(super) chain: Vec<Level>,
    /// The node's name below `/dev`; may be empty.
    pub(super) node: String,
}

impl Facts<'_> {
    /// The device itself.
    pub(super) fn own(&self) -> Option<&Level> {
        self.chain.first()
    }

    /// The nearest level of a subsystem, the device itself included.
    pub(super) fn nearest(&self, subsystem: &str) -> Option<&Level> {
        self.chain.iter().find(|level| level.subsystem == subsystem)
    }

    /// The USB device that it is, or is a part of.
    pub(super) fn usb(&self) -> Option<&Level> {
        self.chain.iter().find(|level| level.subsystem == "usb" && level.has("idVendor"))
    }

    /// The interface of the USB device that it belongs to.
    pub(super) fn interface(&self) -> Option<&Level> {
        let levels = self.chain.iter().take_while(|level| !level.has("idVendor"));
        levels.into_iter().find(|level| level.subsystem == "usb" && level.has("bInterfaceNumber"))
    }

    /// The place in the machine that is nearest to it.
    pub(super) fn place(&self) -> Option<&Level> {
        self.chain.iter().find(|level| self.is_place(level))
    }

    /// Whether a level is a place in the machine.
    pub(super) fn is_place(&self, level: &Level) -> bool {
        // An adapter is on the bus that it opens up.
        let adapter = level.subsystem == "i2c" && level.name.starts_with("i2c-");
        !adapter && !LOGICAL.contains(&level.subsystem.as_str()) && self.around.is_bus(&level.subsystem)
    }

    /// The nearest attribute of this name, from the device upwards.
    fn upwards(&self, attribute: &str) -> Option<String> {
        self.chain.iter().find_map(|level| level.text(attribute))
    }

    fn driver(&self) -> Option<String> {
        let bound = self.chain.iter().filter(|level| !GO_BETWEEN.contains(&level.subsystem.as_str()));
        let bound = bound.take(NEAR).find_map(|level| link_name(&level.path.join("driver")));
        bound.or_else(|| self.around.registered().driver(self.number, &self.node))
    }

    /// Everything but the links.
    pub(super) fn identity(&self) -> Identity {
        let shared = |text: Option<String>| text.map(Arc::from);
        // Where nothing is a place: a device behind a bus that the kernel made up.
        let at = self.place().or_else(|| {
            self.chain
                .iter()
                .find(|level| matches!(level.subsystem.as_str(), "scsi" | "hid" | "virtio" | "mmc" | "serio"))
        });
        let (vendor_id, product_id) = self.numbers();
        Identity {
            driver: shared(self.driver()),
            bus: shared(at.map(|level| level.subsystem.clone())),
            address: shared(at.map(|level| level.name.clone())),
            vendor_id: shared(vendor_id),
            product_id: shared(product_id),
            vendor: shared(self.vendor()),
            model: shared(self.model()),
            serial: shared(self.serial()),
            name: shared(names::name(self)),
            links: self.around.links(&self.node),
        }
    }

    /// The maker's numbers of itself and of the product.
    fn numbers(&self) -> (Option<String>, Option<String>) {
        if let Some(usb) = self.usb() {
            return (usb.text("idVendor").and_then(hex), usb.text("idProduct").and_then(hex));
        }
        // `HID_ID=0005:0000046D:0000B342`: bus, vendor, product.
        if let Some(id) = self.nearest("hid").and_then(|hid| hid.property("HID_ID")) {
            let mut parts = id.split(':').skip(1).map(|part| hex(part.to_owned()));
            return (parts.next().flatten(), parts.next().flatten());
        }
        if let Some(input) =
            self.chain.iter().find(|level| level.subsystem == "input" && level.has("id/vendor"))
        {
            let known = |name: &str| input.text(name).and_then(hex).filter(|id| id != "0000");
            return (known("id/vendor"), known("id/product"));
        }
        match self.place() {
            Some(level) if level.subsystem == "pci" => {
                (level.text("vendor").and_then(hex), level.text("device").and_then(hex))
            }
            _ => (None, None),
        }
    }

    fn vendor(&self) -> Option<String> {
        match self.usb() {
            Some(usb) => usb.text("manufacturer"),
            None => self.nearest("scsi").and_then(|scsi| scsi.text("vendor")),
        }
    }

    fn model(&self) -> Option<String> {
        if let Some(model) = self.usb().and_then(|usb| usb.text("product")) {
            return Some(model);
        }
        let scsi = || self.nearest("scsi").and_then(|scsi| scsi.text("model"));
        let mmc = || self.nearest("mmc").and_then(|card| card.text("name"));
        let nvme = || self.nvme().and_then(|nvme| nvme.text("model"));
        scsi().or_else(mmc).or_else(nvme)
    }

    /// The NVMe controller or subsystem that it is, or is a namespace of.
    pub(super) fn nvme(&self) -> Option<&Level> {
        let is_one = |level: &&Level| matches!(level.subsystem.as_str(), "nvme" | "nvme-subsystem");
        self.chain.iter().find(is_one)
    }

    /// The number of the single piece.
    pub(super) fn serial(&self) -> Option<String> {
        if let Some(usb) = self.usb() {
            return usb.text("serial");
        }
        let scsi = || self.nearest("scsi").and_then(|scsi| unit_serial(&scsi.path.join("vpd_pg80")));
        let mmc = || self.nearest("mmc").and_then(|card| card.text("serial"));
        let nvme = || self.nvme().and_then(|nvme| nvme.text("serial"));
        // Of a virtio disk; also in the folder of a partition's disk.
        let disk = || {
            let blocks = self.chain.iter().filter(|level| level.subsystem == "block");
            blocks.into_iter().find_map(|level| level.text("serial"))
        };
        scsi().or_else(mmc).or_else(nvme).or_else(disk).or_else(|| self.unique())
    }

    /// What a wireless keyboard or the like calls itself uniquely: mostly its radio's address.
    pub(super) fn unique(&self) -> Option<String> {
        let hid = || self.nearest("hid").and_then(|hid| hid.property("HID_UNIQ"));
        let input = self.chain.iter().find(|level| level.subsystem == "input" && level.has("uniq"));
        input.and_then(|input| input.text("uniq")).or_else(hid)
    }

    /// World-wide name of a disk.
    pub(super) fn world_wide_name(&self) -> Option<String> {
        self.nearest("scsi")
            .and_then(|scsi| scsi.text("wwid"))
            .or_else(|| self.nvme().is_some().then(|| self.upwards("wwid")).flatten())
    }
}

/// Levels within which the driver of a device is looked for: beyond them is what drives the bus.
const NEAR: usize = 8;

/// Four hex digits, as the buses' own lists have them.
fn hex(text: String) -> Option<String> {
    let number = u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()?;
    Some(format!("{number:04x}"))
}

/// The serial number of a SCSI unit: page 0x80 of its vital product data, SPC-4 section 7.8.15: four bytes of head, the
/// last two of which are the length.
fn unit_serial(page: &Path) -> Option<String> {
    let bytes = super::sysfs::read(page, 4 + 255)?;
    let length = usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]));
    let text = bytes.get(4..)?;
    super::sysfs::clean(text.get(..length).unwrap_or(text))
}
