//! Running other programs: quietly with a log, or in the open.

use crate::workspace::Workspace;
use anyhow::{Context as _, Result, bail};
use std::{
    collections::VecDeque,
    env,
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Folders of system programs that are missing from many an ordinary `PATH`.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
/// How often a long quiet step says that it is still at work.
const STILL_AT_WORK: Duration = Duration::from_secs(20);
/// How often a child is asked whether it has ended.
const POLL: Duration = Duration::from_millis(20);
/// Lines of a failed step's log that are shown.
const TAIL: usize = 25;

/// Runs `command` with its output going to `target/xtask/{log}.log`; says what is done and how long it took.
///
/// # Errors
/// When it cannot be started or fails; the log's tail has then been shown, and the error says what that tail means
/// where it is known to mean something.
pub(crate) fn quiet(workspace: &Workspace, doing: &str, log: &str, command: &mut Command) -> Result<()> {
    let status = logged(workspace, doing, log, command)?;
    if status.success() {
        return Ok(());
    }
    let path = workspace.own(&format!("{log}.log"));
    let last = tail(&path);
    for line in &last {
        eprintln!("    {line}");
    }
    let short = workspace.short(&path);
    if last.iter().any(|line| no_network(line)) {
        bail!("{doing}: no network: {} could not download; whole log: {short}", name(command));
    }
    bail!("{doing}: {} failed ({status}); whole log: {short}", name(command))
}

/// As [`quiet`], but a failure of the program is for the caller to judge.
///
/// # Errors
/// When it cannot be started.
pub(crate) fn logged(
    workspace: &Workspace,
    doing: &str,
    log: &str,
    command: &mut Command,
) -> Result<ExitStatus> {
    let path = workspace.own(&format!("{log}.log"));
    let short = workspace.short(&path);
    let file = File::create(&path).with_context(|| format!("cannot create {short}"))?;
    eprintln!("  {doing} …");
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(file.try_clone().context("cannot share the log's descriptor")?)
        .stderr(file)
        .spawn()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    let mut next = STILL_AT_WORK;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if start.elapsed() >= next {
            eprintln!("  … still at it after {} s (log: {short})", start.elapsed().as_secs());
            next += STILL_AT_WORK;
        }
        thread::sleep(POLL);
    };
    if start.elapsed() >= Duration::from_secs(1) {
        eprintln!("  {doing}: {:.1} s", start.elapsed().as_secs_f64());
    }
    Ok(status)
}

/// Whether a line of apt-get's or cargo's output says that the network is not there.
pub(crate) fn no_network(line: &str) -> bool {
    const SIGNS: [&str; 9] = [
        "Temporary failure resolving",
        "Could not resolve",
        "Couldn't resolve host",
        "Could not connect to server",
        "Unable to connect to",
        "Cannot initiate the connection",
        "Could not connect to",
        "spurious network error",
        "Network is unreachable",
    ];
    SIGNS.iter().any(|sign| line.contains(sign))
}

/// Runs `command` in the open.
///
/// # Errors
/// When it cannot be started or fails.
pub(crate) fn loud(command: &mut Command) -> Result<()> {
    let status =
        command.status().with_context(|| format!("cannot start {}", command.get_program().display()))?;
    if !status.success() {
        bail!("{} failed ({status})", name(command));
    }
    Ok(())
}

/// What `command` prints, without the white space around it; `None` if it cannot be started or fails.
pub(crate) fn answer(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// Every program of this name, in the order of `PATH`, then in the system's and cargo's folders.
pub(crate) fn all(program: &str) -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<PathBuf> = Vec::new();
    for folder in
        env::split_paths(&path).chain(SYSTEM_FOLDERS.map(PathBuf::from)).chain([cargo_home().join("bin")])
    {
        let file = folder.join(program);
        if file.is_file() && !found.contains(&file) {
            found.push(file);
        }
    }
    found
}

/// The first program of this name.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    all(program).into_iter().next()
}

/// Cargo's home folder.
pub(crate) fn cargo_home() -> PathBuf {
    env::var_os("CARGO_HOME").map_or_else(
        || Path::new(&env::var_os("HOME").unwrap_or_else(|| "/root".into())).join(".cargo"),
        PathBuf::from,
    )
}

/// The last lines of a file; none if it cannot be read.
pub(crate) fn tail(path: &Path) -> VecDeque<String> {
    let mut last = VecDeque::new();
    let Ok(file) = File::open(path) else { return last };
    for line in BufReader::new(file).lines().map_while(Result::ok) {
        if last.len() == TAIL {
            last.pop_front();
        }
        last.push_back(line);
    }
    last
}

/// Program and first argument: enough to know which command it was.
fn name(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let program = program.file_name().unwrap_or(program.as_os_str()).display();
    command
        .get_args()
        .next()
        .map_or_else(|| program.to_string(), |first| format!("`{program} {}`", first.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_when_the_network_is_missing() {
        for line in [
            "W: Failed to fetch http://d/InRelease  Temporary failure resolving 'd'",
            "warning: spurious network error (3 tries remaining): [6] Couldn't resolve host name",
        ] {
            assert!(no_network(line), "{line}");
        }
        assert!(!no_network("error: could not compile `probe`"));
    }

    #[test]
    fn names_a_command_by_program_and_first_argument() {
        assert_eq!(name(Command::new("/usr/bin/apt-get").args(["install", "-y"])), "`apt-get install`");
        assert_eq!(name(&Command::new("true")), "true");
    }
}
