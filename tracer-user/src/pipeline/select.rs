//! From what the user asked for to what the kernel side is told.

use std::collections::BTreeSet;
use std::path::Path;
use std::str::FromStr;

use crate::device;
use crate::host::{devices, processes};
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
    #[error("unknown broker `{0}`: use mqtt, mqtt:PORT or mqtt:/PATH/OF/SOCKET")]
    Broker(String),
    /// A protocol that this version does not decode.
    #[error("{0} is not decoded by this version; it knows mqtt")]
    Undecoded(String),
    /// No such process.
    #[error("there is no process {0}; list the running ones with `ps -e`")]
    Process(u32),
    /// No such node.
    #[error("there is no device node {0}; plug the device in, or list the nodes with `iotrail devices`")]
    Missing(String),
    /// A path that is no device.
    #[error("{0} is not a device node; list the nodes with `iotrail devices`")]
    NoDevice(String),
    /// No such class.
    #[error("unknown device class `{0}`: use a path or one of {1}")]
    Class(String, String),
}

/// Protocols that are decoded, with the port that belongs to each.
const DECODED: &[(&str, System, u16)] = &[("mqtt", System::Mqtt, 1883)];

/// Protocols that will be.
const KNOWN: &[&str] = &["amqp", "kafka", "nats", "redis"];

impl FromStr for Broker {
    type Err = SelectError;

    fn from_str(text: &str) -> Result<Self, SelectError> {
        let (name, place) = text.split_once(':').map_or((text, None), |(name, place)| (name, Some(place)));
        if KNOWN.contains(&name) {
            return Err(SelectError::Undecoded(name.to_owned()));
        }
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
    /// Paths of nodes and names of classes.
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
}

/// Resolves a request on this host.
///
/// Of a request that names neither a device nor a broker, every device class and every broker port that iotrail knows
/// is traced; of one that names no process, every process.
///
/// # Errors
/// Something that was asked for does not exist.
pub fn resolve(request: &Request) -> Result<Plan, SelectError> {
    let mut selection = Selection { ioctls: device::recipes().to_vec(), ..Selection::default() };
    let mut ports = Vec::new();
    let everything = request.devices.is_empty() && request.brokers.is_empty();
    if everything {
        selection.devices = devices::everything();
        ports.extend(DECODED.iter().map(|(_, system, port)| (*port, *system)));
    }
    for device in &request.devices {
        selection.devices.extend(device_rows(device)?);
    }
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
        pids.extend(processes::named(&request.comms));
        selection.processes = Some(pids);
        selection.comms =
            request.comms.iter().map(|comm| padded(&comm.as_bytes()[..comm.len().min(15)])).collect();
    }
    for row in &selection.devices {
        let class = devices::class_of_row(*row);
        selection.families.insert(*row, device::family(class));
        selection.buses.extend(buses(class));
    }
    Ok(Plan { selection, ports })
}

/// The buses that devices of a class may hang on.
fn buses(class: &str) -> &'static [Bus] {
    match class {
        "i2c" => &[Bus::I2c, Bus::Smbus],
        "spi" => &[Bus::Spi],
        "scsi" => &[Bus::Scsi, Bus::Block],
        "nvme" => &[Bus::Nvme, Bus::Block],
        "block" => &[Bus::Block, Bus::Scsi, Bus::Nvme],
        "video" => &[Bus::V4l2],
        _ => &[],
    }
}

fn device_rows(device: &str) -> Result<devices::Rows, SelectError> {
    if !device.contains('/') {
        return devices::class_rows(device)
            .ok_or_else(|| SelectError::Class(device.to_owned(), devices::classes().join(", ")));
    }
    let path = Path::new(device);
    if !path.exists() {
        return Err(SelectError::Missing(device.to_owned()));
    }
    let row = devices::node_row(path).ok_or_else(|| SelectError::NoDevice(device.to_owned()))?;
    Ok([row].into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_read() {
        let port = |port| Ok(Broker { system: System::Mqtt, place: Place::Port(port) });
        assert_eq!("mqtt".parse(), port(1883));
        assert_eq!("mqtt:18830".parse(), port(18830));
        assert_eq!(
            "mqtt:/run/mosquitto.sock".parse(),
            Ok(Broker { system: System::Mqtt, place: Place::Path("/run/mosquitto.sock".to_owned()) })
        );
        for wrong in ["mqtt:", "mqtt:0", "mqtt:99999", "mqtt:x", "smtp", ""] {
            assert_eq!(wrong.parse::<Broker>(), Err(SelectError::Broker(wrong.to_owned())));
        }
        assert_eq!("kafka:9092".parse::<Broker>(), Err(SelectError::Undecoded("kafka".to_owned())));
    }

    #[test]
    fn what_does_not_exist_is_refused_by_name() {
        let request = |device: &str| Request { devices: vec![device.to_owned()], ..Request::default() };
        assert!(matches!(resolve(&request("/dev/nope0")), Err(SelectError::Missing(_))));
        assert!(matches!(resolve(&request("/etc/passwd")), Err(SelectError::NoDevice(_))));
        assert!(matches!(resolve(&request("toaster")), Err(SelectError::Class(..))));
        let request = Request { pids: vec![0x3fff_ffff], ..Request::default() };
        assert!(matches!(resolve(&request), Err(SelectError::Process(_))));
    }

    #[test]
    fn naming_one_side_narrows_that_side_only() {
        let request = Request { devices: vec!["/dev/null".to_owned()], ..Request::default() };
        let plan = resolve(&request).expect("it exists");
        assert_eq!(plan.selection.devices, [(1, 1, Some(3))].into());
        assert!(plan.selection.ports.is_empty() && plan.selection.processes.is_none());
        let plan = resolve(&Request::default()).expect("nothing was asked for");
        assert!(plan.selection.ports.contains(&1883) && plan.selection.devices.contains(&(1, 136, None)));
    }
}
