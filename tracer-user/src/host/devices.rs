//! Which device a number is, which numbers there are, and which of them a class has: from `/sys`, `/dev` and `/proc`.
//! Nodes are looked up, never opened.

mod blocks;
mod class;
mod facts;
mod holders;
mod id;
mod links;
mod names;
mod pattern;
mod secret;
mod sysfs;

#[cfg(test)]
mod tests;

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

pub use blocks::block_sizes;
pub use class::{Row, Rows, class_by_name, class_named, class_rows, classes, everything, number_of_row, row};
pub use holders::{Holder, holders};
pub use id::IdKey;
pub use pattern::{Pattern, PatternError, resolve};
pub use secret::id_key;
pub use sysfs::Sysfs;

use crate::model::capture::{DeviceKind, DeviceNumber};
use crate::model::device::Device;
use class::{PTS_MAJORS, Registered, class_of};
use facts::Facts;
use links::Links;
use sysfs::Level;

/// Folders below each other that nodes are looked for in.
const DEPTH: usize = 8;

/// Nodes that are listed: hosts with thousands of disks have so many.
const NODES: usize = 16 * 1024;

/// Folders of `/dev` that hold other things than nodes.
const NOT_NODES: &[&str] = &["shm", "mqueue", "hugepages", "fd"];

/// The devices of this host.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    sysfs: Sysfs,
    key: Option<IdKey>,
}

impl Catalog {
    /// Of these trees. With a key ids are hidden.
    #[must_use]
    pub fn new(sysfs: Sysfs, key: Option<IdKey>) -> Self {
        Self { sysfs, key }
    }

    /// Where it looks.
    #[must_use]
    pub fn sysfs(&self) -> &Sysfs {
        &self.sysfs
    }

    /// Describes a device by its number.
    #[must_use]
    pub fn describe(&self, number: DeviceNumber) -> Device {
        self.describe_among(number, &Surroundings::new(&self.sysfs))
    }

    fn describe_among(&self, number: DeviceNumber, around: &Surroundings<'_>) -> Device {
        self.hidden(open(number, around))
    }

    /// A device with its id hidden, if ids are.
    fn hidden(&self, mut device: Device) -> Device {
        if let Some(key) = &self.key {
            key.apply(&mut device);
        }
        device
    }

    /// Describes a device by its number, with its id not hidden.
    #[must_use]
    pub fn describe_plainly(&self, number: DeviceNumber) -> Device {
        open(number, &Surroundings::new(&self.sysfs))
    }

    /// The class of a device alone.
    #[must_use]
    pub fn class(&self, number: DeviceNumber) -> &'static str {
        Node::find(number, &Surroundings::new(&self.sysfs)).class
    }

    /// Changes when the number is given to another device, 0 if it is nobody's. One system call.
    #[must_use]
    pub fn stamp(&self, number: DeviceNumber) -> u64 {
        self.sysfs.stamp(number)
    }

    /// Every device that has a node, by class and path. One that has several nodes is there several times.
    #[must_use]
    pub fn list(&self) -> Vec<Device> {
        let around = Surroundings::new(&self.sysfs);
        let mut devices: Vec<Device> = Vec::new();
        let mut nodes: HashMap<DeviceNumber, Vec<String>> = HashMap::new();
        for (node, number) in nodes_below(&self.sysfs.dev) {
            nodes.entry(number).or_default().push(node);
        }
        let mut numbers: BTreeSet<DeviceNumber> = nodes.keys().copied().collect();
        numbers.extend(self.sysfs.numbers());
        for number in numbers.into_iter().take(NODES) {
            let device = self.describe_among(number, &around);
            let has_node = |path: &str| {
                let inside = path.strip_prefix("/dev/").map(|node| self.sysfs.dev.join(node));
                inside.is_some_and(|node| fs::symlink_metadata(node).is_ok())
            };
            let own = has_node(&device.path);
            let others = nodes.remove(&number).unwrap_or_default().into_iter();
            let others = others.map(|node| format!("/dev/{node}")).filter(|path| **path != *device.path);
            devices.extend(others.map(|path| Device { path: path.into(), ..device.clone() }));
            if own {
                devices.push(device);
            }
        }
        devices.sort_by_cached_key(|device| (device.class, natural(&device.path)));
        devices
    }
}

/// A key that sorts `event10` behind `event9`.
fn natural(path: &str) -> Vec<(String, u64)> {
    let mut parts = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let text = rest.trim_start_matches(|c: char| !c.is_ascii_digit());
        let word = &rest[..rest.len() - text.len()];
        rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = &text[..text.len() - rest.len()];
        parts.push((word.to_owned(), digits.parse().unwrap_or(0)));
    }
    parts
}

/// A device as far as its node tells.
struct Node {
    /// Itself and the devices above it.
    chain: Vec<Level>,
    /// Its name below `/dev`; may be empty.
    name: String,
    class: &'static str,
}

impl Node {
    fn find(number: DeviceNumber, around: &Surroundings<'_>) -> Self {
        let DeviceNumber { kind, major, minor } = number;
        let folder = around.sysfs.folder(number);
        let chain = folder.as_deref().map(|folder| around.sysfs.chain(folder)).unwrap_or_default();
        let named = folder.as_deref().and_then(|folder| sysfs::uevent(folder, "DEVNAME"));
        let name = match named {
            Some(name) => name.trim_start_matches("/dev/").to_owned(),
            // Terminals of `/dev/pts` are not in the kernel's tree.
            None if kind == DeviceKind::Char && PTS_MAJORS.contains(&major) => {
                format!("pts/{}", minor + 256 * (major - PTS_MAJORS.start()))
            }
            None => String::new(),
        };
        let subsystem = chain.first().filter(|level| Some(&level.path) == folder.as_ref());
        let subsystem = subsystem.map_or("", |level| level.subsystem.as_str());
        let class = class_of(subsystem, &name, number, around.registered());
        Self { chain, name, class }
    }
}

