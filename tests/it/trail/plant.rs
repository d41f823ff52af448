//! Instruments, a broker, sensors and actuators under a tracer.

use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::fcntl::OFlag;
use tracer_tests::instrument::Line;
use tracer_tests::otlp::{self, Span};
use tracer_tests::truth::{self, Actuator, Sensor, Verdict};

use crate::mqtt::site::{Client, Site, trace};
use crate::support::{Outcome, Tracer};

/// A broker with its sensors and actuators.
pub(crate) struct Plant {
    pub(crate) site: Site,
    devices: Vec<String>,
    instruments: Vec<String>,
    sensors: Vec<(Client, Sensor)>,
    actuators: Vec<(Client, String)>,
}

impl Plant {
    pub(crate) fn new() -> Self {
        Self {
            site: Site::new(),
            devices: Vec::new(),
            instruments: Vec::new(),
            sensors: Vec::new(),
            actuators: Vec::new(),
        }
    }

    /// An instrument; its node.
    pub(crate) fn instrument(
        &mut self,
        mut answer: impl FnMut(&str) -> Option<String> + Send + 'static,
    ) -> String {
        let line = Line::open().expect("a pseudo-terminal is to be had");
        let path = line.path.to_str().expect("it is text").to_owned();
        thread::spawn(move || {
            // Whole: its other fields keep the line from being hung up.
            let line = line;
            let mut requests =
                BufReader::new(line.far.try_clone().expect("a descriptor is to be had")).lines();
            let mut far = &line.far;
            while let Some(Ok(request)) = requests.next()
                && request != QUIT
            {
                if let Some(reply) = answer(request.trim_end()) {
                    write!(far, "{reply}\r\n").expect("the line takes it");
                }
            }
        });
        self.devices.push(path.clone());
        self.instruments.push(path.clone());
        path
    }

    /// A line whose far end is the test's.
    pub(crate) fn line(&mut self) -> Line {
        let line = Line::open().expect("a pseudo-terminal is to be had");
        self.devices.push(line.path.to_str().expect("it is text").to_owned());
        line
    }

    /// Starts the tracer for this plant alone.
    pub(crate) fn trace(&self, more: &[&str]) -> Tracer {
        let selector = self.site.selector();
        let mut arguments = vec!["--broker", &selector, "--payload", "full"];
        for device in &self.devices {
            arguments.extend(["--device", device]);
        }
        arguments.extend(more);
        trace(&arguments)
    }

    fn program(&self, id: &str, count: usize, part: &str, devices: &[&str], more: &[&str]) -> Client {
        let mut command = Command::new(env!("CARGO_BIN_EXE_client_plant"));
        command.args([
            "--port",
            &self.site.broker.port.to_string(),
            "--id",
            id,
            "--count",
            &count.to_string(),
        ]);
        command.arg(part);
        for device in devices {
            command.args(["--device", device]);
        }
        let mut client = self.site.start(id, "", command.args(more));
        client.wait_for_line("ready");
        client
    }

    /// Starts a sensor on these devices that publishes to `plant/{id}/{index}`.
    pub(crate) fn sensor(&mut self, id: &str, count: usize, devices: &[&str], more: &[&str]) -> &mut Client {
        let topic = format!("plant/{id}");
        let mut arguments = vec!["--topic", &topic];
        arguments.extend(more);
        let client = self.program(id, count, "sensor", devices, &arguments);
        let devices = devices.iter().map(|device| (*device).to_owned()).collect();
        let sensor = Sensor { pid: client.pid(), topic, devices };
        self.sensors.push((client, sensor));
        &mut self.sensors.last_mut().expect("it was just put there").0
    }

    /// Starts an actuator.
    pub(crate) fn actuator(&mut self, id: &str, count: usize, device: &str, more: &[&str]) -> &mut Client {
        let client = self.program(id, count, "actuator", &[device], more);
        self.actuators.push((client, device.to_owned()));
        &mut self.actuators.last_mut().expect("it was just put there").0
    }

    /// The program with this id.
    pub(crate) fn client(&mut self, id: &str) -> &mut Client {
        let clients = self.sensors.iter_mut().map(|(client, _)| client);
        let mut clients = clients.chain(self.actuators.iter_mut().map(|(client, _)| client));
        clients.find(|client| client.id == id).expect("it was started")
    }

