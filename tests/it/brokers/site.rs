//! A broker with its clients, each of which keeps a log of what it published or received.

use std::env;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tracer_tests::broker::{Certificates, java};
use tracer_tests::process::Running;

use super::{Protocol, Started};
use crate::support::Folder;

/// How long anything may take that is not measured: much may be going on on this machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the client in Java is called.
pub(crate) const JAVA: &str = "client_java";

/// A broker and a folder for everybody's logs.
pub(crate) struct Site {
    pub(crate) protocol: &'static Protocol,
    pub(crate) broker: Started,
    /// What clients trust, if the broker has certificates.
    certificates: Option<Certificates>,
    folder: Folder,
}

/// A message as a client logged it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) destination: String,
    pub(crate) size: usize,
    /// First word of the body.
    pub(crate) head: String,
    /// What the broker or the protocol calls it.
    pub(crate) id: Option<String>,
}

/// A client that runs or has run.
pub(crate) struct Client {
    pub(crate) process: Running,
    pub(crate) id: String,
    log: PathBuf,
    input: Option<ChildStdin>,
}

/// On which library a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Library {
    Rust,
    Python,
    Go,
    /// Kafka's own.
    Java,
}

impl Site {
    /// A broker of this protocol.
    pub(crate) fn new(protocol: &'static Protocol) -> Self {
        let folder = Folder::new();
        Self { protocol, broker: (protocol.start)(folder.path(), None), certificates: None, folder }
    }

    /// A broker that speaks TLS.
    pub(crate) fn with_tls(protocol: &'static Protocol) -> Self {
        let folder = Folder::new();
        let certificates = Certificates::make(folder.path()).expect("certificates can be made");
        let broker = (protocol.start)(folder.path(), Some(&certificates));
        Self { protocol, broker, certificates: Some(certificates), folder }
    }

    /// Where the clients connect to.
    pub(crate) fn port(&self) -> u16 {
        match &self.certificates {
            None => self.broker.port,
            Some(_) => self.broker.tls_port.unwrap_or(self.broker.port),
        }
    }

    /// What clients of a broker that speaks TLS trust.
    pub(crate) fn authority(&self) -> &Path {
        &self.certificates.as_ref().expect("it speaks TLS").authority
    }

    /// `SYSTEM:PORT`, as `--broker` wants it.
    pub(crate) fn selector(&self) -> String {
        format!("{}:{}", self.protocol.name, self.port())
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A client of the protocol's on this library, once it is ready.
    pub(crate) fn client(&self, library: Library, id: &str, way: &str, arguments: &[&str]) -> Client {
        let mut client = self.begin(library, id, way, arguments);
        client.wait_until("it is ready", |log| log.lines().any(|line| line == "ready"));
        client
    }

    /// A client that may never be ready.
    pub(crate) fn begin(&self, library: Library, id: &str, way: &str, arguments: &[&str]) -> Client {
        let mut command = self.program(library);
        command.args(["--port", &self.port().to_string(), "--id", id, "--way", way]);
        if let Some(Certificates { authority, .. }) = &self.certificates {
            command.arg("--ca").arg(authority);
        }
        self.start(id, command.args(arguments))
    }

    /// Starts a client on a broker that says nothing, and ends it when `hooked` has returned.
    pub(crate) fn start_in_vain(&self, library: Library, hooked: impl FnOnce()) {
        let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = silent.local_addr().expect("it has an address").port().to_string();
        let mut command = self.program(library);
        command.args(["--port", &port, "--id", "in-vain", "publish", "--to", "nowhere", "--messages", "1x1"]);
        let mut client = self.start("in-vain", &mut command);
        hooked();
        client.process.stop(Signal::SIGKILL, PATIENCE).expect("it ends");
    }

    /// The protocol's client on this library.
    fn program(&self, library: Library) -> Command {
        let [rust, python] = self.protocol.clients;
        match library {
            Library::Rust => Command::new(Path::new(&variable("IOTRAIL_CLIENTS")).join(rust)),
            Library::Python => {
                let mut command = Command::new(variable("IOTRAIL_PYTHON"));
                command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(python));
                command.env("PYTHONDONTWRITEBYTECODE", "1");
                command
            }
            Library::Go => {
                let name = self.protocol.go.expect("there is a client in Go");
                Command::new(Path::new(&variable("IOTRAIL_GO_CLIENTS")).join(name))
            }
            Library::Java => self.java(),
        }
    }

