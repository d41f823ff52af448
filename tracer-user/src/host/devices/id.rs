//! The stable identity of a device, and how it is hidden.
//!
//! `CLASS:SCHEME:PARTS`, where the scheme is the first of these that the hardware has:
//!
//! | scheme | parts |
//! | --- | --- |
//! | `usb` | vendor, product, serial number or `@` and the port that it is plugged into; `ifNN` of a part of it |
//! | `mmc`, `nvme`, `scsi`, `virtio`, `dm`, `md` | serial number, world-wide name or UUID of a disk |
//! | `radio` | address of a wireless keyboard or the like |
//! | a bus | address on it: `pci:0000:00:1f.3`, `platform:fe204000.spi` |
//!
//! and behind them what tells several nodes of one device apart. What has no hardware goes by its node's name:
//! `block:loop0`, `tty:pts/3`.

use std::hash::Hasher as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use siphasher::sip::SipHasher24;

use super::facts::Facts;
use super::sysfs::{Level, clean, text};
use crate::model::capture::DeviceKind;
use crate::model::device::Device;

/// Serial numbers that makers leave in without having given one, in upper case.
const PLACEHOLDERS: &[&str] = &[
    "NONE",
    "N/A",
    "NA",
    "NULL",
    "(NULL)",
    "UNKNOWN",
    "DEFAULT",
    "DEFAULT STRING",
    "NOT SPECIFIED",
    "SERIAL",
    "SERIALNUMBER",
    "SERIAL NUMBER",
    "SYSTEM SERIAL NUMBER",
    "TO BE FILLED BY O.E.M.",
];

/// Beginnings of these are placeholders too.
const COUNTED: &[&str] = &["0123456789ABCDEF", "1234567890ABCDEF", "12345678901234567890"];

/// The id of a device.
pub(super) fn id(facts: &Facts<'_>) -> String {
    let Some((scheme, mut parts)) = anchor(facts) else { return by_name(facts) };
    parts.extend(within(facts, &scheme));
    let parts: Vec<_> = parts.iter().map(|part| plain(part)).collect();
    let class = facts.class;
    if scheme == class {
        format!("{class}:{}", parts.join(":"))
    } else {
        format!("{class}:{}:{}", plain(&scheme), parts.join(":"))
    }
}

fn by_name(facts: &Facts<'_>) -> String {
    if !facts.node.is_empty() {
        return format!("{}:{}", facts.class, plain(&facts.node));
    }
    let letter = if facts.number.kind == DeviceKind::Char { 'c' } else { 'b' };
    format!("{}:{letter}{}:{}", facts.class, facts.number.major, facts.number.minor)
}

/// The hardware, by scheme and parts.
fn anchor(facts: &Facts<'_>) -> Option<(String, Vec<String>)> {
    let found = |scheme: &str, parts: Vec<String>| Some((scheme.to_owned(), parts));
    if let Some(usb) = facts.usb() {
        let numbers = ["idVendor", "idProduct"].map(|name| usb.text(name).unwrap_or_default());
        let mut parts = numbers.to_vec();
        parts.extend(usb_piece(facts, usb));
        let interface = facts.interface().and_then(|interface| interface.text("bInterfaceNumber"));
        parts.extend(interface.map(|number| format!("if{number}")));
        return found("usb", parts);
    }
    let serial = || facts.serial().filter(|serial| !is_placeholder(serial));
    if let Some(card) = facts.nearest("mmc") {
        let parts: Vec<_> = card.text("name").into_iter().chain(serial()).collect();
        if parts.len() == 2 {
            return found("mmc", parts);
        }
    }
    if facts.nvme().is_some()
        && let Some(piece) = serial().or_else(|| facts.world_wide_name())
    {
        return found("nvme", vec![piece]);
    }
    if let Some(name) = facts.world_wide_name() {
        return found("scsi", vec![name]);
    }
    if facts.nearest("virtio").is_some()
        && let Some(serial) = serial()
    {
        return found("virtio", vec![serial]);
    }
    if let Some(own) = facts.chain.iter().find(|level| level.subsystem == "block" && !level.has("partition"))
    {
        for (scheme, attribute) in [("dm", "dm/uuid"), ("md", "md/uuid")] {
            if let Some(uuid) = own.text(attribute) {
                return found(scheme, vec![uuid]);
            }
        }
    }
    if let Some(address) = facts.unique() {
        return found("radio", vec![address]);
    }
    place(facts)
}

