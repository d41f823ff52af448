//! From what the user asked for to what the kernel side is told.

use std::collections::BTreeSet;
use std::str::FromStr;

use crate::device;
use crate::host::devices::{self, Catalog, Pattern, PatternError, Rows};
use crate::host::processes;
use crate::kernel::selection::{Selection, padded};
use crate::model::op::System;
use tracer_common::bus::Bus;

/// A broker to trace: protocol, and a port or the path of a unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Its protocol.
    pub system: System,
    /// Where it listens.
    pub place: Place,
}

/// Where a broker listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// TCP.
    Port(u16),
    /// A unix socket.
    Path(String),
}

/// A request that makes no sense on this host. Says what, why, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// No such protocol.
    #[error(
        "unknown broker `{0}`: use amqp, kafka, mqtt, nats or redis, alone or with :PORT or :/PATH/OF/SOCKET"
    )]
    Broker(String),
    /// No such process.
    #[error("there is no process {0}; list the running ones with `ps -e`")]
    Process(u32),
    /// No name.
    #[error("an empty --comm names no program; use the program's name, such as mosquitto")]
    Comm,
    /// No such device.
    #[error(transparent)]
    Device(#[from] PatternError),
}

/// Protocols that are decoded, with the port that belongs to each.
const DECODED: &[(&str, System, u16)] = &[
    ("mqtt", System::Mqtt, 1883),
    ("amqp", System::Rabbitmq, 5672),
    ("redis", System::Redis, 6379),
    ("kafka", System::Kafka, 9092),
    ("nats", System::Nats, 4222),
];

impl FromStr for Broker {
    type Err = SelectError;

    fn from_str(text: &str) -> Result<Self, SelectError> {
        let (name, place) = text.split_once(':').map_or((text, None), |(name, place)| (name, Some(place)));
        let unknown = || SelectError::Broker(text.to_owned());
        let (_, system, port) = DECODED.iter().find(|(known, ..)| *known == name).ok_or_else(unknown)?;
        let place = match place {
            None => Place::Port(*port),
            Some(path) if path.starts_with('/') => Place::Path(path.to_owned()),
            Some(port) => Place::Port(port.parse().ok().filter(|port| *port != 0).ok_or_else(unknown)?),
        };
        Ok(Self { system: *system, place })
    }
}

/// What the user asked for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Processes by number.
    pub pids: Vec<u32>,
    /// Processes by name.
    pub comms: Vec<String>,
    /// Devices, as [`Pattern::parse`] takes them.
    pub devices: Vec<String>,
    /// Brokers.
    pub brokers: Vec<Broker>,
    /// A command is started, and it and its children are traced.
    pub command: bool,
}

/// What is to be traced.
#[derive(Clone, Debug)]
pub struct Plan {
    /// For the kernel side.
    pub selection: Selection,
    /// Ports with their protocol.
    pub ports: Vec<(u16, System)>,
    /// The devices that are meant, those that are not there yet included.
    pub devices: Vec<Pattern>,
    /// What they are now.
    pub rows: Rows,
}

impl Plan {
    /// A line for each pattern of devices that means nothing yet: what is waited for, and what there is instead.
    #[must_use]
    pub fn waiting(&self, catalog: &Catalog) -> Vec<String> {
        let named = self.devices.iter().filter(|pattern| **pattern != Pattern::Everything);
        let named: Vec<Pattern> = named.cloned().collect();
        let (_, waiting) = devices::resolve(&named, catalog);
        let line = |pattern: &&Pattern| {
            format!("no device is {pattern} yet: waiting for it to be plugged in{}", pattern.instead(catalog))
        };
        waiting.iter().map(line).collect()
    }
}

/// Resolves a request on this host.
///
/// Of a request that names neither a device nor a broker, every device class and every broker port that iotrail knows
/// is traced; of one that names no process, every process.
///
/// # Errors
/// Something that was asked for does not exist.
pub fn resolve(request: &Request, catalog: &Catalog) -> Result<Plan, SelectError> {
    let mut selection = Selection { ioctls: device::recipes().to_vec(), ..Selection::default() };
    let mut ports = Vec::new();
    let everything = request.devices.is_empty() && request.brokers.is_empty();
    let mut patterns = Vec::new();
    if everything {
        patterns.push(Pattern::Everything);
        ports.extend(DECODED.iter().map(|(_, system, port)| (*port, *system)));
    }
    for device in &request.devices {
        patterns.push(Pattern::parse(device, catalog)?);
    }
    let (rows, _) = devices::resolve(&patterns, catalog);
    for broker in &request.brokers {
        match &broker.place {
            Place::Port(port) => ports.push((*port, broker.system)),
            Place::Path(path) => {
                selection.unix_paths.insert(path.clone());
            }
        }
    }
    selection.ports = ports.iter().map(|(port, _)| *port).collect();
    if request.command || !request.pids.is_empty() || !request.comms.is_empty() {
        let mut pids = BTreeSet::new();
        for pid in &request.pids {
            if !processes::exists(*pid) {
                return Err(SelectError::Process(*pid));
            }
            pids.insert(*pid);
        }
        if request.comms.iter().any(String::is_empty) {
            return Err(SelectError::Comm);
        }
        pids.extend(processes::named(&request.comms));
        selection.processes = Some(pids);
        selection.comms =
            request.comms.iter().map(|comm| padded(&comm.as_bytes()[..comm.len().min(15)])).collect();
    }
    selection.buses = buses_of(&rows);
    selection.awaits_devices = !patterns.is_empty();
    if selection.awaits_devices {
        selection.blocks = devices::block_sizes(catalog.sysfs());
        // So many drives there hardly are; of the rest only the length of some commands' data stays unknown.
        selection.blocks.truncate(tracer_common::limits::BLOCKS as usize);
    }
    choose(&mut selection, rows.clone());
    Ok(Plan { selection, ports, devices: patterns, rows })
}

