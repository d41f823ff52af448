//! A broker with its clients, each of which keeps a log of what it published or received.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tracer_tests::broker::{Mosquitto, free_port};
use tracer_tests::message;
use tracer_tests::process::Running;

use crate::support::{Folder, PATIENCE, Tracer};

/// A broker and a folder for everybody's logs.
pub(crate) struct Site {
    pub(crate) broker: Mosquitto,
    pub(crate) folder: Folder,
    log: PathBuf,
    former: Vec<u32>,
}

/// A message as a client logged it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Line {
    pub(crate) topic: String,
    pub(crate) size: usize,
    /// First word of the body.
    pub(crate) head: String,
}

/// A client that runs or has run.
pub(crate) struct Client {
    pub(crate) process: Running,
    pub(crate) id: String,
    log: PathBuf,
    input: Option<ChildStdin>,
    /// What it was given to publish.
    given: Vec<Line>,
    topic: String,
}

/// Starts a tracer on two tracepoints instead of one for each system call: it takes seconds less to end. That both see
/// the same is for the tests of the capture.
pub(crate) fn trace(arguments: &[&str]) -> Tracer {
    Tracer::start(&[&["--hooks", "raw"], arguments].concat())
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::with("")
    }

    /// With more lines of configuration.
    pub(crate) fn with(more: &str) -> Self {
        Self::on(free_port().expect("a port is free"), more)
    }

    /// On a given port.
    pub(crate) fn on(port: u16, more: &str) -> Self {
        let folder = Folder::new();
        // What it logs says when a subscription stands.
        let more = format!("{}\n{more}", "log_type subscribe\nlog_type error\nlog_type notice");
        let (settings, listeners) =
            more.split_once("listener").map_or((more.as_str(), None), |(a, b)| (a, Some(b)));
        let listeners = listeners.map(|rest| format!("listener{rest}")).unwrap_or_default();
        let broker = Mosquitto::start_with(folder.path(), port, &format!("{settings}\n{listeners}\n"));
        let log = folder.path().join("mosquitto.log");
        Self { broker: broker.expect("mosquitto starts"), folder, log, former: Vec::new() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `mqtt:PORT`, as `--broker` wants it.
    pub(crate) fn selector(&self) -> String {
        format!("mqtt:{}", self.broker.port)
    }

    /// A mosquitto_sub that ends after `count` messages, once its subscription stands.
    pub(crate) fn subscriber(&self, id: &str, topic: &str, qos: u8, count: usize) -> Client {
        self.subscriber_with(id, topic, qos, count, &[])
    }

    /// As [`Self::subscriber`], with more arguments.
    pub(crate) fn subscriber_with(
        &self,
        id: &str,
        topic: &str,
        qos: u8,
        count: usize,
        more: &[&str],
    ) -> Client {
        let mut command = self.mosquitto("mosquitto_sub", id, topic, qos, more);
        command.args(["-F", "%t %l %p", "-C", &count.to_string()]);
        let client = self.start(id, topic, &mut command);
        // `-i` among the further arguments comes last and counts.
        let id = more.iter().skip_while(|word| **word != "-i").nth(1).unwrap_or(&id);
        self.wait_for_log(&format!(" {id} {qos} {topic}"));
        client
    }

    /// A mosquitto_pub that publishes what it is given, line by line.
    pub(crate) fn publisher(&self, id: &str, topic: &str, qos: u8) -> Client {
        self.publisher_with(id, topic, qos, &[])
    }

    /// As [`Self::publisher`], with more arguments.
    pub(crate) fn publisher_with(&self, id: &str, topic: &str, qos: u8, more: &[&str]) -> Client {
        let mut command = self.mosquitto("mosquitto_pub", id, topic, qos, more);
        self.start(id, topic, command.arg("-l"))
    }

    fn mosquitto(&self, program: &str, id: &str, topic: &str, qos: u8, more: &[&str]) -> Command {
        let mut command = Command::new(program);
        if !more.contains(&"--unix") {
            command.args(["-p", &self.broker.port.to_string()]);
        }
        command.args(["-i", id, "-t", topic, "-q", &qos.to_string()]).args(more);
        command
    }

    /// A client on the library rumqttc, once it is ready.
    pub(crate) fn rumqtt(&self, id: &str, qos: u8, count: usize, arguments: &[&str]) -> Client {
        let mut command = Command::new(env!("CARGO_BIN_EXE_client_mqtt"));
        command.args(["--port", &self.broker.port.to_string(), "--id", id, "--qos", &qos.to_string()]);
        command.args(["--count", &count.to_string()]).args(arguments);
        let mut client = self.start(id, "", &mut command);
        client.wait_for_line("ready");
        client
    }

    /// Starts any program that keeps a log as [`Line`]s on its standard output.
    pub(crate) fn start(&self, id: &str, topic: &str, command: &mut Command) -> Client {
        let log = self.path().join(format!("{id}.log"));
        let out = File::create(&log).expect("the log can be written");
        let errors = File::create(log.with_extension("err")).expect("the log can be written");
        command.stdin(Stdio::piped()).stdout(out).stderr(errors);
        let mut process = Running::start_with_input(id, command).expect("it starts");
        let input = process.child().stdin.take();
        Client { process, id: id.to_owned(), log, input, given: Vec::new(), topic: topic.to_owned() }
    }

    /// Waits until the broker has logged this.
    pub(crate) fn wait_for_log(&self, what: &str) {
        wait_for_line(&self.log, |line| line.ends_with(what));
    }

    /// Waits until the broker has logged something of this client that ends so.
    pub(crate) fn wait_for_log_of(&self, client: &str, end: &str) {
        wait_for_line(&self.log, |line| {
            line.split([' ', ',', '.']).any(|word| word == client) && line.ends_with(end)
        });
    }

    /// Starts it again, after it was ended.
    pub(crate) fn restart_broker(&mut self) {
        self.former.push(self.broker.process.pid());
        let settings = "log_type subscribe\nlog_type error\nlog_type notice\n";
        let broker = Mosquitto::start_with(self.folder.path(), self.broker.port, settings);
        self.broker = broker.expect("mosquitto starts");
    }

    /// Process ids of the broker so far.
    pub(crate) fn brokers(&self) -> Vec<u32> {
        self.former.iter().copied().chain([self.broker.process.pid()]).collect()
    }

    /// Ends the broker.
    pub(crate) fn stop_broker(&mut self, signal: Signal) {
        self.broker.process.stop(signal, PATIENCE).expect("the broker ends");
    }
}

fn wait_for_line(path: &Path, wanted: impl Fn(&str) -> bool) {
    let start = Instant::now();
    while !fs::read_to_string(path).unwrap_or_default().lines().any(&wanted) {
        assert!(start.elapsed() < PATIENCE, "waiting in {}: {:?}", path.display(), fs::read_to_string(path));
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Client {
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Gives it a line to publish, of at least one character.
    pub(crate) fn give(&mut self, body: &[u8]) {
        let input = self.input.as_mut().expect("its input is open");
        input.write_all(body).and_then(|()| input.write_all(b"\n")).expect("it reads its input");
        let head = message::head(body);
        self.given.push(Line { topic: self.topic.clone(), size: body.len(), head });
    }

    /// Gives it the messages `{id}-{number}`.
    pub(crate) fn give_numbers(&mut self, numbers: std::ops::Range<u64>, size: usize) {
        for number in numbers {
            self.give(&message::body(&self.id.clone(), number, size));
        }
    }

    /// Writes to its input what it does not publish.
    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.input.as_mut().expect("its input is open"), "{line}").expect("it reads its input");
    }

    /// Writes to its input as it is.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().expect("its input is open");
        input.write_all(bytes).and_then(|()| input.flush()).expect("it reads its input");
    }

    /// No more input; waits until it has ended well.
    pub(crate) fn finish(&mut self) {
        drop(self.input.take());
        let ended = self.process.wait(PATIENCE);
        let errors = fs::read_to_string(self.log.with_extension("err")).unwrap_or_default();
        let status =
            ended.unwrap_or_else(|err| panic!("{}: {err:#} {errors} {} lines", self.id, self.log().len()));
        assert!(status.success(), "{} ended with {status}: {errors}", self.id);
    }

    /// What it was given to publish so far.
    pub(crate) fn given(&self) -> &[Line] {
        &self.given
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> Vec<Line> {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().filter(|line| *line != "ready").filter_map(Self::line).collect()
    }

    fn line(line: &str) -> Option<Line> {
        let mut words = line.splitn(3, ' ');
        let (topic, size, body) = (words.next()?, words.next()?, words.next().unwrap_or_default());
        let head = message::head(body.as_bytes());
        Some(Line { topic: topic.to_owned(), size: size.parse().ok()?, head })
    }

    /// Waits until it has logged this line.
    pub(crate) fn wait_for_line(&mut self, line: &str) {
        self.process.still_runs().or_else(|_| self.process.ended().map(|_| ())).expect("it runs");
        wait_for_line(&self.log, |logged| logged == line);
    }

    /// Waits until it has logged `count` messages.
    pub(crate) fn wait_for(&self, count: usize) {
        let start = Instant::now();
        while self.log().len() < count {
            assert!(start.elapsed() < PATIENCE, "{} has {} of {count}", self.id, self.log().len());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
