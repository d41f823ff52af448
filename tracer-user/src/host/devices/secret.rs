//! The key that hides device ids: the same on each run, another on each host.

use std::fs;
use std::hash::Hasher as _;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use siphasher::sip128::{Hasher128 as _, SipHasher24};

use super::id::{IdKey, key_of};
use super::sysfs::read;

/// Where the key is kept; systemd says another place where it made one.
const FOLDER: &str = "/var/lib/iotrail";

/// The file's name.
const FILE: &str = "device-id.key";

/// The key of this host: made at random when first needed, kept in a file that only its owner can read. Where no file
/// can be kept it is derived from the machine's id, and what is said is why.
#[must_use]
pub fn id_key() -> (IdKey, Option<String>) {
    let folder = std::env::var_os("STATE_DIRECTORY").filter(|folder| !folder.is_empty());
    let folder = folder.map_or_else(|| PathBuf::from(FOLDER), PathBuf::from);
    match kept(&folder) {
        Ok(key) => (key, None),
        Err(error) => {
            let why = format!(
                "cannot keep a key in {}: {error}; device ids are hidden with a key derived from the machine id, which \
                 whoever knows that id can try serial numbers against",
                folder.display()
            );
            (derived(&crate::host::identity::Identity::read().id), Some(why))
        }
    }
}

/// The key in `folder`, made if there is none.
fn kept(folder: &Path) -> std::io::Result<IdKey> {
    let file = folder.join(FILE);
    if let Some(key) = read(&file, 64).as_deref().and_then(key_of) {
        return Ok(key);
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut bytes = [0; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    // Whole or not at all, and the first of several that start at once wins.
    let draft = folder.join(format!("{FILE}.{}", std::process::id()));
    let mut options = fs::OpenOptions::new();
    let written =
        options.write(true).create(true).truncate(true).mode(0o600).open(&draft).and_then(|mut new| {
            writeln!(new, "{text}")?;
            new.sync_all()
        });
    let placed = written.and_then(|()| match fs::hard_link(&draft, &file) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    });
    // It is only the draft; the next one has its place.
    let _ = fs::remove_file(&draft);
    placed?;
    read(&file, 64)
        .as_deref()
        .and_then(key_of)
        .ok_or_else(|| std::io::Error::other(format!("{} holds no key; remove it", file.display())))
}

fn derived(machine: &str) -> IdKey {
    let mut hasher = SipHasher24::new_with_key(b"iotrail-device-i");
    hasher.write(machine.as_bytes());
    IdKey::new(hasher.finish128().as_bytes())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_kept_for_its_owner() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("deep/er");
        let first = kept(&place).expect("it can be kept");
        assert!(first == kept(&place).expect("it is there"), "the same again");
        let mode = fs::metadata(place.join(FILE)).expect("it is there").mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(&place).expect("it is there").count(), 1, "nothing is left behind");
        let other = tempfile::tempdir().expect("a folder");
        assert!(first != kept(other.path()).expect("it can be kept"), "another place, another key");
    }

    #[test]
    fn a_file_that_is_no_key_is_said() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(FILE), "not hex").expect("it can be written");
        assert!(kept(folder.path()).is_err_and(|error| error.to_string().contains("holds no key")));
        assert!(kept(Path::new("/proc/nowhere")).is_err());
    }

    #[test]
    fn a_derived_key_is_the_machines() {
        assert!(derived("a") == derived("a") && derived("a") != derived("b"));
    }
}
