//! Which destinations a subscription covers: each protocol has wildcards of its own.

use crate::model::op::System;

/// Whether the subscription `filter` covers `destination`.
pub(in crate::causality) fn covers(system: System, filter: &str, destination: &str) -> bool {
    match system {
        System::Mqtt => mqtt(filter, destination),
        System::Nats => nats(filter, destination),
        System::Redis => glob(filter.as_bytes(), destination.as_bytes()),
        // Queues and topics are subscribed to by name.
        System::Rabbitmq | System::Kafka => filter == destination,
    }
}

/// MQTT 3.1.1, section 4.7.
fn mqtt(filter: &str, topic: &str) -> bool {
    // Shared subscriptions (MQTT 5.0 section 4.8.2): `$share/{name}/{filter}`.
    let filter =
        filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/')).map_or(filter, |(_, rest)| rest);
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

/// NATS, "Subject-Based Messaging": `*` is one token, `>` one or more at the end.
fn nats(filter: &str, subject: &str) -> bool {
    let (mut filter, mut subject) = (filter.split('.').peekable(), subject.split('.'));
    loop {
        match (filter.next(), subject.next()) {
            (None, None) => return true,
            (Some(">"), Some(_)) if filter.peek().is_none() => return true,
            (Some("*"), Some(_)) => {}
            (Some(wanted), Some(token)) if wanted == token => {}
            _ => return false,
        }
    }
}

/// Redis, `PSUBSCRIBE`: `*`, `?`, `[a-c]`, `[^a]`, and `\` before what stands for itself. A name without them covers itself.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut here) = (0, 0);
    // Where to go on if it does not fit: behind the last `*`, which takes one byte more.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if pattern.get(at) == Some(&b'*') {
            retry = Some((at + 1, here));
            at += 1;
            continue;
        }
        match (pattern.get(at), name.get(here)) {
            (None, None) => return true,
            (Some(_), Some(&byte)) => {
                let (fits, next) = one(pattern, at, byte);
                if fits {
                    (at, here) = (next, here + 1);
                    continue;
                }
            }
            _ => {}
        }
        match retry {
            Some((after, taken)) if taken < name.len() => {
                retry = Some((after, taken + 1));
                (at, here) = (after, taken + 1);
            }
            _ => return false,
        }
    }
}

/// Whether the part of `pattern` at `at` stands for `byte`, and where the next part begins.
fn one(pattern: &[u8], at: usize, byte: u8) -> (bool, usize) {
    match pattern.get(at) {
        Some(b'?') => (true, at + 1),
        Some(b'[') => class(pattern, at + 1, byte),
        Some(b'\\') if at + 1 < pattern.len() => (pattern.get(at + 1) == Some(&byte), at + 2),
        other => (other == Some(&byte), at + 1),
    }
}

/// The same of what stands between brackets, from `at` on.
fn class(pattern: &[u8], mut at: usize, byte: u8) -> (bool, usize) {
    let negated = pattern.get(at) == Some(&b'^');
    at += usize::from(negated);
    let mut found = false;
    while let Some(&first) = pattern.get(at).filter(|&&first| first != b']') {
        match (first, pattern.get(at + 1), pattern.get(at + 2)) {
            (b'\\', Some(&escaped), _) => {
                found |= escaped == byte;
                at += 2;
            }
            (_, Some(b'-'), Some(&last)) if last != b']' => {
                found |= (first.min(last)..=first.max(last)).contains(&byte);
                at += 3;
            }
            _ => {
                found |= first == byte;
                at += 1;
            }
        }
    }
    (found != negated, at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(system: System, cases: &[(&str, &str, bool)]) {
        for &(filter, destination, expected) in cases {
            assert_eq!(covers(system, filter, destination), expected, "{system:?}: {filter} {destination}");
        }
    }

    #[test]
    fn filters_cover_topics_as_mqtt_says() {
        check(
            System::Mqtt,
            &[
                ("a/b", "a/b", true),
                ("a/b", "a/b/c", false),
                ("a/+", "a/b", true),
                ("a/+", "a", false),
                ("a/+", "a/", true),
                ("a/#", "a", true),
                ("a/#", "a/b/c", true),
                ("#", "a/b", true),
                ("#", "$SYS/x", false),
                ("+/x", "$SYS/x", false),
                ("$SYS/#", "$SYS/x", true),
                ("$share/group/a/+", "a/b", true),
                ("+", "", true),
                ("a.*", "a.b", false),
            ],
        );
    }

    #[test]
    fn filters_cover_subjects_as_nats_says() {
        check(
            System::Nats,
            &[
                ("a.b", "a.b", true),
                ("a.b", "a.b.c", false),
                ("a.*", "a.b", true),
                ("a.*", "a", false),
                ("a.*", "a.b.c", false),
                ("a.*.c", "a.b.c", true),
                ("*.b", "a.b", true),
                ("a.>", "a.b", true),
                ("a.>", "a.b.c", true),
                ("a.>", "a", false),
                (">", "a", true),
                (">.a", "b.a", false),
                ("a*", "ab", false),
                ("a*", "a*", true),
                ("a/+", "a/b", false),
            ],
        );
    }

    #[test]
    fn patterns_cover_channels_as_redis_says() {
        check(
            System::Redis,
            &[
                ("news", "news", true),
                ("news", "newsy", false),
                ("n*", "news", true),
                ("*", "", true),
                ("*s", "news", true),
                ("*ws*", "news", true),
                ("*a*b", "xaxbxb", true),
                ("*a*b", "xaxbx", false),
                ("h?llo", "hello", true),
                ("h?llo", "hllo", false),
                ("h[ae]llo", "hallo", true),
                ("h[ae]llo", "hillo", false),
                ("h[^e]llo", "hallo", true),
                ("h[^e]llo", "hello", false),
                ("h[a-c]llo", "hbllo", true),
                ("h[c-a]llo", "hbllo", true),
                ("h\\*llo", "h*llo", true),
                ("h\\*llo", "hello", false),
                ("h[", "hx", false),
                ("", "", true),
                ("", "a", false),
            ],
        );
    }

    #[test]
    fn others_have_no_wildcards() {
        check(System::Kafka, &[("a.*", "a.b", false), ("a.*", "a.*", true)]);
        check(System::Rabbitmq, &[("a.#", "a.b", false), ("q", "q", true)]);
    }
}
