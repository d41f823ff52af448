//! The runs that every way of every protocol goes through.

use std::collections::HashMap;

use tracer_tests::otlp::Span;

use super::check::{Truth, head};
use super::site::{Client, Entry, JAVA, Library, Site};
use super::{Protocol, Route};
use crate::mqtt::check::{Owner, of_kind};
use crate::support::{Outcome, Tracer};

/// Who is traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Viewpoint {
    Both,
    Clients,
    Broker,
}

/// A publisher and its subscribers.
pub(crate) struct Flow {
    protocol: &'static Protocol,
    route: &'static Route,
    name: String,
    /// The subscribers' library.
    library: Library,
    /// How many messages.
    count: usize,
    publisher: Client,
    subscribers: Vec<Client>,
}

/// What is published: `COUNTxSIZE,…`, and how many that is.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) messages: &'static str,
    pub(crate) count: usize,
    /// Milliseconds between two messages.
    pub(crate) period: &'static str,
}

/// Small bodies, some that are larger than most buffers, and one of 1 MiB.
pub(crate) const SIZES: Load = Load { messages: "10x20,3x5120,1x1048576", count: 14, period: "0" };
/// As fast as the libraries can.
pub(crate) const FAST: Load = Load { messages: "400x20", count: 400, period: "0" };
/// So many that libraries and brokers move hundreds in one call.
pub(crate) const FLOOD: Load = Load { messages: "4000x256", count: 4000, period: "0" };
/// One now and then.
pub(crate) const SLOW: Load = Load { messages: "20x40", count: 20, period: "20" };

/// Messages of half a second of [`STEADY`].
const BUSY: usize = 100;
/// No pause that is as long as an answer may take.
pub(crate) const STEADY: Load = Load { messages: "1600x40", count: 1600, period: "5" };

fn text(template: &str, flow: &str, sub: usize) -> String {
    template.replace("{flow}", flow).replace("{sub}", &sub.to_string())
}

impl Flow {
    /// Starts subscribers and a publisher, and waits until they are ready. The publisher waits to be told to begin.
    pub(crate) fn start(site: &Site, route: &'static Route, from: Library, to: Library, load: Load) -> Self {
        let name = format!("{}-{from:?}-{to:?}", route.name).to_lowercase();
        let count = load.count.to_string();
        let subscriber = |number| {
            let (from, group) = (text(route.from, &name, number), text(route.group, &name, number));
            let arguments = ["subscribe", "--from", &from, "--count", &count, "--group", &group];
            site.client(to, &format!("{name}-sub{number}"), route.ways[1], &arguments)
        };
        let subscribers = (0..route.subscribers).map(subscriber).collect();
        let destination = text(route.to, &name, 0);
        let arguments =
            ["--to", &destination, "--messages", load.messages, "--period", load.period, "--held"];
        let publisher = site.client(
            from,
            &format!("{name}-pub"),
            route.ways[0],
            &[&["publish"], arguments.as_slice()].concat(),
        );
        Self { protocol: site.protocol, route, name, library: to, count: load.count, publisher, subscribers }
    }

    /// Publishes half of the messages, which are `half`, and waits until everybody got them.
    pub(crate) fn half(&mut self, half: usize) {
        self.publisher.go_on();
        self.subscribers.iter_mut().for_each(|subscriber| subscriber.wait_for(half));
    }

    /// Publishes what is left, and waits until everybody has ended.
    pub(crate) fn finish(&mut self) {
        // Told twice, it does not wait at the half.
        self.publisher.give(b"go on\ngo on\n");
        self.publisher.finish();
        self.subscribers.iter_mut().for_each(Client::finish);
    }

    /// From which message on, at `from` or behind it, all subscribers were seen to get what they got.
    fn seen_from(&self, spans: &[Span], from: usize) -> usize {
        let mut times: HashMap<String, usize> = HashMap::new();
        for span in of_kind(spans, "process ") {
            *times.entry(head(span)).or_default() += 1;
        }
        let log = self.publisher.log();
        let is_whole =
            |entry: &Entry| times.get(&entry.head).is_some_and(|times| *times >= self.subscribers.len());
        log.iter().skip(from).position(is_whole).map_or(log.len(), |behind| from + behind)
    }

