//! What `--device` takes, and which device numbers that means now.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::class::{
    Registered, Rows, class_by_name, class_named, class_rows, classes, everything, expected, row,
};
use super::links::{folders, target};
use super::sysfs::entries;
use super::{Catalog, node_number};
use crate::model::device::Device;

/// Names that a message lists before it says "…".
const LISTED: usize = 12;

/// Devices that are meant, whether they are there or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Every class that is traced when nothing is named.
    Everything,
    /// Every node of a class.
    Class(&'static str),
    /// The node of this path, or what a link of this path leads to.
    Path(PathBuf),
    /// Every node of the USB devices of this make, or of the one piece with this serial number or port.
    Usb {
        /// Maker, four hex digits.
        vendor: String,
        /// Product, four hex digits.
        product: String,
        /// Serial number, or `@` and the port, as in the ids.
        piece: Option<String>,
    },
    /// A link `by-id/NAME`, `serial/by-id/NAME`; a `*` at the end takes every ending.
    Link(String),
    /// The node with this id, as it is or hidden.
    Id(String),
    /// Every node of a driver.
    Driver(String),
}

/// A pattern that makes no sense on this host. Says what, why, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// No such node, and none that may appear.
    #[error(
        "there is no device node {path}, and iotrail knows none of that form that may appear; plug the device in, or list \
         the nodes with `iotrail devices`{near}"
    )]
    Missing {
        /// The path.
        path: String,
        /// `; here are …`, or nothing.
        near: String,
    },
    /// A path that is no device.
    #[error("{0} is not a device node; list the nodes with `iotrail devices`")]
    NoDevice(String),
    /// The beginning of a form, with nothing behind it.
    #[error("`{0}` names no device: use a path, a class, usb:VENDOR:PRODUCT, by-id/NAME, id:ID or a driver")]
    Nothing(String),
    /// Neither class nor driver nor node.
    #[error(
        "unknown device class `{0}`: use a path, usb:VENDOR:PRODUCT, by-id/NAME, id:ID, a driver{2} or one of {1}"
    )]
    Class(String, String, String),
    /// No such form of a USB device.
    #[error("`{0}` names no USB device: use usb:VENDOR:PRODUCT in hex, as in usb:0403:6001{1}")]
    Usb(String, String),
}

impl Pattern {
    /// Reads what the user wrote.
    ///
    /// # Errors
    /// It is of no form that a device may have; one that is only not there yet is no error.
    pub fn parse(text: &str, catalog: &Catalog) -> Result<Self, PatternError> {
        let begun = text.ends_with(':') && !text.starts_with("usb:");
        if text.is_empty() || begun || (text.ends_with('/') && !text.starts_with('/')) {
            return Err(PatternError::Nothing(text.to_owned()));
        }
        if let Some(id) = text.strip_prefix("id:") {
            return Ok(Self::Id(id.to_owned()));
        }
        if let Some(rest) = text.strip_prefix("usb:") {
            return usb(rest).ok_or_else(|| {
                let here = usb_here(&catalog.plain());
                PatternError::Usb(text.to_owned(), near("USB devices here", &here))
            });
        }
        if text.split_once(':').is_some_and(|(class, _)| class_named(class).is_some() || class == "other") {
            return Ok(Self::Id(text.to_owned()));
        }
        if let Some(class) = class_named(text) {
            return Ok(Self::Class(class));
        }
        let inside = text.strip_prefix("/dev/").unwrap_or(text);
        if !inside.starts_with('/') && is_link(inside) {
            return Ok(Self::Link(inside.to_owned()));
        }
        if text.starts_with('/') || (text.contains('/') && Path::new(text).exists()) {
            return path(text, catalog);
        }
        // A node by its name below `/dev`.
        let node = format!("/dev/{text}");
        if (!text.is_empty() && catalog.real(Path::new(&node)).exists()) || class_by_name(text).is_some() {
            return path(&node, catalog);
        }
        if text.contains('/') {
            return path(text, catalog);
        }
        let drivers = drivers(catalog);
        if drivers.contains(text) {
            return Ok(Self::Driver(text.to_owned()));
        }
        let here = catalog.plain().into_iter().filter(|device| device.class != "other");
        let here: BTreeSet<_> = here.filter_map(|device| Some(device.identity.driver?.to_string())).collect();
        let here: Vec<String> = here.into_iter().collect();
        let drivers = if here.is_empty() { String::new() } else { format!(" ({})", listed(&here)) };
        Err(PatternError::Class(text.to_owned(), classes().join(", "), drivers))
    }