    /// Waits until all programs have ended.
    pub(crate) fn finish(&mut self) {
        let clients = self.sensors.iter_mut().map(|(client, _)| client);
        clients.chain(self.actuators.iter_mut().map(|(client, _)| client)).for_each(Client::finish);
    }

    /// What is true, beside what is said.
    pub(crate) fn verdicts(&self, spans: &[Span]) -> Vec<Verdict> {
        let sensors: Vec<_> = self.sensors.iter().map(|(_, sensor)| sensor.clone()).collect();
        let actuators: Vec<_> = self
            .actuators
            .iter()
            .map(|(client, device)| Actuator {
                pid: client.pid(),
                device: device.clone(),
                handled: handled(client),
            })
            .collect();
        truth::verdicts(spans, &sensors, &actuators)
    }
}

/// Ends an instrument.
const QUIT: &str = "*QUIT";

impl Drop for Plant {
    fn drop(&mut self) {
        for path in &self.instruments {
            // An instrument that is gone already needs no end.
            let line = OpenOptions::new().write(true).custom_flags(OFlag::O_NOCTTY.bits()).open(path);
            let _ = line.and_then(|mut line| writeln!(line, "{QUIT}"));
        }
    }
}

/// Topic and number of the messages that an actuator has logged.
pub(crate) fn handled(client: &Client) -> Vec<(String, u64)> {
    let number = |text: &str| text.split(' ').next().and_then(|number| number.parse().ok());
    client.log().into_iter().map(|line| (line.topic, number(&line.head).expect("a number"))).collect()
}

/// Every link is there and right, with one of these kinds of evidence each.
pub(crate) fn all_right(verdicts: &[Verdict], expected: usize, evidence: &[&str]) {
    let wrong: Vec<_> = verdicts.iter().filter(|verdict| !verdict.right).collect();
    assert!(
        wrong.is_empty(),
        "{} of {} are wrong, e.g. {:?}",
        wrong.len(),
        verdicts.len(),
        &wrong[..wrong.len().min(5)]
    );
    assert_eq!(verdicts.len(), expected, "links");
    for verdict in verdicts {
        let known = verdict.evidence.as_deref().unwrap_or_default();
        assert!(evidence.contains(&known), "{verdict:?} rests on none of {evidence:?}");
    }
}

/// Looks when spans arrive in the file.
pub(crate) struct Watch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Vec<(Span, Duration)>>,
}

impl Watch {
    /// Starts looking.
    pub(crate) fn new(tracer: &Tracer) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (path, ended) = (tracer.export(), Arc::clone(&over));
        let look = move || {
            let (mut at, mut arrived) = (0, Vec::new());
            loop {
                let last = ended.load(Ordering::Relaxed);
                let text = fs::read_to_string(&path).unwrap_or_default();
                let whole = text.rfind('\n').map_or(at, |end| end + 1);
                let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
                for line in text[at..whole].lines() {
                    let spans = otlp::parse(line).expect("a line of OTLP JSON").into_iter();
                    arrived.extend(spans.map(|span| {
                        let late = now.saturating_sub(Duration::from_nanos(span.end));
                        (span, late)
                    }));
                }
                at = whole;
                if last {
                    return arrived;
                }
                thread::sleep(Duration::from_millis(5));
            }
        };
        Self { over, thread: thread::spawn(look) }
    }

    /// Every span with how long after its end it arrived.
    pub(crate) fn stop(self) -> Vec<(Span, Duration)> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().expect("it looks on")
    }
}

/// Every trace was complete in time: its last span arrived no later than this after the last end in the trace.
pub(crate) fn complete_in_time(arrived: &[(Span, Duration)], limit: Duration) {
    let mut traces: std::collections::HashMap<&str, (u64, u64)> = std::collections::HashMap::new();
    for (span, late) in arrived {
        let (end, arrival) = traces.entry(span.trace.as_str()).or_default();
        *end = (*end).max(span.end);
        *arrival = (*arrival).max(span.end + late.as_nanos() as u64);
    }
    let slowest = traces.values().map(|(end, arrival)| arrival - end).max().map(Duration::from_nanos);
    assert!(slowest.expect("there are traces") <= limit, "a trace was complete only after {slowest:?}");
}

/// Ends the tracer; what it left.
pub(crate) fn end(tracer: Tracer) -> Outcome {
    let outcome = tracer.stop();
    crate::mqtt::check::check_ids(&outcome.spans);
    outcome
}
