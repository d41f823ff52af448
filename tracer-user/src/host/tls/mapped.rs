//! Which files may hold a TLS library: those that a process has mapped, and the libraries of the system.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::Candidate;

/// How the names of shared libraries begin that have the functions.
const LIBRARIES: &[&str] =
    &["libssl.so", "libssl3.so", "libgnutls.so", "libboringssl", "libssl-", "libgnutls-"];

/// Folders of shared libraries, `ld.so(8)`; below each, one for the architecture.
const FOLDERS: &[&str] = &["/lib", "/usr/lib", "/usr/local/lib", "/lib64", "/usr/lib64"];

/// Lines of `/proc/PID/maps` that are looked at: a great Java program has some thousand.
const LINES: usize = 32 * 1024;

/// Whether a shared library's name says that it may have the functions.
fn is_named_so(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy());
    // `_ssl.cpython-311….so`, `node_openssl` and the like use a library, or have their own: those by their symbols.
    name.is_some_and(|name| LIBRARIES.iter().any(|known| name.starts_with(known)))
}

/// The files that a process has mapped and that may hold a TLS library: its program, and libraries of telling names.
/// Whatever root directory it has, and whether or not the files were removed.
#[must_use]
pub fn mapped(pid: u32) -> Vec<Candidate> {
    let program = PathBuf::from(format!("/proc/{pid}/exe"));
    let name = fs::read_link(&program).unwrap_or_else(|_| program.clone());
    let mut found: Vec<Candidate> = Candidate::open(&program, &name).into_iter().collect();
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let mut seen = BTreeSet::new();
    for line in maps.lines().take(LINES) {
        // `address perms offset dev inode path`; only code can be hooked.
        let mut fields = line.split_ascii_whitespace();
        let (Some(range), Some(rights)) = (fields.next(), fields.next()) else { continue };
        let Some(at) = line.find('/') else { continue };
        let path = Path::new(line[at..].trim_end_matches(" (deleted)"));
        if !rights.contains('x') || !is_named_so(path) || !seen.insert(path.to_owned()) {
            continue;
        }
        let below_root = || {
            let root = PathBuf::from(format!("/proc/{pid}/root"));
            Candidate::open(&root.join(path.strip_prefix("/").ok()?), path)
        };
        let way = PathBuf::from(format!("/proc/{pid}/map_files/{range}"));
        found.extend(Candidate::open(&way, path).or_else(below_root));
    }
    found
}

/// The TLS libraries that lie where programs look for them, so that they are hooked before a program needs them.
#[must_use]
pub fn system_libraries() -> Vec<Candidate> {
    let triple = if cfg!(target_arch = "aarch64") { "aarch64-linux-gnu" } else { "x86_64-linux-gnu" };
    let folders = FOLDERS.iter().flat_map(|folder| [PathBuf::from(folder), Path::new(folder).join(triple)]);
    let files = folders.filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    let named = files.map(|file| file.path()).filter(|path| is_named_so(path));
    let mut seen = BTreeSet::new();
    // A folder may be a link to another one, and so may a library.
    named
        .filter_map(|path| Candidate::open(&path, &path))
        .filter(|candidate| seen.insert(candidate.id))
        .collect()
}