    /// The rows that it means now. `devices`: every device, with its id not hidden; asked only if needed.
    #[must_use]
    pub fn rows<'a>(&self, catalog: &Catalog, devices: &mut dyn FnMut() -> &'a [Device]) -> Rows {
        match self {
            Self::Everything => everything(catalog.sysfs()),
            Self::Class(name) => class_rows(catalog.sysfs(), name).unwrap_or_default(),
            Self::Path(path) => {
                // Of one that is not there yet, so that its first call is not missed.
                let number = node_number(&catalog.real(path))
                    .or_else(|| expected(path.strip_prefix("/dev").ok()?.to_str()?));
                number.map(|number| (row(number), catalog.class(number))).into_iter().collect()
            }
            Self::Link(link) => link_rows(link, catalog, devices),
            Self::Usb { .. } | Self::Id(_) | Self::Driver(_) => {
                let fitting = devices().iter().filter(|device| self.fits(device, catalog));
                fitting.map(|device| (row(device.number), device.class)).collect()
            }
        }
    }

    /// Whether it means nothing yet. `rows`: what it means now.
    fn waits(&self, rows: &Rows, catalog: &Catalog) -> bool {
        match self {
            Self::Path(path) => !catalog.real(path).exists(),
            _ => rows.is_empty(),
        }
    }

    /// Whether a device, with its id not hidden, is meant: by what it is, not by its path.
    #[must_use]
    pub fn fits(&self, device: &Device, catalog: &Catalog) -> bool {
        let identity = &device.identity;
        match self {
            Self::Usb { vendor, product, piece } => {
                let whole = match piece {
                    None => format!("usb:{vendor}:{product}:"),
                    Some(piece) => format!("usb:{vendor}:{product}:{piece}:"),
                };
                let inside = format!("{}:", device.id);
                inside.starts_with(&whole) || inside.contains(&format!(":{whole}"))
            }
            Self::Id(id) => *device.id == **id || *catalog.hidden(device.clone()).id == **id,
            Self::Driver(driver) => identity.driver.as_deref() == Some(driver),
            _ => false,
        }
    }

    /// Whether devices that it means may come without the kernel saying so: links are made by others.
    #[must_use]
    pub fn is_a_path(&self) -> bool {
        matches!(self, Self::Path(_) | Self::Link(_))
    }

    /// What there is instead of what it means, for people; may be empty.
    #[must_use]
    pub fn instead(&self, catalog: &Catalog) -> String {
        match self {
            Self::Usb { .. } => near("USB devices here", &usb_here(&catalog.plain())),
            Self::Link(link) => {
                let kind = link.rsplit_once('/').map_or("", |(folder, _)| folder);
                near("links here", &links_here(catalog, kind))
            }
            Self::Path(path) => near("nodes of its class here", &siblings(path, catalog)),
            Self::Id(id) => {
                let class = id.split(':').next().unwrap_or_default();
                let here: Vec<String> = catalog
                    .plain()
                    .iter()
                    .filter(|device| device.class == class)
                    .map(|device| device.id.to_string())
                    .collect();
                near("ids of its class here", &here)
            }
            Self::Everything | Self::Class(_) | Self::Driver(_) => String::new(),
        }
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Everything => f.write_str("everything"),
            Self::Class(name) => f.write_str(name),
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Usb { vendor, product, piece: None } => write!(f, "usb:{vendor}:{product}"),
            Self::Usb { vendor, product, piece: Some(piece) } => write!(f, "usb:{vendor}:{product}:{piece}"),
            Self::Link(link) => f.write_str(link),
            Self::Id(id) => write!(f, "id:{id}"),
            Self::Driver(driver) => f.write_str(driver),
        }
    }
}

impl Catalog {
    /// Every device with its id not hidden.
    #[must_use]
    pub fn plain(&self) -> Vec<Device> {
        Self::new(self.sysfs().clone(), None).list()
    }

    /// Where a path of `/dev` is.
    fn real(&self, path: &Path) -> PathBuf {
        path.strip_prefix("/dev").map_or_else(|_| path.to_owned(), |inside| self.sysfs().dev.join(inside))
    }
}

/// `0403:6001`, `403:6001:FT123`, `1a86:7523:@pci-0000:00:14.0-usbv2-1`.
fn usb(text: &str) -> Option<Pattern> {
    let mut parts = text.splitn(3, ':');
    let mut number = || {
        let digits = parts.next().filter(|digits| (1..=4).contains(&digits.len()))?;
        u16::from_str_radix(digits, 16).ok().map(|number| format!("{number:04x}"))
    };
    let (vendor, product) = (number()?, number()?);
    // As it stands in the ids.
    let piece = parts.next().map(super::id::plain);
    piece.as_deref().is_none_or(|piece| !piece.is_empty()).then_some(Pattern::Usb { vendor, product, piece })
}

/// `by-id/NAME` or `FOLDER/by-id/NAME`.
fn is_link(text: &str) -> bool {
    let parts: Vec<&str> = text.split('/').collect();
    let folder = match parts.as_slice() {
        [by, name] if !name.is_empty() => by,
        [_, by, name] if !name.is_empty() => by,
        _ => return false,
    };
    folder.starts_with("by-")
}

