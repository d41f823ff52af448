//! What a process is, from `/proc/PID`.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use procfs::process::{Process as Proc, all_processes};

use super::programs::{self, ARGS, Named, Started};
use crate::model::process::{Process, ProcessKey};
use crate::model::time::Timestamp;

/// A tick of the times in `/proc/PID/stat`, in ns: `USER_HZ` is 100 on every architecture that iotrail knows.
const TICK_NS: u64 = 10_000_000;

/// Describes a process of which no start was seen. One that is gone already is described by its closest ancestor that is
/// there, of which it is an image, or by its name alone.
///
/// `comm`: the thread's name in the record that made it known; `started`: when it was first seen.
#[must_use]
pub fn describe(
    key: ProcessKey,
    comm: &[u8; 16],
    ancestors: &[u32],
    host_id: &str,
    started: Timestamp,
) -> Process {
    let itself = open(key.pid);
    let proc = itself.as_ref().map_or_else(|| ancestors.iter().copied().find_map(open), |_| None);
    let proc = itself.as_ref().or(proc.as_ref());
    let args = proc.map(arguments).unwrap_or_default();
    let executable = proc.and_then(executable).unwrap_or_else(|| programs::comm_text(comm));
    let cgroup = proc.and_then(cgroup).unwrap_or_default();
    let container = container(&cgroup);
    let start = itself.as_ref().and_then(start).unwrap_or(started.0);
    Process {
        key,
        service_name: proc
            .and_then(service_named)
            .or_else(|| unit(&cgroup))
            .or_else(|| container.clone())
            .unwrap_or_else(|| programs::service(&executable, &args))
            .into(),
        service_instance: instance(host_id, key.pid, start),
        executable: executable.into(),
        args,
        container: container.map(Arc::from),
        started,
    }
}

/// Describes a process whose start was seen, which may be gone by now. What it was not started with (unit, container) it
/// has from its ancestors.
#[must_use]
pub fn started(
    key: ProcessKey,
    program: &Started,
    ancestors: &[u32],
    host_id: &str,
    started: Timestamp,
) -> Process {
    let itself = open(key.pid);
    let own = itself.as_ref().and_then(cgroup);
    let cgroup = own.or_else(|| ancestors.iter().filter_map(|pid| open(*pid)).find_map(|proc| cgroup(&proc)));
    let cgroup = cgroup.unwrap_or_default();
    let container = container(&cgroup);
    let named = match program.named() {
        Named::Yes(name) => Some(name.to_string()),
        Named::No => None,
        Named::NotKnown => itself.as_ref().and_then(service_named),
    };
    // Without BTF the start did not tell the program's file, and perhaps not its arguments.
    let executable = itself.as_ref().filter(|_| !program.is_exact()).and_then(executable);
    let executable = executable.map_or_else(|| program.executable().into(), Arc::from);
    let args = match program.args() {
        [] => itself.as_ref().map(arguments).unwrap_or_default(),
        args => args.to_vec(),
    };
    let start = program.born().map(|born| born / TICK_NS).or_else(|| itself.as_ref().and_then(start));
    Process {
        key,
        service_name: named
            .or_else(|| unit(&cgroup))
            .or_else(|| container.clone())
            .unwrap_or_else(|| programs::service(&executable, &args))
            .into(),
        service_instance: instance(host_id, key.pid, start.unwrap_or(started.0)),
        executable,
        args,
        container: container.map(Arc::from),
        started,
    }
}

/// Describes a process that does what the one that bore it does.
#[must_use]
pub fn like(parent: &Process, key: ProcessKey, host_id: &str, started: Timestamp) -> Process {
    let start = open(key.pid).as_ref().and_then(start).unwrap_or(started.0);
    Process { key, service_instance: instance(host_id, key.pid, start), started, ..parent.clone() }
}

fn open(pid: u32) -> Option<Proc> {
    Proc::new(i32::try_from(pid).ok()?).ok()
}

/// Base name of the program's file, also once that is removed.
fn executable(proc: &Proc) -> Option<String> {
    let path = proc.exe().ok()?;
    Some(path.file_name()?.to_str()?.trim_end_matches(" (deleted)").to_owned())
}

fn arguments(proc: &Proc) -> Vec<Arc<str>> {
    let all = proc.cmdline().unwrap_or_default();
    all.iter().take(ARGS).map(|arg| Arc::from(arg.as_str())).collect()
}

/// When a process was born, in ticks since the machine was.
fn start(proc: &Proc) -> Option<u64> {
    Some(proc.stat().ok()?.starttime)
}

fn instance(host_id: &str, pid: u32, start: u64) -> Arc<str> {
    format!("{host_id}:{pid}:{start}").into()
}

