//! Conversations of real clients with Mosquitto 2.0.11, and with RabbitMQ 3.10.8 where WebSockets are compressed.

use expect_test::{Expect, expect};

use crate::model::net::{Direction, Role};
use crate::model::op::{OpKind, System};
use crate::proto::testing::{Bench, assert_recovers_but, assert_same_however_split, heard, recording};

fn check(text: &str, lost: usize, expected: &Expect) {
    let calls = recording(text);
    expected.assert_eq(&heard(System::Mqtt, Role::Client, &calls).join("\n"));
    assert_same_however_split(System::Mqtt, &calls);
    assert_recovers_but(System::Mqtt, &calls, lost, |op| Some(without_session(op)));
}

/// An op without what only what was said before tells: the group, whose RETAIN flag it is, and whether the session is kept.
fn without_session(op: &str) -> String {
    let words = op
        .split(' ')
        .filter(|word| !word.starts_with("group=") && !matches!(*word, "retain" | "retained" | "kept"));
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn mosquitto_sub() {
    check(
        include_str!("../recordings/mosquitto_sub_qos2.txt"),
        0,
        &expect![[r#"
        >0+17 connect
        <0+4 connected
        >17+14 subscribe ["plant/#"]
        <9+15 deliver plant/a b"21.5" 4/4
        <24+30 deliver plant/a id=1 settle b"{\"celsius\":21.75" 17/17
        >31+4 ack [1]
        <54+314 deliver plant/b id=2 settle b"xxxxxxxxxxxxxxxx" 300/300
        >39+4 ack [2]
        <372+18 deliver plant/c id=3 settle b"hello" 5/5
        >43+4 ack [3]
        >47+2 disconnect clean=true"#]],
    );
}

#[test]
fn mosquitto_pub() {
    // Without the PUBREL the DISCONNECT is the last thing, and two bytes alone are not believed.
    check(
        include_str!("../recordings/mosquitto_pub_qos2.txt"),
        1,
        &expect![[r#"
        >0+17 connect
        <0+4 connected
        >17+314 publish plant/b id=1 settle b"xxxxxxxxxxxxxxxx" 300/300
        <8+4 settled 1
        >335+2 disconnect clean=true"#]],
    );
}

// In those of version 5 the DISCONNECT is not believed either if the packet before is missing; with the definition of a topic
// alias, what it stands for is lost.

#[test]
fn mosquitto_sub_version_5() {
    check(
        include_str!("../recordings/mosquitto_sub_v5.txt"),
        1,
        &expect![[r#"
            >0+27 connect
            <0+11 connected
            >27+34 subscribe ["site/#", "$share/g/shop/+"]
            <18+127 deliver site/a id=1 settle b"{\"v\":1}" 7/7
            >65+4 ack [1] kept
            <149+23 deliver shop/1 id=2 group=g settle b"job" 3/3
            >69+4 ack [2] kept
            <172+17 deliver site/b b"last" 4/4
            >73+2 disconnect clean=true"#]],
    );
}

#[test]
fn mosquitto_pub_version_5() {
    check(
        include_str!("../recordings/mosquitto_pub_v5.txt"),
        1,
        &expect![[r#"
        >0+22 connect
        <0+11 connected
        >22+125 publish site/a id=1 settle b"{\"v\":1}" 7/7
        <15+4 settled 1
        >151+2 disconnect clean=true"#]],
    );
}

#[test]
fn paho_version_5() {
    check(
        include_str!("../recordings/paho_v5.txt"),
        4,
        &expect![[r#"
        >0+128 connect will: plant/gone b"bye" 3/3
        <0+55 connected
        >128+17 subscribe ["plant/#"]
        >145+29 subscribe ["$share/workers/jobs/+"]
        >174+188 publish plant/pump id=3 settle b"{\"rpm\":1200}" 12/12
        <67+187 deliver plant/pump id=1 settle b"{\"rpm\":1200}" 12/12
        <254+4 settled 3
        >362+4 ack [1]
        >366+22 publish plant/pump b"1201" 4/4
        <258+21 deliver plant/pump b"1201" 4/4
        >388+14 publish plant/pump id=5 settle b"1202" 4/4
        <283+23 deliver plant/pump id=2 settle b"1202" 4/4
        <306+4 settled 5
        >410+4 ack [2]
        >414+12 publish plant/pump b"1203" 4/4
        <314+21 deliver plant/pump b"1203" 4/4
        >426+414 publish jobs/1 id=7 settle b"xxxxxxxxxxxxxxxx" 400/400
        <335+414 deliver jobs/1 id=3 group=workers settle b"xxxxxxxxxxxxxxxx" 400/400
        <749+4 settled 7
        >840+4 ack [3]
        >844+21 publish plant/kept id=8 retain settle b"stay" 4/4
        <753+23 deliver plant/kept id=4 retain settle b"stay" 4/4
        >865+4 ack [4]
        <776+4 settled 8
        >869+3014 publish jobs/2 id=9 settle b"yyyyyyyyyyyyyyyy" 3000/3000
        <784+3014 deliver jobs/2 id=5 group=workers settle b"yyyyyyyyyyyyyyyy" 3000/3000
        >3887+4 ack [5]
        <3798+4 settled 9
        >3905+17 publish plant/kept id=11 retain settle b"" 0/0
        <3808+5 settled 11
        >3922+2 disconnect clean=true"#]],
    );
}

#[test]
fn paho_over_a_websocket() {
    check(
        include_str!("../recordings/paho_v5_websocket.txt"),
        4,
        &expect![[r#"
        >229+128 connect will: plant/gone b"bye" 3/3
        <161+55 connected
        >363+17 subscribe ["plant/#"]
        >386+29 subscribe ["$share/workers/jobs/+"]
        >423+188 publish plant/pump id=3 settle b"{\"rpm\":1200}" 12/12
        <236+187 deliver plant/pump id=1 settle b"{\"rpm\":1200}" 12/12
        <425+4 settled 3
        >617+4 ack [1]
        >627+22 publish plant/pump b"1201" 4/4
        <431+21 deliver plant/pump b"1201" 4/4
        >655+14 publish plant/pump id=5 settle b"1202" 4/4
        <460+23 deliver plant/pump id=2 settle b"1202" 4/4
        <485+4 settled 5
        >695+4 ack [2]
        >705+12 publish plant/pump b"1203" 4/4
        <497+21 deliver plant/pump b"1203" 4/4
        >725+414 publish jobs/1 id=7 settle b"xxxxxxxxxxxxxxxx" 400/400
        <522+414 deliver jobs/1 id=3 group=workers settle b"xxxxxxxxxxxxxxxx" 400/400
        <938+4 settled 7
        >1145+4 ack [3]
        >1155+21 publish plant/kept id=8 retain settle b"stay" 4/4
        <944+23 deliver plant/kept id=4 retain settle b"stay" 4/4
        <969+4 settled 8
        >1182+4 ack [4]
        >1194+3014 publish jobs/2 id=9 settle b"yyyyyyyyyyyyyyyy" 3000/3000
        <983+3014 deliver jobs/2 id=5 group=workers settle b"yyyyyyyyyyyyyyyy" 3000/3000
        <3999+4 settled 9
        >4224+4 ack [5]
        >4254+17 publish plant/kept id=11 retain settle b"" 0/0
        <4013+5 settled 11
        >4277+2 disconnect clean=true"#]],
    );
}

#[test]
fn mqttjs_over_a_websocket() {
    check(
        include_str!("../recordings/mqttjs_v5_websocket.txt"),
        4,
        &expect![[r#"
        >264+89 connect
        <161+11 connected
        >359+107 subscribe ["rpc/ask", "rpc/reply", "bin/#"]
        >472+316 publish rpc/ask id=16089 settle b"question" 8/8
        <184+109 deliver rpc/ask id=1 settle b"question" 8/8
        <295+4 settled 16089
        >794+97 publish rpc/reply id=16090 settle b"answer" 6/6
        >897+16 ack [1]
        <301+28 deliver rpc/reply id=2 settle b"answer" 6/6
        <331+4 settled 16090
        >919+16 ack [2]
        >941+261 publish bin/long b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" 200/200
        <339+214 deliver bin/long b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" 200/200
        >1208+254 publish bin/long b"\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01" 201/201
        >1468+255 publish bin/long b"\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02" 202/202
        >1729+63 publish bin/long id=16091 settle b"twice" 5/5
        <557+215 deliver bin/long b"\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01" 201/201
        <776+216 deliver bin/long b"\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02" 202/202
        <1000+20 deliver bin/long id=3 settle b"twice" 5/5
        <1022+4 settled 16091
        >1834+16 ack [3]
        >1856+22 disconnect clean=true"#]],
    );
}

#[test]
fn a_session_over_two_connections() {
    // Of the second message only the PUBLISH came before the client left.
    check(
        include_str!("../recordings/mosquitto_sub_v5_leaves.txt"),
        1,
        &expect![[r#"
        >0+29 connect
        <0+11 connected
        <11+15 deliver kept/1 id=1 settle b"m1" 2/2
        >29+14 subscribe ["kept/+"]
        >47+4 ack [1] kept
        <36+15 deliver kept/2 id=2 settle b"m2" 2/2"#]],
    );
    check(
        include_str!("../recordings/mosquitto_sub_v5_resumes.txt"),
        1,
        &expect![[r#"
        >0+29 connect
        <0+11 connected
        <11+15 deliver kept/2 id=2 again settle b"m2" 2/2
        <26+15 deliver kept/3 id=3 settle b"m3" 2/2
        >29+14 subscribe ["kept/+"]
        >51+4 ack [2] kept
        >55+4 ack [3] kept
        >59+2 disconnect clean=true"#]],
    );
}

#[test]
fn what_goes_through_the_broker_with_a_message() {
    for text in
        [include_str!("../recordings/paho_v5.txt"), include_str!("../recordings/paho_v5_websocket.txt")]
    {
        let mut bench = Bench::client();
        for (to_server, bytes) in recording(text) {
            bench.call(if to_server { Direction::Outward } else { Direction::Inward }, &bytes);
        }
        let mut seen = 0;
        for op in &bench.ops {
            let (OpKind::Publish(message) | OpKind::Deliver(message)) = &op.kind else { continue };
            if &*message.body.captured != br#"{"rpm":1200}"# {
                continue;
            }
            seen += 1;
            let headers: Vec<_> = message.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
            for header in [
                ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
                ("tracestate", "a=1"),
                ("correlation-id", "job-17"),
                ("reply-to", "plant/answers"),
            ] {
                assert!(headers.contains(&header), "{header:?} in {headers:?}");
            }
        }
        assert_eq!(seen, 2);
    }
}

/// What was said in compressed messages that refer to a lost one is lost with it; of that nothing is made up.
#[test]
fn compressed_websockets() {
    check(
        include_str!("../recordings/go_websocket_compressed_pub.txt"),
        usize::MAX / 2,
        &expect![[r#"
        >293+47 connect
        <260+6 connected
        >352+53 publish plant/pump id=1 settle b"pub-000000 ....." 60/60
        >417+54 publish plant/pump id=2 settle b"pub-000001 ....." 60/60
        >483+55 publish plant/pump id=3 settle b"pub-000002 ....." 60/60
        >550+55 publish plant/pump id=4 settle b"pub-000003 ....." 60/60
        >617+56 publish plant/pump id=5 settle b"pub-000004 ....." 60/60
        >685+56 publish plant/pump id=6 settle b"pub-000005 ....." 60/60
        >753+60 publish plant/pump id=7 settle b"pub-000006 ....." 3000/3000
        >825+51 publish plant/pump id=8 settle b"pub-000007 ....." 30/30
        <268+6 settled 1
        <276+5 settled 2
        <283+5 settled 3
        <290+5 settled 4
        <297+5 settled 5
        <304+5 settled 6
        <311+5 settled 7
        <318+5 settled 8
        >888+26 disconnect clean=true"#]],
    );
    check(
        include_str!("../recordings/go_websocket_compressed_sub.txt"),
        usize::MAX / 2,
        &expect![[r#"
        >293+47 connect
        <260+6 connected
        >352+44 subscribe ["plant/#"]
        <277+28 deliver plant/pump id=1 settle b"pub-000000 ....." 60/60
        <307+11 deliver plant/pump id=2 settle b"pub-000001 ....." 60/60
        <320+11 deliver plant/pump id=3 settle b"pub-000002 ....." 60/60
        <333+11 deliver plant/pump id=4 settle b"pub-000003 ....." 60/60
        <346+11 deliver plant/pump id=5 settle b"pub-000004 ....." 60/60
        <359+11 deliver plant/pump id=6 settle b"pub-000005 ....." 60/60
        <372+34 deliver plant/pump id=7 settle b"pub-000006 ....." 3000/3000
        <408+15 deliver plant/pump id=8 settle b"pub-000007 ....." 30/30
        >408+28 ack [1]
        >448+28 ack [2]
        >488+28 ack [3]
        >528+28 ack [4]
        >568+28 ack [5]
        >608+28 ack [6]
        >648+28 ack [7]
        >688+28 ack [8]
        >728+26 disconnect clean=true"#]],
    );
}