    /// Adds what happened from message `from` on to the truth.
    pub(crate) fn tell(&self, truth: &mut Truth, from: usize, viewpoint: Viewpoint) {
        let Self { protocol, route, name, library, count, publisher, subscribers } = self;
        assert_eq!(publisher.log().len(), *count, "{name}: the publisher's own log");
        let settles = route.settles[usize::from(*library != Library::Rust)];
        let owner = |client: &Client| match viewpoint {
            Viewpoint::Broker => Owner::Remote(client.id.clone()),
            Viewpoint::Both | Viewpoint::Clients => Owner::Process(client.pid()),
        };
        let attribute = route.id.map(|(attribute, _)| attribute);
        let published_id = attribute.filter(|_| route.published_id);
        // Those that are told of, with their ids as spans write them.
        let late = |mut entries: Vec<Entry>| {
            let number = |entry: &Entry| entry.head.rsplit('-').next().and_then(|number| number.parse().ok());
            entries.retain(|entry| number(entry).is_none_or(|number: usize| number >= from));
            for entry in &mut entries {
                let written = |(id, (_, form)): (String, (_, &str))| text(form, name, 0).replace("{id}", &id);
                entry.id = entry.id.take().zip(route.id).map(written);
            }
            entries
        };
        truth.sent(&owner(publisher), &late(publisher.log()), &text(route.published, name, 0), published_id);
        if viewpoint == Viewpoint::Broker && !protocol.sees_sent {
            return;
        }
        for subscriber in subscribers {
            let mut entries = late(subscriber.log());
            if from > 0 && !route.delivered_late.is_empty() {
                let destination = text(route.delivered_late, name, 0);
                entries.iter_mut().for_each(|entry| entry.destination.clone_from(&destination));
            }
            assert_eq!(subscriber.log().len(), *count, "{name}: the subscriber's own log");
            truth.received(&owner(subscriber), &entries, settles, attribute);
        }
    }
}

/// Starts a tracer for this broker, told to look from there alone.
pub(crate) fn start(site: &Site, viewpoint: Viewpoint) -> Tracer {
    let (selector, broker) = (site.selector(), site.broker.pid.to_string());
    // Room for what comes at once: other tests keep the machine busy.
    let mut arguments = vec!["--broker", &selector, "--payload", "head:64", "--ring", "131072"];
    match viewpoint {
        Viewpoint::Both => {}
        // By name, so that it can begin before they do.
        Viewpoint::Clients => {
            arguments.extend(["--comm", site.protocol.clients[0], "--comm", "python", "--comm", JAVA]);
            arguments.extend(site.protocol.go.iter().flat_map(|name| ["--comm", name]));
        }
        Viewpoint::Broker => arguments.extend(["--pid", &broker]),
    }
    crate::tls::trace(&arguments)
}

pub(crate) fn truth(site: &Site, viewpoint: Viewpoint) -> Truth {
    let broker = (site.broker.pid, site.protocol.service);
    Truth::new(
        site.protocol.system,
        (viewpoint != Viewpoint::Clients).then_some(broker),
        site.protocol.sees_sent,
    )
}

/// Keeps what was seen beside the clients' logs, for the case that it is not what it should be.
pub(crate) fn keep(site: &Site, outcome: &Outcome) {
    let spans: Vec<String> = outcome.spans.iter().map(|span| format!("{span:?}\n")).collect();
    std::fs::write(site.path().join("spans.txt"), spans.concat()).expect("the spans can be kept");
    std::fs::write(
        site.path().join("iotrail.txt"),
        format!("{outcome:?}").split("], counts").last().unwrap_or_default(),
    )
    .expect("the counts can be kept");
}

/// Every route between every pair of libraries, one after the other, attached before they connect.
pub(crate) fn every_client(protocol: &'static Protocol, routes: &'static [Route], load: Load) {
    let site = Site::new(protocol);
    let tracer = start(&site, Viewpoint::Both);
    let mut truth = truth(&site, Viewpoint::Both);
    for route in routes {
        let mut pairs = vec![
            (Library::Rust, Library::Rust),
            (Library::Rust, Library::Python),
            (Library::Python, Library::Rust),
            (Library::Python, Library::Python),
        ];
        if protocol.go.is_some() {
            pairs.extend([
                (Library::Go, Library::Go),
                (Library::Go, Library::Python),
                (Library::Rust, Library::Go),
            ]);
        }
        for (from, to) in pairs {
            let mut flow = Flow::start(&site, route, from, to, load);
            flow.finish();
            flow.tell(&mut truth, 0, Viewpoint::Both);
        }
    }
    let outcome = tracer.stop();
    keep(&site, &outcome);
    truth.check(&outcome);
    let together = outcome.spans.iter().any(|span| span.name.starts_with("receive "));
    assert!(together || !protocol.pulls, "what was asked for together is seen together");
}

