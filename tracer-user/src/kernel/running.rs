//! Calls that have not returned yet: the kernel side keeps them, and sends nothing before they end.

use aya::maps::{Array, HashMap, MapData, MapError};
use tracer_common::call::{Call, traits};
use tracer_common::config::{map, running};

use super::load::Attachment;

/// Threads that are looked at: each costs some 0.5 µs, twice a second.
const THREADS: usize = 4096;

/// A call on a device that has not returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// Process id.
    pub pid: u32,
    /// A [`tracer_common::record::Target`]: `Char` or `Block`.
    pub target: u8,
    /// The kernel's device number.
    pub rdev: u32,
}

impl Attachment {
    /// The calls on selected devices that run now; some may have returned meanwhile.
    ///
    /// # Errors
    /// The maps cannot be read.
    pub fn running(&self) -> Result<Vec<Running>, MapError> {
        let missing =
            || MapError::IoError(std::io::Error::other("a map of calls is missing from the object"));
        let threads: HashMap<&MapData, u32, u32> =
            HashMap::try_from(self.bpf.map(map::CALLS).ok_or_else(missing)?)?;
        let slots: Array<&MapData, [u8; running::BYTES]> =
            Array::try_from(self.bpf.map(map::SLOTS).ok_or_else(missing)?)?;
        let numbers = threads.iter().flatten().take(THREADS).map(|(_, number)| number);
        // A thread that is gone meanwhile has left its slot idle.
        Ok(numbers.filter_map(|number| read(&slots.get(&number, 0).ok()?)).collect())
    }
}

/// A call that runs and may be a command.
fn read(slot: &[u8; running::BYTES]) -> Option<Running> {
    let word = |at: usize| Some(u32::from_ne_bytes(*slot.get(at..)?.first_chunk()?));
    let call = Call::from_wire(u16::from_ne_bytes(*slot.get(running::CALL..)?.first_chunk()?))?;
    let moves = traits::INWARD | traits::OUTWARD | traits::UNSEEN | traits::IOCTL;
    let rdev = word(running::DEVICE)?;
    let is_one = slot[running::STATE] == running::RUNNING && rdev != 0 && traits::of(call) & moves != 0;
    is_one.then_some(Running { pid: word(running::PROCESS)?, target: slot[running::TARGET], rdev })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_runs_on_a_device_counts() {
        let mut slot = [0; running::BYTES];
        slot[running::STATE] = running::RUNNING;
        slot[running::TARGET] = 1;
        slot[running::CALL..][..2].copy_from_slice(&(Call::Ioctl as u16).to_ne_bytes());
        slot[running::PROCESS..][..4].copy_from_slice(&7u32.to_ne_bytes());
        assert_eq!(read(&slot), None, "no device");
        slot[running::DEVICE..][..4].copy_from_slice(&9u32.to_ne_bytes());
        assert_eq!(read(&slot), Some(Running { pid: 7, target: 1, rdev: 9 }));
        slot[running::CALL..][..2].copy_from_slice(&(Call::Close as u16).to_ne_bytes());
        assert_eq!(read(&slot), None, "no command");
        slot[running::CALL..][..2].copy_from_slice(&999u16.to_ne_bytes());
        assert_eq!(read(&slot), None, "no call");
        slot[running::CALL..][..2].copy_from_slice(&(Call::Read as u16).to_ne_bytes());
        slot[running::STATE] = 0;
        assert_eq!(read(&slot), None, "returned");
    }
}