/// The address of the nearest place whose address does not depend on the order in which buses were found, and what
/// lies between there and here: a chip select, an address on an I2C bus.
fn place(facts: &Facts<'_>) -> Option<(String, Vec<String>)> {
    let mut between = Vec::new();
    for level in facts.chain.iter().filter(|level| facts.is_place(level)) {
        match level.subsystem.as_str() {
            // `spi0.1`: bus and chip select.
            "spi" => between.push(format!("cs{}", level.name.rsplit('.').next().unwrap_or_default())),
            // `1-0068`: bus and address.
            "i2c" => between.push(level.name.rsplit('-').next().unwrap_or_default().to_owned()),
            bus => {
                let parts = [level.name.clone()].into_iter().chain(between.into_iter().rev()).collect();
                return Some((bus.to_owned(), parts));
            }
        }
    }
    None
}

/// Which piece a USB device is: by its serial number, or where it has none by its port.
fn usb_piece(facts: &Facts<'_>, usb: &Level) -> Vec<String> {
    let port = || format!("@{}", usb_port(facts, usb));
    match usb.text("serial").filter(|serial| !is_placeholder(serial)) {
        // Some makers give every piece the same number.
        Some(serial) if has_twin(facts, usb, &serial) => vec![serial, port()],
        Some(serial) => vec![serial],
        None => vec![port()],
    }
}

/// `pci-0000:00:14.0-usbv2-1.4`: the controller, the speed (the ports of the fast and the slow half of a controller are
/// counted apart), and the ports on the way from there.
fn usb_port(facts: &Facts<'_>, usb: &Level) -> String {
    let above = facts.chain.iter().skip_while(|level| level.path != usb.path);
    let root = above.clone().find(|level| level.subsystem == "usb" && is_root_hub(level));
    let controller = above.skip_while(|level| level.subsystem == "usb").find(|level| facts.is_place(level));
    let speed = root.and_then(|root| root.text("version")).and_then(|version| version.chars().next());
    let ports = usb.name.split_once('-').map_or("0", |(_, ports)| ports);
    let controller = controller.map_or_else(
        || root.map_or_else(|| "usb".to_owned(), |root| root.name.clone()),
        |level| format!("{}-{}", level.subsystem, level.name),
    );
    match speed {
        Some(speed) => format!("{controller}-usbv{speed}-{ports}"),
        None => format!("{controller}-{ports}"),
    }
}

/// `usb1`, as opposed to `1-1.4`.
fn is_root_hub(level: &Level) -> bool {
    level.name.starts_with("usb") && level.has("idVendor")
}

/// Whether another device of the same make says that it has the same serial number.
fn has_twin(facts: &Facts<'_>, usb: &Level, serial: &str) -> bool {
    let folder = facts.around.sysfs.sys.join("bus/usb/devices");
    let same = |other: &Path, attribute: &str| text(&other.join(attribute)) == usb.text(attribute);
    let others = facts.around.usb_devices().iter().filter(|name| **name != usb.name);
    others.into_iter().map(|name| folder.join(name)).any(|other| {
        text(&other.join("serial")).as_deref() == Some(serial)
            && same(&other, "idVendor")
            && same(&other, "idProduct")
    })
}

/// Whether a serial number is none.
pub(super) fn is_placeholder(serial: &str) -> bool {
    let upper = serial.trim().to_uppercase();
    let mut letters = upper.chars();
    let first = letters.next();
    first.is_none_or(|first| letters.all(|letter| letter == first))
        || PLACEHOLDERS.contains(&upper.as_str())
        || COUNTED.iter().any(|counted| counted.starts_with(&upper))
}

/// What tells a node from others that have the same anchor.
fn within(facts: &Facts<'_>, scheme: &str) -> Vec<String> {
    let Some(own) = facts.own() else { return Vec::new() };
    match own.subsystem.as_str() {
        "block" => {
            let mut parts = disk_part(facts, own, scheme);
            parts.extend(own.text("partition").map(|number| format!("part{number}")));
            parts
        }
        // `pcmC0D0p`: the card's number is not stable.
        "sound" => vec![without_card(&own.name)],
        "nvme-generic" => {
            // The namespace's disk is beside it, under the same number.
            let disk = own.name.strip_prefix("ng").unwrap_or_default();
            vec![namespace(&own.name, own.text(&format!("../nvme{disk}/nsid"))), "generic".to_owned()]
        }
        "bsg" => ["bsg".to_owned()].into_iter().chain(ordinal(facts, own)).collect(),
        "nvme" | "usb" | "spidev" => Vec::new(),
        "mtd" => [ordinal(facts, own), own.name.ends_with("ro").then(|| "ro".to_owned())]
            .into_iter()
            .flatten()
            .collect(),
        "input" | "video4linux" | "drm" => {
            let kind = kind(&own.name);
            let usual = matches!(kind, "event" | "video" | "card");
            [(!usual).then(|| kind.to_owned()), ordinal(facts, own)].into_iter().flatten().collect()
        }
        _ => ordinal(facts, own).into_iter().collect(),
    }
}

