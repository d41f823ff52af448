//! What a process is, from `/proc/PID`.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use procfs::process::{Process as Proc, all_processes};

use crate::model::process::{Process, ProcessKey};
use crate::model::time::Timestamp;

/// Arguments of a command line that are kept: some programs have thousands.
const ARGS: usize = 64;

/// Programs that run scripts: the script names the service, not they.
const INTERPRETERS: &[&str] = &[
    "python", "python2", "python3", "node", "nodejs", "ruby", "perl", "bash", "sh", "dash", "php", "lua",
    "java", "deno",
];

/// Describes a process. One that is gone already is described by its name alone.
///
/// `comm`: the thread's name in the record that made it known; `started`: when it was first seen.
#[must_use]
pub fn describe(key: ProcessKey, comm: &[u8; 16], host_id: &str, started: Timestamp) -> Process {
    let comm = String::from_utf8_lossy(comm.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned();
    let proc = i32::try_from(key.pid).ok().and_then(|pid| Proc::new(pid).ok());
    let args: Vec<String> = proc.as_ref().and_then(|proc| proc.cmdline().ok()).unwrap_or_default();
    let executable = proc
        .as_ref()
        .and_then(|proc| proc.exe().ok())
        .and_then(|path| Some(path.file_name()?.to_str()?.trim_end_matches(" (deleted)").to_owned()))
        .unwrap_or_else(|| comm.clone());
    let cgroup = proc.as_ref().and_then(cgroup).unwrap_or_default();
    let container = container(&cgroup);
    let named = proc.as_ref().and_then(|proc| {
        let environment = proc.environ().ok()?;
        Some(environment.get(std::ffi::OsStr::new("OTEL_SERVICE_NAME"))?.to_str()?.to_owned())
    });
    let service_name = named
        .filter(|name| !name.is_empty())
        .or_else(|| unit(&cgroup))
        .or_else(|| container.clone())
        .or_else(|| script(&executable, &args))
        .unwrap_or_else(|| executable.clone());
    let start = proc.as_ref().and_then(|proc| Some(proc.stat().ok()?.starttime)).unwrap_or(started.0);
    Process {
        key,
        service_name: service_name.into(),
        service_instance: format!("{host_id}:{}:{start}", key.pid).into(),
        executable: executable.into(),
        args: args.iter().take(ARGS).map(|arg| Arc::from(arg.as_str())).collect(),
        container: container.map(Arc::from),
        started,
    }
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
    if program.contains('/') {
        return is_32_bit(Path::new(program));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .is_some_and(|file| is_32_bit(&file))
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

/// The script that an interpreter runs, without its folder and ending.
fn script(executable: &str, args: &[String]) -> Option<String> {
    let bare = executable.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    if !INTERPRETERS.contains(&executable) && !INTERPRETERS.contains(&bare) {
        return None;
    }
    let script = args.iter().skip(1).find(|arg| !arg.starts_with('-'))?;
    let name = Path::new(script).file_stem()?.to_str()?;
    (!name.is_empty() && args.get(1).is_none_or(|first| first != "-c")).then(|| name.to_owned())
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
    fn a_script_names_the_service_and_an_inline_program_does_not() {
        let args = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            script("python3.11", &args("python3 -u /opt/plant/sensor.py --rate 5")),
            Some("sensor".to_owned())
        );
        assert_eq!(script("python3", &args("python3 -c print(1)")), None);
        assert_eq!(script("mosquitto", &args("mosquitto -c x.conf")), None);
    }

    #[test]
    fn this_process_is_described_and_a_gone_one_by_its_name() {
        let key = ProcessKey { pid: std::process::id(), generation: 0 };
        let here = describe(key, b"t\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "h", Timestamp(1));
        assert!(here.executable.starts_with("iotrail"), "{here:?}");
        let gone = describe(
            ProcessKey { pid: 0x3fff_ffff, generation: 0 },
            b"gone\0\0\0\0\0\0\0\0\0\0\0\0",
            "h",
            Timestamp(1),
        );
        assert_eq!((&*gone.service_name, &*gone.service_instance), ("gone", "h:1073741823:1"));
    }
}