/// Selects these devices and no others.
pub(super) fn choose(selection: &mut Selection, rows: Rows) {
    selection.families = rows.iter().map(|(row, class)| (*row, device::family(class))).collect();
    selection.devices = rows.into_keys().collect();
}

/// The buses that these devices may hang on.
pub(super) fn buses_of(rows: &Rows) -> BTreeSet<Bus> {
    rows.values().flat_map(|class| buses(class)).copied().collect()
}

/// The buses that devices of a class may hang on, if a command there is not over before its transactions are: a serial
/// line's write is done when the driver has the bytes.
pub(super) fn buses(class: &str) -> &'static [Bus] {
    match class {
        // An adapter may hang on USB itself.
        "i2c" => &[Bus::I2c, Bus::Smbus, Bus::Usb],
        "usb" | "hid" | "gpio" => &[Bus::Usb],
        "spi" => &[Bus::Spi],
        "scsi" => &[Bus::Scsi, Bus::Block],
        "nvme" => &[Bus::Nvme, Bus::Block],
        "block" => &[Bus::Block, Bus::Scsi, Bus::Nvme],
        "video" => &[Bus::V4l2],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_read() {
        let port = |port| Ok(Broker { system: System::Mqtt, place: Place::Port(port) });
        assert_eq!("mqtt".parse(), port(1883));
        assert_eq!("mqtt:18830".parse(), port(18830));
        assert_eq!("amqp".parse(), Ok(Broker { system: System::Rabbitmq, place: Place::Port(5672) }),);
        assert_eq!(
            "mqtt:/run/mosquitto.sock".parse(),
            Ok(Broker { system: System::Mqtt, place: Place::Path("/run/mosquitto.sock".to_owned()) })
        );
        for wrong in ["mqtt:", "mqtt:0", "mqtt:99999", "mqtt:x", "smtp", ""] {
            assert_eq!(wrong.parse::<Broker>(), Err(SelectError::Broker(wrong.to_owned())));
        }
        let kafka = |port| Ok(Broker { system: System::Kafka, place: Place::Port(port) });
        assert_eq!("kafka".parse(), kafka(9092));
        assert_eq!("kafka:19092".parse(), kafka(19092));
    }

    #[test]
    fn what_does_not_exist_is_refused_by_name() {
        let request = |device: &str| Request { devices: vec![device.to_owned()], ..Request::default() };
        let refused = |device: &str| match resolve(&request(device), &Catalog::default()) {
            Err(SelectError::Device(error)) => error,
            other => panic!("{device}: {other:?}"),
        };
        assert!(matches!(refused("/dev/nope0"), PatternError::Missing { .. }));
        assert!(matches!(refused("/etc/passwd"), PatternError::NoDevice(_)));
        assert!(matches!(refused("toaster"), PatternError::Class(..)));
        assert!(matches!(refused("usb:xyz"), PatternError::Usb(..)));
        let request = Request { pids: vec![0x3fff_ffff], ..Request::default() };
        assert!(matches!(resolve(&request, &Catalog::default()), Err(SelectError::Process(_))));
    }

    #[test]
    fn what_may_still_come_is_waited_for_and_said() {
        let device = "usb:1209:beef".to_owned();
        let request = Request { devices: vec![device, "/dev/ttyUSB77".to_owned()], ..Request::default() };
        let plan = resolve(&request, &Catalog::default()).expect("it may come");
        assert_eq!(plan.selection.devices, [(1, 188, Some(77))].into(), "by the number that it will have");
        let lines = plan.waiting(&Catalog::default());
        assert!(lines[0].starts_with("no device is usb:1209:beef yet: waiting"), "{lines:?}");
        assert!(lines[1].contains("/dev/ttyUSB77"), "{lines:?}");
    }

    #[test]
    fn naming_one_side_narrows_that_side_only() {
        let request = Request { devices: vec!["/dev/null".to_owned()], ..Request::default() };
        let plan = resolve(&request, &Catalog::default()).expect("it exists");
        assert_eq!(plan.selection.devices, [(1, 1, Some(3))].into());
        assert!(plan.selection.ports.is_empty() && plan.selection.processes.is_none());
        let plan = resolve(&Request::default(), &Catalog::default()).expect("nothing was asked for");
        assert!(plan.selection.ports.contains(&1883) && plan.selection.devices.contains(&(1, 136, None)));
    }
}
