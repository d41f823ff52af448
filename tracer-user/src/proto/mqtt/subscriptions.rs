//! What one connection's client has subscribed to, as far as that tells through which subscription a delivery came.

use std::sync::Arc;

use super::packet::{Options, Subscribe};
use crate::model::op::Feed;

/// Subscriptions remembered of a connection: of a client with more it is not said through which of them a delivery came.
const SUBSCRIPTIONS: usize = 64;

/// Filters longer than this are not remembered: together at most 64 KiB a connection.
const FILTER_BYTES: usize = 1024;

#[derive(Debug)]
struct Subscription {
    filter: Arc<str>,
    /// What a shared subscription (MQTT 5, section 4.8.2) is called.
    share: Option<Arc<str>>,
    options: Options,
    /// Subscription identifier.
    id: Option<u32>,
    /// Packet identifier of the SUBSCRIBE, and which of its filters this is, until it is answered.
    asked: Option<(u16, usize)>,
}

/// The subscriptions of one connection.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    known: Vec<Subscription>,
    /// Whether these are all that the client has.
    complete: bool,
}

/// What is known of the subscriptions through which a delivery came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Through {
    /// The shared subscription, if it came through no other one.
    pub(super) group: Option<Arc<str>>,
    /// Which copy it is from: that of the shared subscription, that of the subscription with the identifier that it names, else the
    /// client's.
    pub(super) feed: Feed,
    /// Whether RETAIN is the publisher's flag, for all that is known.
    pub(super) as_published: bool,
}

impl Subscriptions {
    /// A client connects: what an earlier one subscribed to is not its own.
    pub(super) fn begin(&mut self) {
        self.known.clear();
        self.complete = false;
    }

    /// The broker took the client. `resumed`: with the session that it knew.
    pub(super) fn connected(&mut self, resumed: bool) {
        self.complete = !resumed && self.known.is_empty();
    }

    /// Some of the client's packets were not seen.
    pub(super) fn missed(&mut self) {
        self.complete = false;
    }

    /// The client subscribes to what is shared here as `filters`.
    pub(super) fn subscribe(&mut self, subscribe: &Subscribe<'_>, filters: &[Arc<str>]) {
        for (index, (filter, (_, options))) in filters.iter().zip(&subscribe.filters).enumerate() {
            self.known.retain(|subscription| subscription.filter != *filter);
            if self.known.len() >= SUBSCRIPTIONS || filter.len() > FILTER_BYTES {
                self.complete = false;
                continue;
            }
            let share = filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
            self.known.push(Subscription {
                filter: Arc::clone(filter),
                share: share.map(|(name, _)| name.into()),
                options: *options,
                id: subscribe.subscription,
                asked: Some((subscribe.id, index)),
            });
        }
    }

    /// The broker's answer, a code for each filter.
    pub(super) fn answered(&mut self, packet: u16, codes: &[u8]) {
        self.known.retain_mut(|subscription| match subscription.asked {
            Some((asked, index)) if asked == packet => {
                subscription.asked = None;
                codes.get(index).is_none_or(|&code| code < 0x80)
            }
            _ => true,
        });
    }

    /// The client has enough of these.
    pub(super) fn unsubscribe(&mut self, filters: &[&str]) {
        self.known.retain(|subscription| !filters.contains(&&*subscription.filter));
    }

    /// Through which subscription a delivery of `topic` came that names the subscription identifiers `ids`.
    pub(super) fn through(&self, topic: &str, mut ids: impl Iterator<Item = u32>) -> Through {
        let named = ids.next().filter(|_| ids.next().is_none());
        let covers = |subscription: &&Subscription| {
            named.is_none_or(|id| subscription.id == Some(id)) && covers(plain(&subscription.filter), topic)
        };
        let mut covering = self.known.iter().filter(covers);
        let own = named.map_or(Feed::Client, |id| Feed::Subscription(id.into()));
        let Some(first) = covering.next() else { return Through { feed: own, ..Through::default() } };
        let (mut alone, mut as_published) = (true, first.options.retain_as_published);
        for other in covering {
            alone = false;
            as_published |= other.options.retain_as_published;
        }
        // An identifier says which one it was; else it could be one that is not known.
        let group = first.share.clone().filter(|_| alone && (self.complete || named.is_some()));
        let feed = match group {
            // A shared subscription is known by its name and its filter (section 4.8.2).
            Some(_) => Feed::shared(first.filter.as_bytes()),
            // Several subscriptions may have one identifier (section 3.8.2.1.2), each with a copy.
            None if alone => own,
            None => Feed::Client,
        };
        Through { group, feed, as_published }
    }
}

