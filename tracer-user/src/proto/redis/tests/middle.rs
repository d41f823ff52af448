//! Attached in the middle of a conversation that makes no pause: requests whose answers are to come, answers whose requests
//! nobody saw.

use super::{command, unescape};
use crate::model::net::{Direction, Role};
use crate::model::op::{OpKind, System};
use crate::model::time::{Interval, Timestamp};
use crate::proto::testing::{Bench, meaning};

/// An end of a connection that was there before; a call's time is told in microseconds.
struct Middle {
    bench: Bench,
    role: Role,
    now: u64,
}

impl Middle {
    fn new(role: Role) -> Self {
        let mut bench = Bench::of(System::Redis, Some(role), true, false);
        bench.capture = usize::MAX;
        Self { bench, role, now: 0 }
    }

    /// Bytes that move `after` so many microseconds.
    fn call(&mut self, to_server: bool, after: u64, bytes: &[u8]) -> &mut Self {
        self.now += after;
        let outward = to_server == (self.role == Role::Client);
        let direction = if outward { Direction::Outward } else { Direction::Inward };
        let mut chunk = self.bench.chunk(direction, bytes);
        let at = Timestamp(self.now * 1000);
        chunk.at = Interval { start: at, end: at.plus(1000) };
        self.bench.connection.feed(direction, chunk, &mut self.bench.ops);
        self
    }

    fn ask(&mut self, after: u64, words: &str) -> &mut Self {
        let bytes: Vec<u8> = words.split(" ; ").flat_map(command).collect();
        self.call(true, after, &bytes)
    }

    fn answer(&mut self, after: u64, text: &str) -> &mut Self {
        self.call(false, after, &unescape(text))
    }

    fn heard(&mut self, kind: &str) -> Vec<String> {
        let all = self.bench.ops.iter().map(|op| meaning(&op.kind));
        all.filter(|op| op.starts_with(kind)).collect()
    }

    /// Ids that entries were given, by the bodies of their publishes: `BODY=ID`.
    fn given(&self) -> Vec<String> {
        let ops = &self.bench.ops;
        let body_of = |settled: u64| {
            ops.iter().find_map(|op| match &op.kind {
                OpKind::Publish(message) if message.settle_id == Some(settled) => {
                    Some(String::from_utf8_lossy(&message.body.captured).into_owned())
                }
                _ => None,
            })
        };
        let settled = ops.iter().filter_map(|op| match &op.kind {
            OpKind::PublishSettled { id, given: Some(given), .. } => Some((*id, given)),
            _ => None,
        });
        settled.map(|(id, given)| format!("{}={given}", body_of(id).expect("its publish"))).collect()
    }
}

const ENDS: [Role; 2] = [Role::Client, Role::Server];

fn entry(number: u32) -> String {
    format!(r"*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n{number}-1\r\n*2\r\n$1\r\nv\r\n$1\r\n{number}\r\n")
}

#[test]
fn a_group_is_read_on_without_a_pause() {
    for role in ENDS {
        let mut middle = Middle::new(role);
        // Asked for before.
        middle.answer(0, &entry(1));
        for number in 2..6 {
            middle.ask(20, &format!("XACK s g {}-1", number - 1)).answer(60, r":1\r\n");
            middle
                .ask(20, "XREADGROUP GROUP g c COUNT 10 BLOCK 2000 STREAMS s >")
                .answer(900, &entry(number));
        }
        let heard = middle.heard("deliver");
        assert_eq!(heard.len(), 5, "{heard:#?}");
        assert!(!heard[0].contains("group"), "nobody asked: {heard:#?}");
        assert!(
            heard[1..].iter().all(|op| op.contains("group=g named=s:") && op.contains(" settle ")),
            "{heard:#?}"
        );
    }
}

#[test]
fn streams_are_read_on_without_a_pause() {
    for role in ENDS {
        let mut middle = Middle::new(role);
        middle.answer(0, &entry(1));
        for number in 2..6 {
            middle
                .ask(20, &format!("XREAD BLOCK 2000 STREAMS s {}-1", number - 1))
                .answer(900, &entry(number));
        }
        let heard = middle.heard("deliver");
        assert_eq!(heard.len(), 5, "{heard:#?}");
    }
}

#[test]
fn what_names_other_streams_is_not_taken_for_the_answer() {
    let mut middle = Middle::new(Role::Client);
    middle.ask(0, "PING").answer(50, r"+PONG\r\n");
    middle.ask(100, "XREADGROUP GROUP g c BLOCK 2000 STREAMS t >").answer(100, &entry(1));
    assert_eq!(middle.heard("deliver"), [""; 0], "of s, and of what group is not known");
}

#[test]
fn lists_are_popped_on_without_a_pause() {
    let pair = |number: u32| format!(r"*2\r\n$1\r\nq\r\n$1\r\n{number}\r\n");
    let several = |number: u32| format!(r"*2\r\n$1\r\nq\r\n*1\r\n$1\r\n{number}\r\n");
    let value = |number: u32| format!(r"$1\r\n{number}\r\n");
    for role in ENDS {
        for (request, answer, missed) in [
            ("BRPOP q 0", &pair as &dyn Fn(u32) -> String, 1),
            ("BLMPOP 0 1 q LEFT", &several, 1),
            // Nothing tells a value of the list from others but that nothing else is asked for.
            ("BLMOVE q r LEFT RIGHT 0", &value, 3),
        ] {
            let mut middle = Middle::new(role);
            middle.answer(0, &answer(1));
            for number in 2..6 {
                middle.ask(20, request).answer(900, &answer(number));
            }
            let heard = middle.heard("deliver q");
            assert_eq!(heard.len(), 5 - missed, "{request}: {heard:#?}");
        }
    }
}

