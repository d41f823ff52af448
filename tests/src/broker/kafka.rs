//! Apache Kafka, or, where its programs are not there, the mock cluster of librdkafka.

use super::{Certificates, free_port, wait_until_ready};
use crate::process::Running;
use anyhow::{Context as _, Result, bail, ensure};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Where Kafka's jars are: `cargo xtask test` says so, if it could get them.
const VARIABLE: &str = "IOTRAIL_KAFKA";
/// A cluster's id: 16 bytes in base 64.
const CLUSTER: &str = "aW90cmFpbC10ZXN0cy0wMQ";

/// A running broker: its own controller, with one node.
#[derive(Debug)]
pub struct Kafka {
    /// The process.
    pub process: Running,
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// Its port for TLS, if it has certificates.
    pub tls_port: Option<u16>,
    /// Whether it is Apache Kafka, not librdkafka's mock cluster.
    pub is_real: bool,
}

/// The folder of Kafka's jars; none where Maven could not be reached.
pub fn jars() -> Option<PathBuf> {
    env::var_os(VARIABLE).map(PathBuf::from).filter(|folder| folder.is_dir())
}

/// A Java command with Kafka's jars, made for a quick start.
///
/// # Errors
/// When there are no jars.
pub fn java(memory: &str) -> Result<Command> {
    java_with(&["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"], memory)
}

/// As [`java`], for long runs: it optimises as it does by itself.
///
/// # Errors
/// When there are no jars.
pub fn optimising_java(memory: &str) -> Result<Command> {
    java_with(&[], memory)
}

fn java_with(options: &[&str], memory: &str) -> Result<Command> {
    let jars = jars().with_context(|| format!("{VARIABLE} names no folder: there is no Apache Kafka"))?;
    let mut java = Command::new("java");
    java.args(options).args([&format!("-Xmx{memory}"), "-cp"]).arg(format!("{}/*", jars.display()));
    Ok(java)
}

impl Kafka {
    /// Starts one with its data and log in `folder`; says so on standard error if it is only a mock.
    ///
    /// # Errors
    /// When it is not ready in time.
    pub fn start(folder: &Path, tls: Option<&Certificates>) -> Result<Self> {
        if jars().is_some() {
            return Self::real(folder, tls, java);
        }
        ensure!(tls.is_none(), "librdkafka's mock cluster has no TLS");
        eprintln!("Maven cannot be reached: librdkafka's mock cluster stands in for Apache Kafka");
        Self::mock(folder)
    }

    /// Starts Apache Kafka as it is meant to run for long, with its data and log in `folder`.
    ///
    /// # Errors
    /// When there is none, or it is not ready in time.
    pub fn start_optimising(folder: &Path) -> Result<Self> {
        Self::real(folder, None, optimising_java)
    }

    fn real(folder: &Path, tls: Option<&Certificates>, broker: fn(&str) -> Result<Command>) -> Result<Self> {
        let (port, controller) = (free_port()?, free_port()?);
        let tls_port = tls.map(|_| free_port()).transpose()?;
        let mut listeners = format!("PLAINTEXT://127.0.0.1:{port}");
        let mut config = String::new();
        if let (Some(certificates), Some(port)) = (tls, tls_port) {
            listeners += &format!(",SSL://localhost:{port}");
            let pem = certificates.in_one_file()?;
            config += &format!("ssl.keystore.type=PEM\nssl.keystore.location={}\n", pem.display());
        }
        config += &format!(
            "process.roles=broker,controller\nnode.id=1\n\
             listeners={listeners},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners={listeners}\n\
             controller.listener.names=CONTROLLER\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL\n\
             log.dirs={}\n\
             message.max.bytes=4194304\nreplica.fetch.max.bytes=4194304\n\
             group.initial.rebalance.delay.ms=0\n\
             offsets.topic.replication.factor=1\noffsets.topic.num.partitions=1\n\
             transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
             transaction.state.log.num.partitions=1\nshare.coordinator.state.topic.replication.factor=1\n\
             share.coordinator.state.topic.min.isr=1\nshare.coordinator.state.topic.num.partitions=1\n",
            folder.join("data").display()
        );
        let path = folder.join("server.properties");
        fs::write(&path, config).with_context(|| format!("cannot write {}", path.display()))?;
        let output = java("256m")?
            .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c"])
            .arg(&path)
            // Share groups have to be asked for in 4.1.
            .args(["--feature", "share.version=1"])
            .stdin(Stdio::null())
            .output()
            .context("cannot start java")?;
        if !output.status.success() {
            bail!("Kafka's storage cannot be formatted: {}", String::from_utf8_lossy(&output.stderr));
        }
        let log = folder.join("kafka.log");
        let mut process =
            Running::start_logged("kafka", broker("512m")?.arg("kafka.Kafka").arg(&path), &log)?;
        wait_until_ready(&mut process, &log, "Kafka Server started")?;
        Ok(Self { process, port, tls_port, is_real: true })
    }

    /// kcat with a mock cluster of one broker inside, for as long as it waits for something to produce. It says the port.
    fn mock(folder: &Path) -> Result<Self> {
        let log = folder.join("kafka.log");
        let out = fs::File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
        let mut kcat = Command::new("kcat");
        kcat.args(["-P", "-b", "none", "-t", "none", "-d", "mock", "-X", "test.mock.num.brokers=1"]);
        kcat.stdin(Stdio::piped()).stdout(out.try_clone()?).stderr(out);
        let mut process = Running::start_with_input("kcat", &mut kcat)?;
        let start = Instant::now();
        loop {
            let said = fs::read_to_string(&log).unwrap_or_default();
            let port = said.rsplit_once("127.0.0.1:").and_then(|(_, rest)| {
                rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|port| port.parse().ok())
            });
            if let Some(port) = port {
                return Ok(Self { process, port, tls_port: None, is_real: false });
            }
            process.still_runs().with_context(|| said.clone())?;
            ensure!(start.elapsed() < super::START, "kcat does not say its port: {said}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}