/// A filter without the name of its share.
fn plain(filter: &str) -> &str {
    match filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/')) {
        Some((_, filter)) => filter,
        None => filter,
    }
}

/// Whether `filter` covers `topic` (section 4.7).
fn covers(filter: &str, topic: &str) -> bool {
    // [MQTT-4.7.2-1]
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let (mut filter, mut topic) = (filter.split('/'), topic.split('/'));
    loop {
        match (filter.next(), topic.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(wanted), Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscribe(to: &mut Subscriptions, packet: u16, id: Option<u32>, filters: &[&str]) {
        let shared: Vec<Arc<str>> = filters.iter().map(|&filter| filter.into()).collect();
        let filters = filters.iter().map(|&filter| (filter, Options::default())).collect();
        to.subscribe(&Subscribe { id: packet, subscription: id, filters }, &shared);
    }

    fn group(of: &Subscriptions, topic: &str, ids: &[u32]) -> Option<String> {
        of.through(topic, ids.iter().copied()).group.map(|group| group.to_string())
    }

    #[test]
    fn a_share_is_named_only_where_nothing_else_covers_the_topic() {
        let mut known = Subscriptions::default();
        known.connected(false);
        subscribe(&mut known, 1, None, &["$share/g/a/+", "b", "$share/h/c"]);
        assert_eq!(group(&known, "a/x", &[]).as_deref(), Some("g"));
        assert_eq!(group(&known, "b", &[]), None);
        assert_eq!(group(&known, "c", &[]).as_deref(), Some("h"));
        assert_eq!(group(&known, "d", &[]), None);
        subscribe(&mut known, 2, None, &["#"]);
        assert_eq!(group(&known, "a/x", &[]), None, "which of the two?");
        known.answered(2, &[0x87]);
        assert_eq!(group(&known, "a/x", &[]).as_deref(), Some("g"), "the other one was refused");
        subscribe(&mut known, 3, None, &["#"]);
        known.answered(3, &[0]);
        assert_eq!(group(&known, "a/x", &[]), None);
        known.unsubscribe(&["#"]);
        assert_eq!(group(&known, "a/x", &[]).as_deref(), Some("g"));
        known.missed();
        assert_eq!(group(&known, "a/x", &[]), None, "there may be another one");
    }

    #[test]
    fn an_identifier_tells_which() {
        let mut known = Subscriptions::default();
        known.connected(true);
        subscribe(&mut known, 1, Some(7), &["$share/g/a/+"]);
        subscribe(&mut known, 2, Some(8), &["a/#"]);
        assert_eq!(group(&known, "a/x", &[7]).as_deref(), Some("g"));
        assert_eq!(group(&known, "a/x", &[8]), None);
        assert_eq!(group(&known, "a/x", &[7, 8]), None);
        assert_eq!(group(&known, "a/x", &[9]), None);
        assert_eq!(group(&known, "a/x", &[]), None);
    }

    #[test]
    fn an_identifier_of_one_subscription_names_a_copy() {
        let mut known = Subscriptions::default();
        known.connected(false);
        subscribe(&mut known, 1, Some(7), &["a/+"]);
        subscribe(&mut known, 2, Some(8), &["a/#", "a/x"]);
        subscribe(&mut known, 3, Some(9), &["$share/g/a/#"]);
        let feed = |topic: &str, ids: &[u32]| known.through(topic, ids.iter().copied()).feed;
        assert_eq!(feed("a/x", &[7]), Feed::Subscription(7));
        assert_eq!(feed("a/y", &[8]), Feed::Subscription(8));
        assert_eq!(feed("a/x", &[8]), Feed::Client, "a copy for each of two");
        assert_eq!(feed("a/x", &[7, 8]), Feed::Client);
        assert_eq!(feed("a/x", &[]), Feed::Client);
        assert_eq!(feed("a/x", &[9]), Feed::shared(b"$share/g/a/#"));
        assert_eq!(feed("b", &[10]), Feed::Subscription(10), "whatever it covers");
    }

    #[test]
    fn stays_bounded() {
        let mut known = Subscriptions::default();
        known.connected(false);
        for number in 0..1000 {
            subscribe(&mut known, 1, None, &[&format!("$share/g/{number}")]);
        }
        assert_eq!(known.known.len(), SUBSCRIPTIONS);
        assert_eq!(group(&known, "3", &[]), None);
    }
}