/// `OTEL_SERVICE_NAME`, as the process was started with.
fn service_named(proc: &Proc) -> Option<String> {
    let environment = proc.environ().ok()?;
    let name = environment.get(std::ffi::OsStr::new("OTEL_SERVICE_NAME"))?.to_str()?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// Every process with one of these names (as `comm`, the program's base name, or the script's).
#[must_use]
pub fn named(names: &[String]) -> Vec<u32> {
    let Ok(all) = all_processes() else { return Vec::new() };
    let matches = |proc: &Proc| {
        let comm = proc.stat().map(|stat| stat.comm).unwrap_or_default();
        let exe = proc.exe().ok().and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
        names.iter().any(|name| comm == cut(name) || exe.as_deref() == Some(name))
    };
    all.flatten().filter(matches).filter_map(|proc| u32::try_from(proc.pid).ok()).collect()
}

/// A process and all its descendants that live now.
#[must_use]
pub fn family(root: u32) -> Vec<u32> {
    let Ok(all) = all_processes() else { return vec![root] };
    let parents: Vec<(u32, u32)> = all
        .flatten()
        .filter_map(|proc| Some((u32::try_from(proc.pid).ok()?, u32::try_from(proc.stat().ok()?.ppid).ok()?)))
        .collect();
    let mut family = vec![root];
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        family.extend(
            parents.iter().filter(|(pid, ppid)| *ppid == parent && *pid != parent).map(|(pid, _)| *pid),
        );
        next += 1;
    }
    family
}

/// Processes that run a 32-bit program; of these, or of all.
pub fn compat(of: Option<&BTreeSet<u32>>) -> impl Iterator<Item = u32> {
    let all = all_processes().into_iter().flatten().flatten().filter_map(|proc| u32::try_from(proc.pid).ok());
    let pids: Vec<u32> = of.map_or_else(|| all.collect(), |pids| pids.iter().copied().collect());
    pids.into_iter().filter(|pid| is_32_bit(&Path::new("/proc").join(pid.to_string()).join("exe")))
}

/// Whether a program, by path or as found in `PATH`, is a 32-bit one.
#[must_use]
pub fn is_compat_program(program: &str) -> bool {
    self::program(program).is_some_and(|file| is_32_bit(&file))
}

/// The file of a program, given by path or as found in `PATH`.
#[must_use]
pub fn program(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Whether a file is an ELF program of class `ELFCLASS32`, `include/uapi/linux/elf.h`.
fn is_32_bit(file: &Path) -> bool {
    let mut head = [0; 5];
    std::fs::File::open(file).and_then(|mut file| file.read_exact(&mut head)).is_ok()
        && head == *b"\x7fELF\x01"
}

/// Whether there is such a process.
#[must_use]
pub fn exists(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

/// A name as the kernel keeps it: 15 bytes.
fn cut(name: &str) -> &str {
    let mut end = name.len().min(15);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

fn cgroup(proc: &Proc) -> Option<String> {
    let cgroups = proc.cgroups().ok()?;
    let longest = cgroups.0.into_iter().map(|group| group.pathname).max_by_key(String::len);
    longest.filter(|path| path.len() > 1)
}

/// `foo` of `…/system.slice/foo.service`; user sessions and the machine's own scopes name nobody.
fn unit(cgroup: &str) -> Option<String> {
    let last = cgroup.rsplit('/').find(|part| part.ends_with(".service"))?;
    let name = last.trim_end_matches(".service");
    (!name.starts_with("user@") && !name.starts_with("session-")).then(|| name.to_owned())
}

/// The 64 hex digits that container runtimes put into a cgroup's name.
fn container(cgroup: &str) -> Option<String> {
    let is_id = |part: &&str| part.len() == 64 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    cgroup.split(['/', '-', '.', ':']).find(is_id).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_containers_are_found_in_cgroups() {
        assert_eq!(unit("/system.slice/mosquitto.service"), Some("mosquitto".to_owned()));
        assert_eq!(unit("/user.slice/user-0.slice/user@0.service/init.scope"), None);
        let id = "0123456789abcdef".repeat(4);
        assert_eq!(container(&format!("/system.slice/docker-{id}.scope")), Some(id.clone()));
        assert_eq!(container(&format!("/kubepods/burstable/pod1/{id}")), Some(id));
        assert_eq!(container("/system.slice/ssh.service"), None);
    }

    #[test]
    fn this_process_is_described_and_a_gone_one_by_its_name() {
        let key = ProcessKey { pid: std::process::id(), generation: 0 };
        let here = describe(key, b"t\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", &[], "h", Timestamp(1));
        assert!(here.executable.starts_with("iotrail"), "{here:?}");
        let gone = describe(
            ProcessKey { pid: 0x3fff_ffff, generation: 0 },
            b"gone\0\0\0\0\0\0\0\0\0\0\0\0",
            &[],
            "h",
            Timestamp(1),
        );
        assert_eq!((&*gone.service_name, &*gone.service_instance), ("gone", "h:1073741823:1"));
        // Nothing of its own is left, but it was born of this one.
        let gone = ProcessKey { pid: 0x3fff_ffff, generation: 0 };
        let child =
            describe(gone, b"gone\0\0\0\0\0\0\0\0\0\0\0\0", &[0x3fff_fffe, here.key.pid], "h", Timestamp(1));
        assert_eq!((&child.executable, &child.args), (&here.executable, &here.args));
        assert_eq!(&*child.service_instance, "h:1073741823:1");
    }
}
