//! What the kernel side is told to look at.

use std::collections::{BTreeMap, BTreeSet};

use aya::Ebpf;
use aya::maps::{Array, HashMap, MapData, MapError, Queue};
use tracer_common::bus::Bus;
use tracer_common::call::{self, Abi, traits};
use tracer_common::config::{
    DeviceKey, FAMILY_SHIFT, FdInfo, FdKey, MINORS_MASK, SOME_MINORS, WHOLE_MAJOR, map,
};
use tracer_common::limits::{MARKS, THREADS};
use tracer_common::recipe::{Recipe, RecipeKey};

/// Character (1) or block (2), major, and a minor or every one.
pub type Node = (u32, u32, Option<u32>);

/// Who and what is traced. An event needs both.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Only these processes and their later children; `None`: every process.
    pub processes: Option<BTreeSet<u32>>,
    /// Programs whose processes are selected when they start (with [`Self::processes`]).
    pub comms: BTreeSet<[u8; 16]>,
    /// Character (1) or block (2), major, and a minor or every one.
    pub devices: BTreeSet<(u32, u32, Option<u32>)>,
    /// Devices may be selected later: what shows them is hooked although there is none yet.
    pub awaits_devices: bool,
    /// Buses whose transactions are shown below the commands that they are for.
    pub buses: BTreeSet<Bus>,
    /// TCP ports of brokers.
    pub ports: BTreeSet<u16>,
    /// Paths of brokers' unix sockets.
    pub unix_paths: BTreeSet<String>,
    /// Families of the `ioctl` commands of [`Self::devices`]; 0 if it is not here.
    pub families: BTreeMap<(u32, u32, Option<u32>), u8>,
    /// What the arguments of `ioctl` commands hold and point to, where their number does not tell.
    pub ioctls: Vec<(RecipeKey, Recipe)>,
    /// Bytes of a logical block of devices whose commands count in them.
    pub blocks: Vec<(Node, u32)>,
}

/// Writes a selection into the maps.
///
/// # Errors
/// A map is missing from the object or full.
pub fn fill(bpf: &mut Ebpf, selection: &Selection) -> Result<(), MapError> {
    numbers(bpf)?;
    let mut free: Queue<&mut MapData, u32> = Queue::try_from(named(bpf, map::FREE)?)?;
    for index in 0..THREADS {
        free.push(index, 0)?;
    }
    let mut processes: Array<&mut MapData, [u8; MARKS]> = Array::try_from(named(bpf, map::PROCESSES)?)?;
    for pid in selection.processes.iter().flatten() {
        let index = pid / MARKS as u32;
        let mut marks = processes.get(&index, 0)?;
        marks[*pid as usize % MARKS] = 1;
        processes.set(index, marks, 0)?;
    }
    let mut comms: HashMap<&mut MapData, [u8; 16], u8> = HashMap::try_from(named(bpf, map::COMMS)?)?;
    for comm in &selection.comms {
        comms.insert(*comm, 1, 0)?;
    }
    let mut majors: Array<&mut MapData, u8> = Array::try_from(named(bpf, map::MAJORS)?)?;
    let family = |row| selection.families.get(row).copied().unwrap_or(0);
    for row @ (kind, major, minor) in &selection.devices {
        let index = DeviceKey::major_index(*kind, *major);
        match minor {
            None => majors.set(index, WHOLE_MAJOR | family(row) << FAMILY_SHIFT, 0)?,
            Some(_) if majors.get(&index, 0)? & MINORS_MASK == WHOLE_MAJOR => {}
            Some(_) => majors.set(index, SOME_MINORS, 0)?,
        }
    }
    let mut devices: HashMap<&mut MapData, DeviceKey, u8> = HashMap::try_from(named(bpf, map::DEVICES)?)?;
    for row @ (kind, major, minor) in &selection.devices {
        if let Some(minor) = minor {
            devices.insert(DeviceKey { kind: *kind, major: *major, minor: *minor }, family(row), 0)?;
        }
    }
    let mut ports: Array<&mut MapData, u8> = Array::try_from(named(bpf, map::PORTS)?)?;
    for port in &selection.ports {
        ports.set(u32::from(*port), 1, 0)?;
    }
    let mut paths: HashMap<&mut MapData, [u8; 108], u8> = HashMap::try_from(named(bpf, map::UNIX_PATHS)?)?;
    for path in &selection.unix_paths {
        paths.insert(padded(path.as_bytes()), 1, 0)?;
    }
    let mut ioctls: HashMap<&mut MapData, RecipeKey, Recipe> = HashMap::try_from(named(bpf, map::IOCTLS)?)?;
    for (key, recipe) in &selection.ioctls {
        ioctls.insert(*key, *recipe, 0)?;
    }
    let mut blocks: HashMap<&mut MapData, DeviceKey, u32> = HashMap::try_from(named(bpf, map::BLOCKS)?)?;
    for ((kind, major, minor), bytes) in &selection.blocks {
        if let Some(minor) = *minor {
            blocks.insert(DeviceKey { kind: *kind, major: *major, minor }, *bytes, 0)?;
        }
    }
    Ok(())
}