/// Which disk of its anchor it is.
fn disk_part(facts: &Facts<'_>, own: &Level, scheme: &str) -> Vec<String> {
    let disk = facts.chain.iter().find(|level| level.subsystem == "block" && !level.has("partition"));
    let disk = disk.unwrap_or(own);
    if facts.nvme().is_some() {
        return vec![namespace(&disk.name, disk.text("nsid"))];
    }
    if matches!(scheme, "scsi" | "virtio" | "dm" | "md") {
        // The disk itself was named.
        return Vec::new();
    }
    // `mmcblk0boot0` lies below `mmcblk0`.
    let above = disk.path.parent().map(super::sysfs::lossy).unwrap_or_default();
    match disk.name.strip_prefix(above.as_str()) {
        Some(rest) if !rest.is_empty() && !above.is_empty() => vec![rest.to_owned()],
        _ => ordinal(facts, disk).into_iter().collect(),
    }
}

/// `ns1`: the controller's own number. That in names (`nvme0n1`, `nvme0c0n1`, `ng0n1`) says in which order namespaces were
/// found, which differs from boot to boot.
fn namespace(name: &str, nsid: Option<String>) -> String {
    format!("ns{}", nsid.as_deref().or(name.rsplit('n').next()).unwrap_or_default())
}

/// `pcmD0p` of `pcmC0D0p`.
fn without_card(name: &str) -> String {
    let Some((kind, rest)) = name.split_once('C') else { return name.to_owned() };
    format!("{kind}{}", rest.trim_start_matches(|c: char| c.is_ascii_digit()))
}

/// A name without the number at its end.
fn kind(name: &str) -> &str {
    name.trim_end_matches(|c: char| c.is_ascii_digit())
}

/// How many nodes of the same kind the device has before this one; `None` for the first.
fn ordinal(facts: &Facts<'_>, own: &Level) -> Option<String> {
    let anchor = facts.interface().or_else(|| facts.usb()).or_else(|| facts.place())?;
    let disks = own.subsystem == "block";
    let fits = |(name, path): &&(String, PathBuf)| {
        path.starts_with(&anchor.path)
            && if disks { text(&path.join("partition")).is_none() } else { kind(name) == kind(&own.name) }
    };
    let siblings = facts.around.of_subsystem(&own.subsystem);
    let mut names: Vec<&str> = siblings.iter().filter(fits).map(|(name, _)| name.as_str()).collect();
    // Numbers count up: the shorter one is the earlier one.
    names.sort_unstable_by_key(|name| (name.len(), *name));
    let place = names.iter().position(|name| *name == own.name)?;
    (place > 0).then(|| place.to_string())
}

/// A part of an id without anything that a shell or a query language would trip over.
pub(super) fn plain(part: &str) -> String {
    let mut out = String::with_capacity(part.len());
    for c in part.trim().chars() {
        if c.is_ascii_alphanumeric() || "._@/#+=,:-".contains(c) {
            out.push(c);
        } else if !out.ends_with('_') {
            out.push('_');
        }
    }
    out.trim_matches('_').to_owned()
}

/// What ids are hidden with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IdKey([u8; 16]);

impl std::fmt::Debug for IdKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdKey(…)")
    }
}

impl IdKey {
    /// A key of these bytes.
    #[must_use]
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The hidden form of a text: 16 hex digits, always the same with the same key.
    fn hide(&self, text: &str) -> String {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(text.as_bytes());
        format!("{:016x}", hasher.finish())
    }

    /// Hides the id, and what else belongs to the single piece alone: its serial number and the links that hold it.
    pub(super) fn apply(&self, device: &mut Device) {
        device.id = format!("{}:{}", device.class, self.hide(&device.id)).into();
        let identity = &mut device.identity;
        if let Some(serial) = &mut identity.serial {
            *serial = self.hide(serial).into();
        }
        for link in &mut identity.links {
            if let Some((folder, name)) = link.rsplit_once("/by-id/") {
                *link = Arc::from(format!("{folder}/by-id/{}", self.hide(name)));
            }
        }
    }
}

/// Reads a key from its file's text; `None` if it holds none.
pub(super) fn key_of(text: &[u8]) -> Option<IdKey> {
    let text = clean(text)?;
    let byte = |at: usize| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok();
    let mut key = [0; 16];
    for (at, place) in key.iter_mut().enumerate() {
        *place = byte(at)?;
    }
    Some(IdKey(key))
}
