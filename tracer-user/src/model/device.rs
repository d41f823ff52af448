//! A device and what is known of its hardware.

use std::sync::Arc;

use super::capture::DeviceNumber;

/// A device as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The kernel's number for it.
    pub number: DeviceNumber,
    /// Class: `tty`, `i2c`, … (design vocabulary).
    pub class: &'static str,
    /// The node's path as the kernel names it, or `char:MAJOR:MINOR`.
    pub path: Arc<str>,
    /// Stable identity: the same after replugging and reboot where the hardware allows
    /// (`docs/configuration.md`, "Device ids").
    pub id: Arc<str>,
    /// What the id was made from, and what else tells the device from others.
    pub identity: Identity,
}

impl Device {
    /// A device of which no more than this is known.
    #[must_use]
    pub fn new(
        number: DeviceNumber,
        class: &'static str,
        path: impl Into<Arc<str>>,
        id: impl Into<Arc<str>>,
    ) -> Self {
        Self { number, class, path: path.into(), id: id.into(), identity: Identity::default() }
    }
}

/// Facts about a device, each as the kernel or the hardware spells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The driver that is bound to it, `ftdi_sio`; of a device without hardware the name that its driver registered.
    pub driver: Option<Arc<str>>,
    /// The bus that it sits on: `usb`, `pci`, `platform`, …
    pub bus: Option<Arc<str>>,
    /// Where on that bus: `1-1.2:1.0`, `0000:00:1f.3`, `fe204000.spi`.
    pub address: Option<Arc<str>>,
    /// The maker's number on USB and PCI, four hex digits: `0403`.
    pub vendor_id: Option<Arc<str>>,
    /// The maker's number of the product, four hex digits: `6001`.
    pub product_id: Option<Arc<str>>,
    /// The maker's name.
    pub vendor: Option<Arc<str>>,
    /// What the hardware calls itself.
    pub model: Option<Arc<str>>,
    /// The number of the single piece.
    pub serial: Option<Arc<str>>,
    /// What the driver calls it: an I2C adapter's name, a GPIO chip's label, an input device's or sound card's name.
    pub name: Option<Arc<str>>,
    /// Other paths of the node that stay: `/dev/serial/by-id/…`, `/dev/disk/by-path/…`.
    pub links: Vec<Arc<str>>,
}