/// A name or path, cut or padded with NUL to the length of its map's key.
#[must_use]
pub fn padded<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut key = [0; N];
    for (to, from) in key.iter_mut().zip(bytes) {
        *to = *from;
    }
    key
}

fn numbers(bpf: &mut Ebpf) -> Result<(), MapError> {
    let (native, compat) =
        if cfg!(target_arch = "aarch64") { (call::ARM64, call::ARM32) } else { (call::AMD64, call::I386) };
    let mut table: Array<&mut MapData, u32> = Array::try_from(named(bpf, map::NUMBERS)?)?;
    for (abi, rows) in [(Abi::Native, native), (Abi::Compat, compat)] {
        for (number, call) in rows {
            table.set(
                abi as u32 * call::NUMBERS + u32::from(*number),
                *call as u32 | u32::from(traits::of(*call)) << 16,
                0,
            )?;
        }
    }
    Ok(())
}

pub(super) fn named<'a>(bpf: &'a mut Ebpf, name: &str) -> Result<&'a mut aya::maps::Map, MapError> {
    bpf.map_mut(name)
        .ok_or_else(|| MapError::IoError(std::io::Error::other(format!("no map {name} in the object"))))
}

/// Which devices are selected, for changes while a trace runs.
pub struct DeviceFilter {
    majors: Array<MapData, u8>,
    devices: HashMap<MapData, DeviceKey, u8>,
    blocks: HashMap<MapData, DeviceKey, u32>,
}

impl DeviceFilter {
    pub(super) fn take(bpf: &mut Ebpf) -> Result<Self, MapError> {
        let missing = || MapError::IoError(std::io::Error::other("a filter map is missing from the object"));
        Ok(Self {
            majors: Array::try_from(bpf.take_map(map::MAJORS).ok_or_else(missing)?)?,
            devices: HashMap::try_from(bpf.take_map(map::DEVICES).ok_or_else(missing)?)?,
            blocks: HashMap::try_from(bpf.take_map(map::BLOCKS).ok_or_else(missing)?)?,
        })
    }

    /// Selects a device, or every minor of a major, from the next call on. `family`: of its `ioctl` commands.
    ///
    /// # Errors
    /// There are too many.
    pub fn add(&mut self, (kind, major, minor): (u32, u32, Option<u32>), family: u8) -> Result<(), MapError> {
        let index = DeviceKey::major_index(kind, major);
        let Some(minor) = minor else {
            return self.majors.set(index, WHOLE_MAJOR | family << FAMILY_SHIFT, 0);
        };
        self.devices.insert(DeviceKey { kind, major, minor }, family, 0)?;
        if self.majors.get(&index, 0)? & MINORS_MASK != WHOLE_MAJOR {
            self.majors.set(index, SOME_MINORS, 0)?;
        }
        Ok(())
    }

    /// Says how many bytes a logical block of a device has.
    ///
    /// # Errors
    /// There are too many.
    pub fn block(
        &mut self,
        (kind, major, minor): (u32, u32, Option<u32>),
        bytes: u32,
    ) -> Result<(), MapError> {
        match minor {
            Some(minor) => self.blocks.insert(DeviceKey { kind, major, minor }, bytes, 0),
            None => Ok(()),
        }
    }

    /// Selects a single device no longer, unless its whole major is. That it was not selected is no error.
    pub fn remove(&mut self, (kind, major, minor): (u32, u32, Option<u32>)) {
        if let Some(minor) = minor {
            let _ = self.devices.remove(&DeviceKey { kind, major, minor });
        }
    }
}

/// The filters of a running trace, for changes while it runs.
pub struct Live {
    fds: HashMap<MapData, FdKey, FdInfo>,
}

impl Live {
    pub(super) fn take(bpf: &mut Ebpf) -> Result<Self, MapError> {
        let missing = || MapError::IoError(std::io::Error::other("a filter map is missing from the object"));
        Ok(Self { fds: HashMap::try_from(bpf.take_map(map::FDS).ok_or_else(missing)?)? })
    }

    /// Without BTF: says what a descriptor is.
    ///
    /// # Errors
    /// The map is full.
    pub fn set_fd(&mut self, key: FdKey, info: FdInfo) -> Result<(), MapError> {
        self.fds.insert(key, info, 0)
    }

    /// Without BTF: what is known of a descriptor.
    #[must_use]
    pub fn fd(&self, key: &FdKey) -> Option<FdInfo> {
        self.fds.get(key, 0).ok()
    }

    /// Without BTF: forgets a descriptor. That it was not known is no error.
    pub fn remove_fd(&mut self, key: &FdKey) {
        let _ = self.fds.remove(key);
    }

    /// Without BTF: forgets all descriptors of a process that is gone.
    pub fn remove_process(&mut self, pid: u32) {
        let gone: Vec<FdKey> = self.fds.keys().flatten().filter(|key| key.tgid == pid).collect();
        for key in gone {
            self.remove_fd(&key);
        }
    }
}