/// As many messages as the libraries can send.
pub(crate) fn flood(protocol: &'static Protocol, routes: &'static [Route]) {
    flood_of(protocol, routes, Library::Rust);
}

/// As many as this one can send.
pub(crate) fn flood_of(protocol: &'static Protocol, routes: &'static [Route], library: Library) {
    let site = Site::new(protocol);
    let tracer = start(&site, Viewpoint::Both);
    let mut truth = truth(&site, Viewpoint::Both);
    for route in routes {
        let mut flow = Flow::start(&site, route, library, library, FLOOD);
        flow.finish();
        flow.tell(&mut truth, 0, Viewpoint::Both);
    }
    let outcome = tracer.stop();
    keep(&site, &outcome);
    truth.check(&outcome);
}

/// Clients and broker speak TLS; the clients' libraries of it are looked into.
pub(crate) fn over_tls(protocol: &'static Protocol, route: &'static Route, libraries: &[Library]) {
    let site = Site::with_tls(protocol);
    let tracer = start(&site, Viewpoint::Clients);
    // A program that brings its library along is hooked some time after its first start.
    let brings = [(Library::Rust, Some(protocol.clients[0])), (Library::Go, protocol.go)];
    for (library, name) in brings {
        if let Some(name) = name.filter(|_| libraries.contains(&library)) {
            site.start_in_vain(library, || tracer.wait_log(&format!("{name} (")));
        }
    }
    let mut truth = truth(&site, Viewpoint::Clients);
    for library in libraries {
        let mut flow = Flow::start(&site, route, *library, *library, SIZES);
        flow.finish();
        flow.tell(&mut truth, 0, Viewpoint::Clients);
    }
    let outcome = tracer.stop();
    keep(&site, &outcome);
    truth.check(&outcome);
}

/// What the broker refuses is a publish of one message that failed, with the broker's reason: seen by all and by each side.
/// `first`: what is published before it, so that it is refused.
pub(crate) fn refused(
    protocol: &'static Protocol,
    first: Option<[&str; 2]>,
    way: &str,
    [to, messages]: [&str; 2],
    destination: &str,
    error: &str,
) {
    let site = Site::new(protocol);
    let tracer = start(&site, Viewpoint::Both);
    if let Some([way, messages]) = first {
        let arguments = ["publish", "--to", to, "--messages", messages];
        site.client(Library::Rust, "first", way, &arguments).finish();
    }
    let arguments = ["publish", "--to", to, "--messages", messages];
    site.client(Library::Rust, "refused", way, &arguments).fail();
    let outcome = tracer.stop();
    keep(&site, &outcome);
    let publishes = of_kind(&outcome.spans, "publish ");
    // What came before may have been refused too, and sent again: a topic that was just made has no leader yet.
    let size = messages.split_once('x').map(|(_, size)| size);
    let refused = |span: &&tracer_tests::otlp::Span| {
        span.error.is_some() && span.attribute("messaging.message.body.size") == size
    };
    let failed: Vec<_> = publishes.into_iter().filter(refused).collect();
    let [failed] = failed.as_slice() else { panic!("{failed:#?} failed, of {:#?}", outcome.spans) };
    assert_eq!(failed.error.as_deref(), Some(error), "{failed:#?}");
    assert_eq!(crate::mqtt::check::destination(failed), destination);
}

/// Who publishes and who subscribes: every pair of the libraries that every protocol has clients on.
pub(crate) const PAIRS: [(Library, Library); 4] = [
    (Library::Rust, Library::Rust),
    (Library::Python, Library::Rust),
    (Library::Rust, Library::Python),
    (Library::Python, Library::Python),
];

/// Every route as seen from one side, attached to connections that are there: half of the messages go before the tracer comes.
pub(crate) fn in_the_middle(
    protocol: &'static Protocol,
    routes: &'static [Route],
    viewpoint: Viewpoint,
    load: Load,
) {
    in_the_middle_of(protocol, routes, &PAIRS, viewpoint, load);
}

