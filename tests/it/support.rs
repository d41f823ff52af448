//! Starts iotrail, stops it, and reads what it exported and counted.

use std::env;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;
use tracer_tests::broker::free_port;
use tracer_tests::http;
use tracer_tests::otlp::{self, Span};
use tracer_tests::process::Running;

/// How long anything may take that is not measured.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The program under test: `cargo xtask test` says which.
pub fn iotrail() -> PathBuf {
    env::var_os("IOTRAIL_BIN")
        .map(PathBuf::from)
        .expect("run the live tests with `cargo xtask test --live-only`")
}

/// A folder of a test's own, removed with it.
pub struct Folder(PathBuf, bool);

impl Folder {
    /// A new one.
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("iotrail-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("the temporary folder can be written");
        Self(path, false)
    }

    /// Leaves it where it is, for people to look at.
    pub fn keep(&mut self) {
        self.1 = true;
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.1 {
            // What cannot be removed is left in the temporary folder, which is where it belongs.
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// A running `iotrail run`.
pub struct Tracer {
    folder: Folder,
    process: Running,
    http: SocketAddr,
}

/// What a finished run left.
#[derive(Debug)]
pub struct Outcome {
    /// Every exported span.
    pub spans: Vec<Span>,
    /// Every count by name: `kernel.data`, `publishes`, …
    counts: serde_json::Map<String, Value>,
    stages: Vec<Value>,
    /// What it said on standard error.
    pub log: String,
}

impl Tracer {
    /// Starts it with these arguments and waits until it traces.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, |_| {})
    }

    /// As [`Self::start`], with a say in the command (environment, …).
    pub fn start_with(arguments: &[&str], change: impl FnOnce(&mut Command)) -> Self {
        let folder = Folder::new();
        let port = free_port().expect("a port is free");
        let mut command = Command::new(iotrail());
        command
            .arg("run")
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .arg("--report")
            .arg(folder.path().join("report.json"))
            .args(["--export", &format!("file:{}", folder.path().join("spans.jsonl").display())])
            .args(arguments)
            .stdin(Stdio::null());
        change(&mut command);
        let log = folder.path().join("log");
        let process = Running::start_logged("iotrail", &mut command, &log).expect("iotrail starts");
        let mut tracer = Self { folder, process, http: (Ipv4Addr::LOCALHOST, port).into() };
        let start = Instant::now();
        while !http::get(tracer.http, "/health/ready").is_ok_and(|(status, _)| status == 200) {
            let ended = tracer.process.ended().expect("its state can be read");
            assert!(ended.is_none(), "iotrail ended early: {}", tracer.log());
            assert!(start.elapsed() < PATIENCE, "iotrail is not ready: {}", tracer.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        tracer
    }

    /// Where it serves metrics and health.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// The file that it exports to.
    pub fn export(&self) -> PathBuf {
        self.folder.path().join("spans.jsonl")
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The spans exported so far.
    pub fn spans(&self) -> Vec<Span> {
        let path = self.folder.path().join("spans.jsonl");
        let text = fs::read_to_string(path).unwrap_or_default();
        // The last line may be half written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().flat_map(|line| otlp::parse(line).expect("a line of OTLP JSON")).collect()
    }

    /// Waits until it says this in its log.
    pub fn wait_log(&self, words: &str) {
        let start = Instant::now();
        while !self.log().contains(words) {
            assert!(start.elapsed() < PATIENCE, "it does not say `{words}`: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until more than `known` records were written by the kernel side and all of them were taken; how many.
    pub fn wait_drained(&self, known: u64) -> u64 {
        let start = Instant::now();
        loop {
            let (_, page) = http::get(self.http, "/metrics").expect("it serves metrics");
            let samples = http::samples(&page, "iotrail_events_total");
            let of = |stage: &str| {
                let labels = format!("stage=\"{stage}\"");
                samples.iter().find(|(found, _)| *found == labels).map_or(0.0, |(_, count)| *count)
            };
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            let (written, taken) = (of("kernel") as u64, of("analysis") as u64);
            if written > known && written == taken {
                return written;
            }
            assert!(start.elapsed() < PATIENCE, "{written} records written, {taken} taken, {known} before");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the spans exported so far are as wanted.
    pub fn wait_for(&mut self, what: &str, wanted: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        let start = Instant::now();
        loop {
            let spans = self.spans();
            if wanted(&spans) {
                return spans;
            }
            assert!(start.elapsed() < PATIENCE, "no {what} within {PATIENCE:?}; {}\n{spans:#?}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it as a user would, and reads what it left.
    pub fn stop(self) -> Outcome {
        self.stop_with(Signal::SIGINT)
    }

    /// As [`Self::stop`], by this signal.
    pub fn stop_with(mut self, signal: Signal) -> Outcome {
        let status = self.process.stop(signal, PATIENCE).expect("it can be stopped");
        assert!(status.success(), "iotrail ended with {status}: {}", self.log());
        self.outcome()
    }

    /// Waits until it ends by itself, and reads what it left.
    pub fn ended(mut self) -> Outcome {
        let status = self.process.wait(PATIENCE).expect("it ends");
        assert!(status.success(), "iotrail ended with {status}: {}", self.log());
        self.outcome()
    }

    fn outcome(&self) -> Outcome {
        let log = self.log();
        assert!(!log.contains("panicked"), "{log}");
        let report = fs::read_to_string(self.folder.path().join("report.json")).expect("it leaves a report");
        let report: Value = serde_json::from_str(&report).expect("the report is JSON");
        let counts = report["counts"].as_object().expect("the report has counts").clone();
        let stages = report["stages"].as_array().expect("the report has stages").clone();
        Outcome { spans: self.spans(), counts, stages, log }
    }
}

/// What went through a stage.
#[derive(Debug)]
pub struct Stage {
    /// What came in.
    pub came: u64,
    /// What went out, and what was still there.
    pub passed: u64,
    /// What was lost, by reason.
    dropped: serde_json::Map<String, Value>,
}

impl Stage {
    /// What was lost.
    pub fn lost(&self) -> u64 {
        self.dropped.values().filter_map(Value::as_u64).sum()
    }
}

impl Outcome {
    /// What went through the stage of this name; in = out + lost.
    pub fn stage(&self, name: &str) -> Stage {
        let found = self.stages.iter().find(|stage| stage["stage"] == name);
        let found = found.unwrap_or_else(|| panic!("no stage {name} in {:?}", self.stages));
        let count = |key: &str| found[key].as_u64().expect("a count");
        let dropped = found["dropped"].as_object().expect("reasons").clone();
        let stage = Stage { came: count("in"), passed: count("out") + count("held"), dropped };
        assert_eq!(stage.came, stage.passed + stage.lost(), "{name}: in = out + lost");
        stage
    }

    /// A count by name.
    pub fn count(&self, name: &str) -> u64 {
        self.counts
            .get(name)
            .and_then(Value::as_u64)
            .unwrap_or_else(|| panic!("no count {name} in {:?}", self.counts))
    }
}
