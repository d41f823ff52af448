//! Where TLS libraries are: in shared libraries and in programs that have one linked in.

pub mod elf;
mod functions;
mod go;
mod mapped;

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use tracer_common::tls::{Hook, Library};

pub use self::mapped::{mapped, system_libraries};

/// A file by its identity on this host: device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId {
    device: u64,
    inode: u64,
}

/// A file that holds a TLS library.
#[derive(Debug)]
pub struct Found {
    /// What it is called, for people.
    pub path: PathBuf,
    /// Which libraries.
    pub libraries: Vec<Library>,
    /// Where to hook them.
    pub hooks: Vec<Hook>,
    /// Open, so that it can be hooked although its process may be gone, or another root directory be in its way.
    file: File,
}

impl Found {
    /// A path that leads to the file while this value lives.
    #[must_use]
    pub fn way(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }
}

/// A program's or library's file that may hold a TLS library.
#[derive(Debug)]
pub struct Candidate {
    path: PathBuf,
    file: File,
    /// Which file it is.
    pub id: FileId,
}

impl Candidate {
    /// Opens `way`; `path` is what it is called for people.
    #[must_use]
    pub fn open(way: &Path, path: &Path) -> Option<Self> {
        let file = File::open(way).ok()?;
        let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
        let id = FileId { device: metadata.dev(), inode: metadata.ino() };
        Some(Self { path: path.to_owned(), file, id })
    }

    /// Looks for TLS libraries in it. `None`: it has none, or none that can be found.
    #[must_use]
    pub fn search(self) -> Option<Found> {
        let hooks = elf::hooks(&self.file)?;
        let mut libraries: Vec<Library> = hooks
            .iter()
            .filter_map(|hook| Library::from_wire(hook.cookie >> tracer_common::tls::cookie::LIBRARY_SHIFT))
            .collect();
        libraries.sort_unstable();
        libraries.dedup();
        (!hooks.is_empty()).then_some(Found { path: self.path, libraries, hooks, file: self.file })
    }
}