fn path(text: &str, catalog: &Catalog) -> Result<Pattern, PatternError> {
    let path = PathBuf::from(text);
    let real = catalog.real(&path);
    match fs::metadata(&real) {
        Ok(_) if node_number(&real).is_none() => Err(PatternError::NoDevice(text.to_owned())),
        Ok(_) => Ok(Pattern::Path(path)),
        Err(_) if text.strip_prefix("/dev/").is_some_and(|node| class_by_name(node).is_some()) => {
            Ok(Pattern::Path(path))
        }
        Err(_) => {
            let start: String = text.chars().take_while(|c| !c.is_ascii_digit()).collect();
            let similar = start.strip_prefix("/dev/").filter(|start| start.len() > 1);
            let nodes = entries(&catalog.sysfs().dev).into_iter().filter(|name| {
                similar.is_some_and(|start| name.starts_with(start.get(..3).unwrap_or(start)))
            });
            let nodes: Vec<String> = nodes.map(|name| format!("/dev/{name}")).collect();
            Err(PatternError::Missing { path: text.to_owned(), near: near("here are", &nodes) })
        }
    }
}

fn link_rows<'a>(link: &str, catalog: &Catalog, devices: &mut dyn FnMut() -> &'a [Device]) -> Rows {
    let dev = &catalog.sysfs().dev;
    let (folder, name) = link.rsplit_once('/').unwrap_or(("", link));
    let fits = |entry: &str| match name.strip_suffix('*') {
        Some(start) => entry.starts_with(start),
        None => entry == name,
    };
    let mut rows = Rows::new();
    for place in folders(dev).into_iter().filter(|place| place.ends_with(folder)) {
        for entry in entries(&dev.join(&place)).into_iter().filter(|entry| fits(entry)) {
            let link = place.join(entry);
            if let Some(number) = node_number(&dev.join(&link)) {
                rows.insert(row(number), catalog.class(number));
            } else if let Some(node) = target(dev, &link) {
                let path = format!("/dev/{node}");
                let named = devices().iter().filter(|device| *device.path == *path);
                rows.extend(named.map(|device| (row(device.number), device.class)));
            }
        }
    }
    rows
}

/// Every driver that has a device or is ready for one.
fn drivers(catalog: &Catalog) -> BTreeSet<String> {
    let bound = catalog.plain().into_iter().filter_map(|device| device.identity.driver);
    let mut names: BTreeSet<String> = bound.map(|driver| driver.to_string()).collect();
    let buses = catalog.sysfs().sys.join("bus");
    for bus in ["usb", "usb-serial", "i2c", "spi", "hid", "scsi", "mmc"] {
        names.extend(entries(&buses.join(bus).join("drivers")));
    }
    names.extend(Registered::read(catalog.sysfs()).names());
    names
}

fn usb_here(devices: &[Device]) -> Vec<String> {
    let make = |device: &Device| {
        let identity = &device.identity;
        (identity.bus.as_deref() == Some("usb")).then(|| {
            Some(format!("{}:{}", identity.vendor_id.as_deref()?, identity.product_id.as_deref()?))
        })?
    };
    devices.iter().filter_map(make).collect::<BTreeSet<_>>().into_iter().collect()
}

fn links_here(catalog: &Catalog, kind: &str) -> Vec<String> {
    let dev = &catalog.sysfs().dev;
    let places = folders(dev).into_iter().filter(|place| place.ends_with(kind));
    places
        .flat_map(|place| entries(&dev.join(&place)).into_iter().map(move |name| place.join(name)))
        .map(|link| link.display().to_string())
        .collect()
}

fn siblings(path: &Path, catalog: &Catalog) -> Vec<String> {
    let node = path.strip_prefix("/dev").ok().and_then(Path::to_str).unwrap_or_default();
    let Some(class) = class_by_name(node) else { return Vec::new() };
    let same = catalog.plain().into_iter().filter(|device| device.class == class);
    same.map(|device| device.path.to_string()).collect()
}

/// `; words: a, b, …`.
fn near(words: &str, names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("; {words}: {}", listed(names)) }
}

fn listed(names: &[String]) -> String {
    let more = if names.len() > LISTED { ", …" } else { "" };
    format!("{}{more}", names.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", "))
}

/// The rows of several patterns, and those patterns that mean nothing yet.
#[must_use]
pub fn resolve<'p>(patterns: &'p [Pattern], catalog: &Catalog) -> (Rows, Vec<&'p Pattern>) {
    let devices = std::cell::OnceCell::new();
    let mut rows = Rows::new();
    let mut waiting = Vec::new();
    for pattern in patterns {
        let found = pattern.rows(catalog, &mut || devices.get_or_init(|| catalog.plain()));
        if pattern.waits(&found, catalog) {
            waiting.push(pattern);
        }
        rows.extend(found);
    }
    (rows, waiting)
}