    /// The client in Java, under a name that is not the broker's.
    fn java(&self) -> Command {
        let own = java("96m").expect("there are Kafka's jars");
        let program = self.path().join(JAVA);
        let machine = which("java").expect("there is Java");
        if let Err(err) = std::os::unix::fs::symlink(machine, &program) {
            assert_eq!(err.kind(), std::io::ErrorKind::AlreadyExists, "{err}");
        }
        let mut command = Command::new(program);
        command.args(own.get_args());
        command.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn");
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/ClientKafka.java"));
        command
    }

    /// Starts any program that keeps such a log on its standard output.
    pub(crate) fn start(&self, id: &str, command: &mut Command) -> Client {
        let log = self.path().join(format!("{id}.log"));
        let file = |path: &Path| File::create(path).expect("the log can be written");
        command.stdin(Stdio::piped()).stdout(file(&log)).stderr(file(&log.with_extension("err")));
        let mut process = Running::start_with_input(id, command).expect("it starts");
        let input = process.child().stdin.take();
        Client { process, id: id.to_owned(), log, input }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.folder.keep();
            eprintln!("all logs are in {}", self.folder.path().display());
        }
    }
}

/// Where a program is.
fn which(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn variable(name: &str) -> std::ffi::OsString {
    env::var_os(name).unwrap_or_else(|| panic!("no {name}: run `cargo xtask test --live-only`"))
}

impl Client {
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Lets a publisher go on that was held.
    pub(crate) fn go_on(&mut self) {
        self.give(b"go on\n");
    }

    /// Writes to its input.
    pub(crate) fn give(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().expect("its input is open");
        input.write_all(bytes).and_then(|()| input.flush()).expect("it reads its input");
    }

    /// No more input; waits until it has ended well.
    pub(crate) fn finish(&mut self) {
        drop(self.input.take());
        let ended = self.process.wait(PATIENCE);
        let status = ended.unwrap_or_else(|err| panic!("{}: {err:#} {}", self.id, self.said()));
        assert!(status.success(), "{} ended with {status}: {}", self.id, self.said());
    }

    /// Waits until it has failed.
    pub(crate) fn fail(&mut self) {
        let ended = self.process.wait(PATIENCE);
        let status = ended.unwrap_or_else(|err| panic!("{}: {err:#} {}", self.id, self.said()));
        assert!(!status.success(), "{} succeeded: {}", self.id, self.said());
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> Vec<Entry> {
        self.text().lines().filter(|line| *line != "ready").map(Entry::parse).collect()
    }

    /// Waits until it has logged `count` messages.
    pub(crate) fn wait_for(&mut self, count: usize) {
        // One line is not a message's.
        self.wait_until(&format!("{count} messages"), |log| log.lines().count() > count);
    }

    /// All that it wrote.
    pub(crate) fn output(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// All lines that it wrote.
    fn text(&self) -> String {
        let text = self.output();
        // The last line may be half written.
        text[..text.rfind('\n').map_or(0, |end| end + 1)].to_owned()
    }

    fn wait_until(&mut self, what: &str, is_so: impl Fn(&str) -> bool) {
        let start = Instant::now();
        while !is_so(&self.text()) {
            let ended = self.process.ended().expect("its state can be read");
            // What it wrote last may have come since.
            assert!(
                ended.is_none() || is_so(&self.text()),
                "{} ended without: {what}: {}",
                self.id,
                self.said()
            );
            assert!(start.elapsed() < PATIENCE, "{} without: {what}: {}", self.id, self.said());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The end of what it wrote, for people.
    fn said(&self) -> String {
        let errors = fs::read_to_string(self.log.with_extension("err")).unwrap_or_default();
        let text = self.text();
        let last: Vec<&str> = text.lines().rev().take(3).collect();
        format!("{errors}\n{} lines, the last {last:?}", text.lines().count())
    }
}

impl Entry {
    /// What a client would log of a message without an id.
    pub(crate) fn of(destination: &str, body: &[u8]) -> Self {
        let (destination, head) = (destination.to_owned(), tracer_tests::message::head(body));
        Self { destination, size: body.len(), head, id: None }
    }

    fn parse(line: &str) -> Self {
        let words: Vec<&str> = line.split(' ').collect();
        let [destination, size, head, id] = words.as_slice() else { panic!("no entry of a log: {line}") };
        Self {
            destination: (*destination).to_owned(),
            size: size.parse().expect("a size"),
            head: (*head).to_owned(),
            id: Some(*id).filter(|id| *id != "-").map(str::to_owned),
        }
    }
}
