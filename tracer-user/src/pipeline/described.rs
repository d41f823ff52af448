//! The devices in use, each described once, and those of them that were taken away.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::host::devices::Catalog;
use crate::model::capture::DeviceNumber;
use crate::model::device::Device;
use crate::model::time::Timestamp;

/// Devices whose description is kept; describing one again costs some dozens of reads in `/sys`.
const DEVICES: usize = 4096;

/// Devices in use.
pub(super) struct Described {
    catalog: Catalog,
    /// With the number's stamp when it was described.
    devices: HashMap<DeviceNumber, (Arc<Device>, u64)>,
    unplugged: Vec<(Timestamp, DeviceNumber)>,
}

impl Described {
    /// None yet.
    pub(super) fn new(catalog: Catalog) -> Self {
        Self { catalog, devices: HashMap::new(), unplugged: Vec::new() }
    }

    /// What a number is. `opened`: that was just asked of the kernel too, so it is another device if the number was
    /// given away since.
    pub(super) fn get(&mut self, number: DeviceNumber, opened: bool) -> Arc<Device> {
        if opened {
            self.refresh(number);
        }
        if self.devices.len() >= DEVICES && !self.devices.contains_key(&number) {
            // What is forgotten is described anew.
            self.devices.clear();
        }
        let catalog = &self.catalog;
        let (device, _) = self.devices.entry(number).or_insert_with(|| describe(catalog, number));
        Arc::clone(device)
    }

    /// Describes a number again if it was given to another device.
    pub(super) fn refresh(&mut self, number: DeviceNumber) {
        let Some(known) = self.devices.get_mut(&number) else { return };
        let stamp = self.catalog.stamp(number);
        // Of one that is gone, what was known of it stays: who has it open may still use it.
        if stamp != 0 && stamp != known.1 {
            *known = describe(&self.catalog, number);
        }
    }

    /// A device was taken away at `at`; returns whether it was in use.
    pub(super) fn unplug(&mut self, number: DeviceNumber, at: Timestamp) -> bool {
        let used = self.devices.contains_key(&number) && self.unplugged.len() < DEVICES;
        if used {
            self.unplugged.push((at, number));
        }
        used
    }

    /// Those that were taken away by `until` and were not given out yet.
    pub(super) fn gone(&mut self, until: Timestamp) -> impl Iterator<Item = (Timestamp, DeviceNumber)> {
        self.unplugged.extract_if(.., move |(at, _)| *at <= until)
    }
}

fn describe(catalog: &Catalog, number: DeviceNumber) -> (Arc<Device>, u64) {
    // The stamp first: a device that comes in between is described again.
    let stamp = catalog.stamp(number);
    (Arc::new(catalog.describe(number)), stamp)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::host::devices::Sysfs;
    use crate::model::capture::DeviceKind;

    const NUMBER: DeviceNumber = DeviceNumber { kind: DeviceKind::Char, major: 188, minor: 0 };

    /// A tree in which the number is the node `name`'s; it is made before the old one goes, so that it is another one.
    fn give(root: &Path, name: &str) {
        let (devices, place) = (root.join("devices"), root.join("dev/char/188:0"));
        fs::create_dir_all(root.join("dev/char")).expect("it can be made");
        fs::create_dir_all(devices.join(name)).expect("it can be made");
        fs::write(devices.join(name).join("uevent"), format!("DEVNAME={name}\n")).expect("it can be written");
        take(root);
        std::os::unix::fs::symlink(devices.join(name), place).expect("a link");
    }

    fn take(root: &Path) {
        // There is none at first.
        let _ = fs::remove_file(root.join("dev/char/188:0"));
    }

    #[test]
    fn a_number_that_was_given_away_is_described_again_and_a_gone_one_stays() {
        let root = tempfile::tempdir().expect("a folder");
        let sysfs = Sysfs { sys: root.path().to_owned(), ..Sysfs::default() };
        let mut described = Described::new(Catalog::new(sysfs, None));
        give(root.path(), "ttyUSB0");
        let first = described.get(NUMBER, true);
        assert_eq!(&*first.path, "/dev/ttyUSB0");
        assert!(Arc::ptr_eq(&first, &described.get(NUMBER, true)), "nothing has changed");
        take(root.path());
        assert!(Arc::ptr_eq(&first, &described.get(NUMBER, true)), "who has it open uses it still");
        give(root.path(), "ttyUSB1");
        assert!(Arc::ptr_eq(&first, &described.get(NUMBER, false)), "only an open asks");
        assert_eq!(&*described.get(NUMBER, true).path, "/dev/ttyUSB1");
    }

    #[test]
    fn what_was_taken_away_is_given_out_once_in_its_time() {
        let root = tempfile::tempdir().expect("a folder");
        let sysfs = Sysfs { sys: root.path().to_owned(), ..Sysfs::default() };
        let mut described = Described::new(Catalog::new(sysfs, None));
        assert!(!described.unplug(NUMBER, Timestamp(5)), "nobody used it");
        described.get(NUMBER, false);
        assert!(described.unplug(NUMBER, Timestamp(5)));
        assert_eq!(described.gone(Timestamp(4)).count(), 0);
        assert_eq!(described.gone(Timestamp(5)).collect::<Vec<_>>(), [(Timestamp(5), NUMBER)]);
        assert_eq!(described.gone(Timestamp(9)).count(), 0);
    }
}