#[test]
fn pairs_of_other_lists_are_not_popped() {
    let mut middle = Middle::new(Role::Client);
    // What LRANGE asked for before.
    middle
        .ask(0, "BRPOP q 0")
        .answer(10, r"*2\r\n$1\r\nx\r\n$1\r\ny\r\n")
        .answer(900, r"*2\r\n$1\r\nq\r\n$1\r\nz\r\n");
    assert_eq!(middle.heard("deliver"), [""; 0]);
    // Nor was the order taken for known.
    middle.ask(10, "XADD s * v a").answer(50, r"$3\r\n1-1\r\n");
    assert_eq!(middle.given(), [""; 0]);
}

#[test]
fn who_asks_one_by_one_with_short_pauses_is_understood_soon() {
    for role in ENDS {
        let mut middle = Middle::new(role);
        for number in 0..8 {
            // Far shorter than any silence.
            middle.ask(1500, &format!("XADD s * v {number}")).answer(80, &format!(r"$3\r\n{number}-1\r\n"));
        }
        assert_eq!(middle.given(), (2..8).map(|n| format!("{n}=s:{n}-1")).collect::<Vec<_>>());
    }
}

#[test]
fn a_connection_that_rested_since_the_tracer_came_is_understood_at_once() {
    let second = Timestamp(1_000_000_000);
    for (first, given) in [(150_000, 2), (50_000, 0)] {
        let mut middle = Middle::new(Role::Client);
        middle.bench.connection = middle.bench.connection.watched(second);
        middle.now = 1_000_000;
        middle.ask(first, "XADD s * v 1").answer(80, r"$3\r\n1-1\r\n");
        middle.ask(20, "XADD s * v 2").answer(80, r"$3\r\n2-1\r\n");
        assert_eq!(middle.given().len(), given, "after {first} us");
    }
    // The first that moves is an answer.
    let mut middle = Middle::new(Role::Client);
    middle.bench.connection = middle.bench.connection.watched(second);
    middle.now = 1_000_000;
    middle.answer(150_000, r"$3\r\n0-1\r\n").ask(10, "XADD s * v 1").answer(80, r"$3\r\n1-1\r\n");
    assert_eq!(middle.given(), [""; 0]);
}

#[test]
fn who_asks_many_at_once_with_short_pauses_is_understood_soon() {
    let mut middle = Middle::new(Role::Client);
    // Half of what was asked before.
    middle.answer(0, r"$3\r\n0-1\r\n$3\r\n0-2\r\n");
    for number in 1..8 {
        middle.ask(1500, &format!("XADD s * v {number} ; XADD s * v {number}"));
        middle.answer(80, &format!(r"$3\r\n{number}-1\r\n")).answer(20, &format!(r"$3\r\n{number}-2\r\n"));
    }
    let expected: Vec<_> = (4..8).flat_map(|n| [format!("{n}=s:{n}-1"), format!("{n}=s:{n}-2")]).collect();
    assert_eq!(middle.given(), expected);
}

#[test]
fn requests_whose_answers_are_missed_and_slow_ones_cost_little() {
    let mut middle = Middle::new(Role::Client);
    // Writes are seen some time before reads are.
    middle.ask(0, "XADD s * v 1").ask(1500, "XADD s * v 2").ask(1500, "XADD s * v 3");
    middle.ask(1500, "XADD s * v 4").answer(3000, r"$3\r\n4-1\r\n");
    for number in 5..9 {
        middle.ask(1500, &format!("XADD s * v {number}")).answer(80, &format!(r"$3\r\n{number}-1\r\n"));
    }
    assert_eq!(middle.given(), ["7=s:7-1", "8=s:8-1"]);
}

#[test]
fn who_always_has_something_under_way_is_not_understood_from_his_end() {
    let mut middle = Middle::new(Role::Client);
    for number in 1..50 {
        // The answer is that to what was sent before.
        middle
            .ask(20, &format!("XADD s * v {number}"))
            .answer(30, &format!(r"$4\r\n{:02}-1\r\n", number - 1));
    }
    assert_eq!(middle.given(), [""; 0]);
}

#[test]
fn a_server_answers_what_it_has_before_it_reads_on() {
    let mut middle = Middle::new(Role::Server);
    for number in 10..30 {
        middle.ask(20, &format!("XADD s * v {number} ; XADD s * v {number}"));
        middle.answer(30, &format!(r"$4\r\n{number}-1\r\n$4\r\n{number}-2\r\n"));
    }
    let given = middle.given();
    assert_eq!(given.len(), 32, "{given:?}");
    assert!(given.iter().all(|given| given[..2] == given[5..7]), "{given:?}");
}

#[test]
fn a_wrong_queue_is_given_up() {
    let mut middle = Middle::new(Role::Client);
    for number in 1..6 {
        // A client that reads an answer only once it has sent the next request.
        middle.ask(1500, &format!("XADD s * v {number}")).answer(80, &format!(r"$3\r\n{}-1\r\n", number - 1));
    }
    let taken = middle.given().len();
    // The last answer shows it: nothing was asked that it could answer.
    middle.answer(10, r"$3\r\n5-1\r\n");
    for number in 6..8 {
        middle.ask(1500, &format!("XADD s * v {number}")).answer(80, &format!(r"$3\r\n{number}-1\r\n"));
    }
    assert_eq!(middle.given().len(), taken, "{:?}", middle.given());
    for number in 8..10 {
        middle.ask(1500, &format!("XADD s * v {number}")).answer(80, &format!(r"$3\r\n{number}-1\r\n"));
    }
    let given = middle.given();
    assert!(given.ends_with(&["9=s:9-1".to_owned()]), "{given:?}");
}
