//! Trees as they are printed.

use expect_test::expect;
use proptest::prelude::*;

use super::*;
use crate::export::samples::{edge, id, message, process, remote, span, trace, trail};
use crate::model::span::{Evidence, SpanKind};

const PLAIN: Look = Look { width: None, colour: false };

#[test]
fn a_trail() {
    expect![[r#"
        trace 01010101…  sensor → mosquitto → actuator  12.4 ms  1 error
        └─ ● peripheral.execute MEAS:TEMP?          /dev/pts/3  sensor[4711]     8.1 ms
           └─ · publish plant/1/temperature         31 B        sensor[4711]      92 µs  thread+containment 0.98
              ├─ · broker plant/1/temperature                   mosquitto[4702]   41 µs  tcp-position 1.00
              └─ · process plant/1/temperature                  actuator[4720]   4.1 ms  fingerprint 0.99
                 └─ ✗ peripheral.execute SET:VALVE  /dev/pts/5  actuator[4720]   3.8 ms  EBUSY: valve busy  thread 0.97
    "#]].assert_eq(&render(&trail(), 0, PLAIN));
}

#[test]
fn a_narrow_terminal() {
    for width in [100, 72] {
        let text = render(&trail(), 3, Look { width: Some(width), colour: false });
        for line in text.lines() {
            assert!(line.width() <= width, "{width}: {line}");
        }
    }
    expect![[r#"
        trace 01010101…  sensor → mosquitto → actuator  12.4 ms  1 error
        └─ ● MEAS:TEMP?                   /dev/pts/3  sensor[4711]    8.1 ms
           └─ · publish plant/1/tempera…  31 B        sensor[4711]     92 µs  thread+containment 0.98
              ├─ · broker plant/1/tempe…              mosquitto[470…   41 µs  tcp-position 1.00
              └─ · process plant/1/temp…              actuator[4720]  4.1 ms  fingerprint 0.99
                 └─ ✗ SET:VALVE           /dev/pts/5  actuator[4720]  3.8 ms  EBUSY: valve busy  thread 0.97
           … and 3 more spans
    "#]]
    .assert_eq(&render(&trail(), 3, Look { width: Some(100), colour: false }));
}

#[test]
fn colours_change_nothing_else() {
    let plain = render(&trail(), 2, PLAIN);
    let coloured = render(&trail(), 2, Look { width: None, colour: true });
    assert_ne!(plain, coloured);
    let mut bare = String::new();
    let mut rest = coloured.as_str();
    while let Some((text, after)) = rest.split_once("\x1b[") {
        bare.push_str(text);
        rest = after.split_once('m').unwrap().1;
    }
    bare.push_str(rest);
    assert_eq!(plain, bare);
    let failed = coloured.lines().find(|line| line.contains("SET:VALVE")).unwrap();
    assert!(failed.contains("\x1b[1;31m✗\x1b[0m") && failed.contains("\x1b[1;31mEBUSY: valve busy\x1b[0m"));
}

#[test]
fn links_fragments_and_strangers() {
    let actuator = process("act\x1b[2Juator", 1);
    let mut receive =
        span(1, &actuator, "receive 温度/\u{202e}x", SpanKind::Client, Subject::Receive(message("x")));
    receive.links = vec![edge(8, &[Evidence::Fingerprint], 0.99), edge(9, &[Evidence::Containment], 0.7)];
    let mut orphan =
        span(2, &remote("plc-7"), "publish x", SpanKind::Producer, Subject::Publish(message("x")));
    orphan.parent = Some(edge(77, &[Evidence::Sdk], 1.0));
    let mut foreign = span(3, &actuator, "publish y", SpanKind::Producer, Subject::Publish(message("y")));
    foreign.parent = Some(Edge { trace: trace(9), ..edge(5, &[Evidence::Containment], 0.5) });
    let mut header = span(4, &actuator, "publish z", SpanKind::Producer, Subject::Publish(message("z")));
    header.remote_parent = Some(id(200));
    let spans: Vec<_> = [receive, orphan, foreign, header].map(Arc::new).into();
    expect![[r#"
        trace 01010101…  act·[2Juator → plc-7  8.1 ms
        ├─ · receive 温度/·x        act·[2Juator[1]        8.1 ms  2 links ≥ containment 0.70
        ├─ · publish x        31 B  plc-7 192.0.2.7:49152  8.1 ms  sdk 1.00
        ├─ · publish y        31 B  act·[2Juator[1]        8.1 ms  from 09090909… containment 0.50
        └─ · publish z        31 B  act·[2Juator[1]        8.1 ms  traceparent
    "#]]
    .assert_eq(&render(&spans, 0, PLAIN));
}

#[test]
fn circles_end() {
    let owner = process("a", 1);
    let spans: Vec<_> = [(1, 2), (2, 1), (3, 3)]
        .map(|(number, parent)| {
            let mut one = span(number, &owner, "x", SpanKind::Internal, Subject::Broker(message("x")));
            one.parent = Some(edge(parent, &[Evidence::Thread], 0.9));
            Arc::new(one)
        })
        .into();
    assert_eq!(render(&spans, 0, PLAIN).lines().count(), 4);
    assert_eq!(render(&[], 0, PLAIN).lines().count(), 1);
}

proptest! {
    #[test]
    fn any_name_at_any_width(names in prop::collection::vec(any::<String>(), 1..6), width in 0..300_usize) {
        let spans: Vec<_> = names
            .iter()
            .zip(1..)
            .map(|(name, number)| {
                let owner = process(name, 1);
                let mut one = span(number, &owner, name, SpanKind::Internal, Subject::Broker(message(name)));
                one.parent = (number > 1).then(|| edge(number - 1, &[Evidence::Thread], 0.9));
                Arc::new(one)
            })
            .collect();
        let text = render(&spans, 0, Look { width: Some(width), colour: false });
        prop_assert_eq!(text.lines().count(), names.len() + 1);
        prop_assert!(!text.contains(|char: char| char.is_control() && char != '\n'));
    }
}