/// Describes a device, hiding nothing.
fn open(number: DeviceNumber, around: &Surroundings<'_>) -> Device {
    let Node { chain, name: node, class } = Node::find(number, around);
    let path: Arc<str> = if node.is_empty() {
        let kind = if number.kind == DeviceKind::Char { "char" } else { "block" };
        format!("{kind}:{}:{}", number.major, number.minor).into()
    } else {
        format!("/dev/{node}").into()
    };
    let facts = Facts { around, number, class, chain, node };
    Device { number, class, path, id: id::id(&facts).into(), identity: facts.identity() }
}

/// The devices of a bus or class: name and folder.
type Siblings = Rc<[(String, PathBuf)]>;

/// What is read once for many devices, when first needed.
struct Surroundings<'a> {
    sysfs: &'a Sysfs,
    registered: OnceCell<Registered>,
    links: OnceCell<Links>,
    buses: OnceCell<Vec<String>>,
    usb: OnceCell<Vec<String>>,
    siblings: RefCell<HashMap<String, Siblings>>,
}

impl<'a> Surroundings<'a> {
    fn new(sysfs: &'a Sysfs) -> Self {
        Self {
            sysfs,
            registered: OnceCell::new(),
            links: OnceCell::new(),
            buses: OnceCell::new(),
            usb: OnceCell::new(),
            siblings: RefCell::default(),
        }
    }

    fn registered(&self) -> &Registered {
        self.registered.get_or_init(|| Registered::read(self.sysfs))
    }

    fn links(&self, node: &str) -> Vec<Arc<str>> {
        if node.is_empty() {
            return Vec::new();
        }
        self.links.get_or_init(|| Links::read(&self.sysfs.dev)).of(node)
    }

    /// Whether a subsystem is a bus rather than a class.
    fn is_bus(&self, subsystem: &str) -> bool {
        self.buses
            .get_or_init(|| sysfs::entries(&self.sysfs.sys.join("bus")))
            .iter()
            .any(|bus| bus == subsystem)
    }

    /// Names of USB devices, without their interfaces.
    fn usb_devices(&self) -> &[String] {
        self.usb.get_or_init(|| {
            let mut names = sysfs::entries(&self.sysfs.sys.join("bus/usb/devices"));
            names.retain(|name| !name.contains(':'));
            names
        })
    }

    /// The devices of a bus or class: name and folder.
    fn of_subsystem(&self, subsystem: &str) -> Siblings {
        if let Some(known) = self.siblings.borrow().get(subsystem) {
            return Rc::clone(known);
        }
        let sys = fs::canonicalize(&self.sysfs.sys).unwrap_or_default();
        let class = self.sysfs.sys.join("class").join(subsystem);
        let folder =
            if class.is_dir() { class } else { self.sysfs.sys.join("bus").join(subsystem).join("devices") };
        let place = |name: String| {
            // `../../devices/…`, from the root of the tree.
            let target = fs::read_link(folder.join(&name)).ok()?;
            let inside = target.components().skip_while(|part| part.as_os_str() == "..");
            Some((name, sys.join(inside.collect::<PathBuf>())))
        };
        let found: Siblings = sysfs::entries(&folder).into_iter().filter_map(place).collect();
        self.siblings.borrow_mut().insert(subsystem.to_owned(), Rc::clone(&found));
        found
    }
}

/// Nodes below `/dev` with their numbers; links are other names of them and left out.
fn nodes_below(dev: &Path) -> Vec<(String, DeviceNumber)> {
    let mut found = Vec::new();
    let mut folders = vec![(PathBuf::new(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for name in sysfs::entries(&dev.join(&folder)) {
            let node = folder.join(&name);
            let Ok(metadata) = fs::symlink_metadata(dev.join(&node)) else { continue };
            if metadata.is_dir() && depth < DEPTH && !NOT_NODES.contains(&name.as_str()) {
                folders.push((node, depth + 1));
            } else if let Some(number) = number_of(&metadata)
                // The same as `/dev/ptmx`.
                && node != Path::new("pts/ptmx")
                && found.len() < NODES
            {
                found.push((node.to_string_lossy().into_owned(), number));
            }
        }
    }
    found
}

/// The device number of a node; `None` if the path is no device.
#[must_use]
pub fn node_number(path: &Path) -> Option<DeviceNumber> {
    number_of(&fs::metadata(path).ok()?)
}

fn number_of(metadata: &fs::Metadata) -> Option<DeviceNumber> {
    let kind = match metadata.file_type() {
        kind if kind.is_char_device() => DeviceKind::Char,
        kind if kind.is_block_device() => DeviceKind::Block,
        _ => return None,
    };
    let rdev = metadata.rdev();
    Some(DeviceNumber { kind, major: libc::major(rdev), minor: libc::minor(rdev) })
}

/// The filter row of a device node; `None` if the path is no device.
#[must_use]
pub fn node_row(path: &Path) -> Option<Row> {
    node_number(path).map(row)
}
