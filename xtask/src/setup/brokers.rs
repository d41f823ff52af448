//! Brokers and clients for the live tests and the benchmarks: what Debian has comes from Debian, the rest into the target folder.

use super::PYTHON;
use crate::{cmd, workspace::Workspace};
use anyhow::{Context as _, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Tells the live tests and the benchmarks where Kafka's jars are, if they are there.
const KAFKA_VARIABLE: &str = "IOTRAIL_KAFKA";
/// Tells the live tests which Python has all the clients' libraries.
const PYTHON_VARIABLE: &str = "IOTRAIL_PYTHON";
/// Tells the live tests where NATS' command-line tool is.
const NATSCLI_VARIABLE: &str = "IOTRAIL_NATSCLI";
/// Tells the live tests where the Rust clients are.
const CLIENTS_VARIABLE: &str = "IOTRAIL_CLIENTS";

/// Tells the live tests where the Go clients are.
const GO_CLIENTS_VARIABLE: &str = "IOTRAIL_GO_CLIENTS";
/// What these are made of, below `tests/clients/go`.
const GO_SOURCES: [&str; 4] =
    ["go.mod", "common/common.go", "client_amqp091/main.go", "client_mqtt_ws/main.go"];

/// Brokers, their own loads and what fetches them: programs, the packages that have them, and what for.
const BROKERS: [(&str, &str, &str); 6] = [
    ("/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server", "AMQP broker for tests and benchmarks"),
    ("nats-server", "nats-server", "NATS broker for tests and benchmarks"),
    ("redis-server", "redis-server", "Redis for tests and benchmarks"),
    ("redis-benchmark", "redis-tools", "Redis' own client and load"),
    ("java", "default-jre-headless", "runs Apache Kafka for tests and benchmarks"),
    ("mvn", "maven", "fetches Apache Kafka for tests and benchmarks"),
];
/// Clients for the tests, likewise.
const CLIENTS: [(&str, &str, &str); 3] = [
    ("javac", "default-jdk-headless", "compiles a Kafka client for the tests"),
    ("kcat", "kcat", "a Kafka client for the tests"),
    ("amqp-publish", "amqp-tools", "AMQP clients for the tests"),
];
/// Python modules, the packages that have them, and what for.
const MODULES: [(&str, &str, &str); 5] = [
    ("paho.mqtt", "python3-paho-mqtt", "another MQTT client for the tests"),
    ("pika", "python3-pika", "another AMQP client for the tests"),
    ("redis", "python3-redis", "another Redis client for the tests"),
    ("confluent_kafka", "python3-confluent-kafka", "another Kafka client for the tests"),
    ("ensurepip", "python3-venv", "fetches another NATS client for the tests"),
];
/// The NATS client, which Debian does not have.
const NATS: &str = "nats-py==2.6.0";
/// Services that these packages start; tests and benchmarks run brokers of their own.
pub(super) const SERVICES: [(&str, &str); 4] = [
    ("mosquitto", "mosquitto"),
    ("rabbitmq-server", "rabbitmq-server"),
    ("nats-server", "nats-server"),
    ("redis-server", "redis-server"),
];

/// Debian packages that are missing for brokers alone, and what for.
pub(super) fn missing_brokers() -> Vec<(&'static str, &'static str)> {
    missing_of(&BROKERS)
}

fn missing_of(programs: &[(&str, &'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let is_there = |program: &str| Path::new(program).is_file() || cmd::which(program).is_some();
    programs
        .iter()
        .filter(|(program, ..)| !is_there(program))
        .map(|(_, package, why)| (*package, *why))
        .collect()
}

/// Debian packages that are missing for brokers and clients, and what for.
pub(super) fn missing() -> Vec<(&'static str, &'static str)> {
    let mut missing = missing_brokers();
    missing.extend(missing_of(&CLIENTS));
    let names = MODULES.map(|(module, ..)| module);
    // One start of Python for all of them.
    let script = "import sys, importlib.util\n\
        def there(name):\n \
         try: return importlib.util.find_spec(name) is not None\n \
         except ImportError: return False\n\
        print(*[name for name in sys.argv[1:] if there(name)])";
    let found = cmd::answer(Command::new(PYTHON).args(["-c", script]).args(names)).unwrap_or_default();
    let found: Vec<&str> = found.split_whitespace().collect();
    missing.extend(
        MODULES
            .into_iter()
            .filter(|(module, ..)| !found.contains(module))
            .map(|(_, package, why)| (package, why)),
    );
    missing
}

/// Fetches what Debian does not have, once. Without Maven's repository the tests do with librdkafka's mock cluster, which is
/// said here and by them; without Python's index and Go's modules they cannot do.
pub(super) fn fetch(workspace: &Workspace) -> Result<()> {
    python(workspace).with_context(|| format!("the NATS client {NATS} cannot be had"))?;
    if let Err(err) = kafka(workspace) {
        eprintln!("setup: no Apache Kafka ({err:#}): the tests of Kafka do with librdkafka's mock cluster");
    }
    go_clients(workspace).context("the clients in Go cannot be had")?;
    natscli(workspace).context("NATS' command-line tool cannot be had")
}

/// Fetches Apache Kafka, if that can be done: without, the other brokers can still be measured.
pub(super) fn fetch_kafka(workspace: &Workspace) {
    if let Err(err) = kafka(workspace) {
        eprintln!("setup: no Apache Kafka ({err:#}): it cannot be measured");
    }
}

/// Tells a program where Apache Kafka is, if it is there.
pub(crate) fn say_kafka(workspace: &Workspace, program: &mut Command) {
    if stamp_holds(workspace) {
        program.env(KAFKA_VARIABLE, jars(workspace));
    }
}

/// Tells the live tests where everything is, and makes cargo build the clients first.
pub(crate) fn build(workspace: &Workspace, tests: &mut Command) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--quiet", "--package", "tracer-clients", "--bins"]);
    cmd::loud(&mut cargo)?;
    tests.env(PYTHON_VARIABLE, own_python(workspace)).env(CLIENTS_VARIABLE, workspace.target.join("debug"));
    say_kafka(workspace, tests);
    tests.env(NATSCLI_VARIABLE, own_natscli(workspace));
    tests.env(GO_CLIENTS_VARIABLE, workspace.target.join("go"));
    Ok(())
}

fn own_natscli(workspace: &Workspace) -> PathBuf {
    workspace.target.join("natscli/nats")
}

/// Where Go puts itself; Debian's may be older.
const GO: &str = "/usr/local/go/bin/go";

/// Go's compiler.
pub(crate) fn go() -> Command {
    Command::new(if Path::new(GO).is_file() { GO } else { "go" })
}

/// Whether there is one.
pub(super) fn go_is_there() -> bool {
    Path::new(GO).is_file() || cmd::which("go").is_some()
}

/// Builds NATS' command-line tool, whose module says which one.
fn natscli(workspace: &Workspace) -> Result<()> {
    let (tool, folder) = (own_natscli(workspace), workspace.root.join("tests/clients/natscli"));
    let stamp = tool.with_file_name("go.mod");
    if tool.is_file() && is_same(&folder.join("go.mod"), &stamp) {
        return Ok(());
    }
    let mut go = go();
    go.args(["build", "-o"]).arg(&tool).arg("github.com/nats-io/natscli/nats");
    go.current_dir(&folder);
    cmd::quiet(workspace, "building NATS' command-line tool", "natscli", &mut go)?;
    fs::copy(folder.join("go.mod"), stamp).context("cannot write beside the tool")?;
    Ok(())
}

/// Builds the clients in Go, whose module says on which libraries.
fn go_clients(workspace: &Workspace) -> Result<()> {
    let (programs, folder) = (workspace.target.join("go"), workspace.root.join("tests/clients/go"));
    let mut sources = Vec::new();
    for name in GO_SOURCES {
        let path = folder.join(name);
        sources.append(&mut fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
    }
    let stamp = programs.join("sources");
    if fs::read(&stamp).is_ok_and(|made_of| made_of == sources) {
        return Ok(());
    }
    fs::create_dir_all(&programs).with_context(|| format!("cannot make {}", programs.display()))?;
    let mut go = go();
    go.args(["build", "-o"]).arg(&programs).arg("./...").current_dir(&folder);
    cmd::quiet(workspace, "building clients in Go", "go", &mut go)?;
    fs::write(stamp, sources).context("cannot write beside the clients")
}

fn own_python(workspace: &Workspace) -> PathBuf {
    workspace.target.join("python/bin/python")
}

fn python(workspace: &Workspace) -> Result<()> {
    let python = own_python(workspace);
    if cmd::answer(Command::new(&python).args(["-c", "import nats"])).is_some() {
        return Ok(());
    }
    let mut venv = Command::new(PYTHON);
    venv.args(["-m", "venv", "--clear", "--system-site-packages"]).arg(workspace.target.join("python"));
    cmd::quiet(workspace, "making a place for Python libraries", "venv", &mut venv)?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", NATS]);
    cmd::quiet(workspace, "fetching a NATS client", "pip", &mut pip)
}

fn jars(workspace: &Workspace) -> PathBuf {
    workspace.target.join("kafka")
}

fn pom(workspace: &Workspace) -> PathBuf {
    workspace.root.join("tests/clients/pom.xml")
}

/// Whether the jars are those of the file that says which.
fn stamp_holds(workspace: &Workspace) -> bool {
    is_same(&pom(workspace), &jars(workspace).join("pom.xml"))
}

/// Whether what is there was made of the file that says what is wanted.
fn is_same(wanted: &Path, made_of: &Path) -> bool {
    fs::read(wanted).is_ok_and(|wanted| fs::read(made_of).is_ok_and(|is| wanted == is))
}

fn kafka(workspace: &Workspace) -> Result<()> {
    if stamp_holds(workspace) {
        return Ok(());
    }
    let (pom, folder) = (pom(workspace), jars(workspace));
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", "-f"]).arg(&pom).arg("dependency:copy-dependencies");
    maven.arg(format!("-DoutputDirectory={}", folder.display()));
    let status = cmd::logged(workspace, "fetching Apache Kafka", "maven", &mut maven)?;
    if !status.success() {
        let log = workspace.own("maven.log");
        let why = cmd::tail(&log).into_iter().find(|line| line.contains("ERROR")).unwrap_or_default();
        bail!("Maven failed ({status}): {why}; whole log: {}", workspace.short(&log));
    }
    fs::copy(&pom, folder.join("pom.xml")).context("cannot write beside the jars")?;
    Ok(())
}
