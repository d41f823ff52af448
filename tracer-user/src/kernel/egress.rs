//! Packets, where calls do not show their bytes: `sendfile` and `splice` to a connection.
//!
//! One program at the root of the version 2 hierarchy of control groups sees the packets of every process of the host, and
//! looks at those of connections on which such a call was seen.

use std::fs::{self, File};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use aya::Ebpf;
use aya::maps::{Array, MapData, MapError};
use aya::programs::{CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, ProgramError};
use tracer_common::config::map;

use super::features::chain;

/// The program.
pub(super) const PROGRAM: &str = "packet_out";

/// Attaches the program and tells the kernel side that packets are looked at. Links to a control group always stand
/// beside others, whatever the mode says.
///
/// # Errors
/// What keeps it from being attached, in words.
pub(super) fn attach(bpf: &mut Ebpf) -> Result<(), String> {
    let program = bpf.program_mut(PROGRAM).ok_or("no such program in the object")?;
    let program: &mut CgroupSkb = program.try_into().map_err(|error: ProgramError| chain(&error))?;
    program.load().map_err(|error| chain(&error))?;
    let Some(root) = root(&fs::read("/proc/self/mountinfo").unwrap_or_default()) else {
        return Err("no version 2 hierarchy of control groups is mounted".to_owned());
    };
    let group = File::open(&root).map_err(|error| format!("cannot open {}: {error}", root.display()))?;
    program
        .attach(group, CgroupSkbAttachType::Egress, CgroupAttachMode::Single)
        .map_err(|error| format!("{}: {}", root.display(), chain(&error)))?;
    set(bpf, ATTACHED, 1)
}

/// Index of a map: whether the program is attached.
const ATTACHED: u32 = 0;
/// The same: whether any packets are looked at.
const ARMED: u32 = 1;

fn set(bpf: &mut Ebpf, index: u32, value: u32) -> Result<(), String> {
    let state = bpf.map_mut(map::EGRESS_STATE).ok_or("no such map in the object")?;
    let mut state: Array<&mut MapData, u32> = state.try_into().map_err(|error: MapError| chain(&error))?;
    state.set(index, value, 0).map_err(|error| chain(&error))
}

/// Packets are not looked at any more.
pub(super) fn mute(bpf: &mut Ebpf) {
    for index in [ATTACHED, ARMED] {
        // Records come a little longer, no more.
        let _ = set(bpf, index, 0);
    }
}

/// Where the whole version 2 hierarchy is mounted, as `/proc/PID/mountinfo` tells (proc(5)): of several, the first.
fn root(mounts: &[u8]) -> Option<PathBuf> {
    mounts.split(|byte| *byte == b'\n').find_map(|line| {
        let mut words = line.split(|byte| *byte == b' ');
        let (folder, place) = (words.nth(3)?, words.next()?);
        let kind = words.skip_while(|word| *word != b"-").nth(1)?;
        (folder == b"/" && kind == b"cgroup2").then(|| unescaped(place))
    })
}

/// Blanks and the like are written as three octal digits behind a backslash.
fn unescaped(place: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(place.len());
    let mut rest = place;
    while let Some((&first, behind)) = rest.split_first() {
        let digits = behind.first_chunk::<3>().filter(|_| first == b'\\');
        let byte = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        path.push(byte.unwrap_or(first));
        rest = if byte.is_some() { behind.get(3..).unwrap_or_default() } else { behind };
    }
    Path::new(&std::ffi::OsString::from_vec(path)).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_hierarchy_is_found_wherever_it_is_mounted() {
        let line = |folder: &str, place: &str, kind: &str| {
            format!("36 35 0:31 {folder} {place} rw,relatime shared:9 - {kind} cgroup2 rw\n")
        };
        let part = line("/a.slice", "/part", "cgroup2");
        let old = line("/", "/sys/fs/cgroup/cpu", "cgroup");
        let whole = line("/", "/sys/fs/my\\040groups", "cgroup2");
        assert_eq!(root((old.clone() + &part + &whole).as_bytes()), Some("/sys/fs/my groups".into()));
        assert_eq!(root((old + &part).as_bytes()), None);
        assert_eq!(root(b""), None);
    }
}