/// The same with these clients, a pair for each route.
pub(crate) fn in_the_middle_of(
    protocol: &'static Protocol,
    routes: &'static [Route],
    pairs: &[(Library, Library)],
    viewpoint: Viewpoint,
    load: Load,
) {
    let site = Site::new(protocol);
    let make = |(route, (from, to)): (_, &(Library, Library))| Flow::start(&site, route, *from, *to, load);
    let mut flows: Vec<Flow> = routes.iter().zip(pairs.iter().cycle()).map(make).collect();
    let half = load.count / 2;
    flows.iter_mut().for_each(|flow| flow.half(half));
    let tracer = start(&site, viewpoint);
    let mut truth = truth(&site, viewpoint);
    truth.nameless = true;
    for flow in &mut flows {
        flow.finish();
        flow.tell(&mut truth, half, viewpoint);
    }
    let outcome = tracer.stop();
    keep(&site, &outcome);
    for flow in &flows {
        let whole = if protocol.waits { flow.seen_from(&outcome.spans, half) } else { 0 };
        assert!(whole < load.count - 1, "{}: nothing was seen to arrive", flow.name);
        truth.excuse(&flow.publisher.log()[half..whole.max(half + protocol.asked_before)]);
    }
    truth.check(&outcome);
}

/// Every route as seen from one side, attached while messages go without a pause: from a few messages behind the first one
/// that is seen, all are.
pub(crate) fn in_the_traffic(protocol: &'static Protocol, routes: &'static [Route], viewpoint: Viewpoint) {
    in_the_traffic_of(protocol, routes, &PAIRS, viewpoint);
}

/// The same with these clients, a pair for each route.
pub(crate) fn in_the_traffic_of(
    protocol: &'static Protocol,
    routes: &'static [Route],
    pairs: &[(Library, Library)],
    viewpoint: Viewpoint,
) {
    let site = Site::new(protocol);
    let make = |(route, (from, to)): (_, &(Library, Library))| Flow::start(&site, route, *from, *to, STEADY);
    let mut flows: Vec<Flow> = routes.iter().zip(pairs.iter().cycle()).map(make).collect();
    for flow in &mut flows {
        flow.publisher.give(b"go on\ngo on\n");
    }
    let tracer = start(&site, viewpoint);
    let mut truth = truth(&site, viewpoint);
    for flow in &mut flows {
        flow.publisher.finish();
        flow.subscribers.iter_mut().for_each(Client::finish);
    }
    let outcome = tracer.stop();
    keep(&site, &outcome);
    truth.nameless = true;
    let published: Vec<String> = of_kind(&outcome.spans, "publish ").into_iter().map(head).collect();
    for flow in &flows {
        let log = flow.publisher.log();
        let first = log.iter().position(|entry| published.contains(&entry.head)).expect("some are seen");
        // On a busy machine a tracer takes some seconds to begin.
        assert!(
            (1..STEADY.count / 4 * 3).contains(&first),
            "{}: attached in the middle, at {first}",
            flow.name
        );
        flow.tell(&mut truth, first, viewpoint);
        // From the clients alone order is told by pauses; on a busy machine few are longer than an answer takes. Kafka's own
        // clients call topics by numbers, until they ask again which is which.
        let late = viewpoint == Viewpoint::Clients
            || pairs.iter().any(|(from, to)| [from, to].contains(&&Library::Java));
        let few = if late { BUSY } else { protocol.asked_before };
        let whole = if protocol.waits { flow.seen_from(&outcome.spans, first) } else { 0 };
        assert!(whole <= first + BUSY, "{}: seen to arrive from {whole} on, of {first}", flow.name);
        truth.excuse(&log[..whole.max(first + few)]);
    }
    truth.check(&outcome);
}

/// Every route as seen from one side, attached before the first message.
pub(crate) fn one_side(
    protocol: &'static Protocol,
    routes: &'static [Route],
    viewpoint: Viewpoint,
    load: Load,
) {
    let site = Site::new(protocol);
    let third = if protocol.go.is_some() { Library::Go } else { Library::Python };
    let library = |number: usize| [Library::Python, Library::Rust, third][number % 3];
    let tracer = start(&site, viewpoint);
    let mut truth = truth(&site, viewpoint);
    let make = |(number, route)| Flow::start(&site, route, library(number), library(number / 2 + 1), load);
    let mut flows: Vec<Flow> = routes.iter().enumerate().map(make).collect();
    for flow in &mut flows {
        flow.finish();
        flow.tell(&mut truth, 0, viewpoint);
    }
    let outcome = tracer.stop();
    keep(&site, &outcome);
    truth.check(&outcome);
}
