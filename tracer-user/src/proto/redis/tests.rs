//! Conversations of clients and servers, and the ops that come of them.

use expect_test::{Expect, expect};

use crate::model::net::Role;
use crate::model::op::{Feed, OpKind, System};
use crate::proto::testing::{Bench, assert_same_however_split, heard};

mod losses;
mod middle;
mod recorded;

/// Reads calls: `> ` and `< ` with text, in which `\r\n` and the like stand for themselves; words behind `>> ` are a command.
fn calls(text: &str) -> Vec<(bool, Vec<u8>)> {
    let mut calls = Vec::new();
    for call in text.lines().map(str::trim).filter(|call| !call.is_empty()) {
        let (way, content) = call.split_once(' ').expect("a way and bytes");
        calls.push(match way {
            ">>" => (true, content.split(" ; ").flat_map(command).collect()),
            ">" | "<" => (way == ">", unescape(content)),
            other => panic!("{other}"),
        });
    }
    calls
}

/// A command as clients send it.
fn command(words: &str) -> Vec<u8> {
    let words: Vec<Vec<u8>> = words.split_whitespace().map(unescape).collect();
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).bytes());
        bytes.extend(word);
        bytes.extend(b"\r\n");
    }
    bytes
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next() {
                Some(b'r') => b'\r',
                Some(b'n') => b'\n',
                Some(b's') => b' ',
                Some(b'q') => b'"',
                other => other.expect("something is escaped"),
            },
            byte => byte,
        });
    }
    bytes
}

/// What both ends make of a conversation, however it is cut.
fn check(text: &str, expected: Expect) {
    let calls = calls(text);
    expected.assert_eq(&heard(System::Redis, Role::Client, &calls).join("\n"));
    assert_same_however_split(System::Redis, &calls);
}

#[test]
fn a_transaction_happens_with_exec() {
    check(
        r"
        >> PING
        < +PONG\r\n
        >> MULTI ; PUBLISH a 1 ; SET k v ; XADD s * v 1 ; LPUSH l x y ; LPOP l ; XREADGROUP GROUP g c STREAMS s > ; XACK s g 1-1
        < +OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n
        >> EXEC
        < *7\r\n:1\r\n+OK\r\n$3\r\n1-1\r\n-WRONGTYPE no\r\n$1\r\ny\r\n*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nv\r\n$1\r\n1\r\n:1\r\n
        >> MULTI ; PUBLISH a dropped ; DISCARD
        < +OK\r\n+QUEUED\r\n+OK\r\n
        >> MULTI ; PUBLISH a watched ; EXEC
        < +OK\r\n+QUEUED\r\n*-1\r\n
        >> MULTI ; PUBLISH a 1 ; NOPE ; EXEC
        < +OK\r\n+QUEUED\r\n-ERR unknown\r\n-EXECABORT no\r\n
        ",
        expect![[r#"
            >29+31 publish a id=84372619264 settle b"1" 1/1
            >87+42 publish s id=85345697792 settle b"1" 1/1
            >129+36 publish l id=86050340864 settle b"x" 1/1
            >129+36#1 publish l id=86050340865 settle b"y" 1/1
            >259+37 ack [10264790238956447483] anywhere
            <75+98 settled 84372619264
            <75+98 settled 85345697792 given=s:1-1
            <75+98 settled 86050340864 error=WRONGTYPE
            <75+98#1 settled 86050340865 error=WRONGTYPE
            <75+98 deliver l b"y" 1/1
            <75+98#1 deliver s id=10264790238956447483 group=g named=s:1-1 settle b"1" 1/1
            <75+98 received 2
            >394+37 publish a id=90496303104 settle b"watched" 7/7
            <206+5 settled 90496303104 error=aborted
            >460+31 publish a id=91603599360 settle b"1" 1/1
            <239+15 settled 91603599360 error=EXECABORT"#]],
    );
}

#[test]
fn every_type_of_resp3_keeps_its_place() {
    check(
        r"
        >> HELLO 3 SETNAME meter
        < %2\r\n+server\r\n+redis\r\n+proto\r\n:3\r\n
        >> DEBUG PROTOCOL ; DEBUG PROTOCOL ; DEBUG PROTOCOL ; DEBUG PROTOCOL ; DEBUG PROTOCOL ; DEBUG PROTOCOL ; DEBUG PROTOCOL ; DEBUG PROTOCOL
        < ,1.5\r\n,inf\r\n(349287498237498237\r\n#t\r\n_\r\n=9\r\ntxt:a\sb\sc\r\n~2\r\n:1\r\n%1\r\n+a\r\n*0\r\n$?\r\n;4\r\nHell\r\n;1\r\no\r\n;0\r\n
        >> DEBUG PROTOCOL ; PUBLISH a 1 ; PUBLISH a 2 ; PUBLISH a 3
        < *?\r\n:1\r\n*?\r\n+a\r\n.\r\n|1\r\n+key\r\n+value\r\n:2\r\n.\r\n
        < |1\r\n+ttl\r\n:3600\r\n:1\r\n>3\r\n+message\r\n$1\r\na\r\n$1\r\nx\r\n:2\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n:3\r\n
        ",
        expect![[r#"
            >307+31 publish a id=89036685312 settle b"1" 1/1
            >338+31 publish a id=89556779008 settle b"2" 1/1
            >369+31 publish a id=90076872704 settle b"3" 1/1
            <177+21 settled 89036685312
            <198+28 deliver a b"x" 1/1
            <226+4 settled 89556779008
            <262+4 settled 90076872704"#]],
    );
}

#[test]
fn errors_are_those_of_messages() {
    check(
        r"
        >> AUTH secret
        < -WRONGPASS invalid username-password pair\r\n
        >> GET k
        < -WRONGTYPE no\r\n
        >> XREADGROUP GROUP g c STREAMS s >
        < -NOGROUP no\r\n
        >> BLPOP k 1
        < -WRONGTYPE no\r\n
        >> XADD s * v 1
        < -MOVED 3999 127.0.0.1:6381\r\n
        >> PUBLISH a b
        < !17\r\nBUSY\sscript\sruns.\r\n
        >> XACK s g 1-1
        < -whatever a script says\r\n
        >> SUBSCRIBE a
        < -NOPERM no\r\n
        >> XADD s NOMKSTREAM * v 1
        < $-1\r\n
        >> PUBLISH a b
        < :0\r\n
        ",
        expect![[r#"
            <0+43 connected error=WRONGPASS
            <58+13 error NOGROUP
            <71+15 error WRONGTYPE
            >148+42 publish s id=86369107968 settle b"1" 1/1
            <86+28 settled 86369107968 error=MOVED
            >190+31 publish a id=87073751040 settle b"b" 1/1
            <114+24 settled 87073751040 error=BUSY
            >221+37 ack [10264790238956447483] anywhere
            <138+25 error ERR
            >258+26 subscribe ["a"]
            <163+12 error NOPERM
            >284+59 publish s id=88650809344 settle b"1" 1/1
            <175+5 settled 88650809344 error=no_such_stream
            >343+31 publish a id=89640665088 settle b"b" 1/1
            <180+4 settled 89640665088"#]],
    );
}

#[test]
fn entries_are_read_from_every_shape() {
    check(
        r"
        >> XADD s NOMKSTREAM MAXLEN ~ 1000 LIMIT 5 1-1 temp 21.5 unit C\q\n traceparent 00-ab ce_type t
        < $3\r\n1-1\r\n
        >> XREADGROUP GROUP streams c COUNT 2 NOACK STREAMS s t > >
        < *2\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nv\r\n$1\r\n1\r\n*2\r\n$1\r\nt\r\n*1\r\n*2\r\n$3\r\n2-1\r\n*2\r\n$1\r\nv\r\n$0\r\n\r\n
        >> XREADGROUP GROUP g c STREAMS s t > 0
        < %2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nv\r\n$1\r\n1\r\n$1\r\nt\r\n*2\r\n*2\r\n$3\r\n2-1\r\n*-1\r\n*2\r\n$3\r\n2-2\r\n*2\r\n$1\r\nv\r\n$1\r\n1\r\n
        >> XAUTOCLAIM s g c 0 0 JUSTID ; XAUTOCLAIM s g c 0 0 ; XCLAIM s g c 0 1-1
        < *3\r\n$3\r\n0-0\r\n*1\r\n$3\r\n1-1\r\n*0\r\n*3\r\n$3\r\n0-0\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nv\r\n$1\r\n1\r\n*1\r\n$3\r\n0-9\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nv\r\n$1\r\n1\r\n
        >> XACKDEL s g KEEPREF IDS 2 1-1 1-2 ; XRANGE s - + ; XREAD BLOCK 10 STREAMS s $
        < *2\r\n:1\r\n:-1\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nv\r\n$1\r\n1\r\n*-1\r\n
        ",
        expect![[r#"
            >0+183 publish s id=83886080000 settle b"{\"temp\":\"21.5\",\"" 30/7
            <0+9 settled 83886080000 given=s:1-1
            <9+95 deliver s group=streams named=s:1-1 b"1" 1/1
            <9+95#1 deliver t group=streams named=t:2-1 b"" 0/0
            <9+95 received 2
            <104+106 deliver s id=10264790238956447483 group=g named=s:1-1 settle b"1" 1/1
            <104+106#1 deliver t id=693764772879494894 group=g named=t:2-2 again settle b"1" 1/1
            <104+106 received 2
            <240+61 deliver s id=10264790238956447483 group=g named=s:1-1 again settle b"1" 1/1
            <301+35 deliver s id=10264790238956447483 group=g named=s:1-1 again settle b"1" 1/1
            >570+78 ack [10264790238956447483, 3653885557031816510] anywhere"#]],
    );
}

#[test]
fn secrets_are_not_kept_and_the_client_has_its_name() {
    let mut bench = Bench::of(System::Redis, Some(Role::Client), true, true);
    bench.put(&command("HELLO 3 AUTH user sesame SETNAME meter")).get(b"%1\r\n+proto\r\n:3\r\n");
    bench.put(&command("AUTH user sesame")).get(b"+OK\r\n");
    assert_eq!(bench.connection.client_id().map(|name| &**name), Some("meter"));
    assert!(!format!("{:?}", bench.connection).contains("sesame"));
    bench.put(&command("CLIENT SETNAME pump")).get(b"+OK\r\n");
    assert_eq!(bench.connection.client_id().map(|name| &**name), Some("pump"));
}

#[test]
fn replication_ends_it() {
    let mut bench = Bench::of(System::Redis, Some(Role::Client), true, true);
    bench.put(&command("PING")).get(b"+PONG\r\n").put(&command("PSYNC ? -1")).get(b"+FULLRESYNC abc 0\r\n");
    bench.get(b"$10\r\nREDIS0009.").get(&command("PUBLISH a b")).put(&command("PUBLISH a b"));
    assert_eq!(bench.text(), "");
    assert_eq!(bench.connection.counts().invalid, 0);
}

#[test]
fn a_publish_ends_with_its_answer() {
    check(
        r"
        >> PUBLISH plant/a 21.5
        < :2\r\n
        >> PUBLISH plant/a 22 ; SPUBLISH shard x
        < :0\r\n-NOPERM no\r\n
        ",
        expect![[r#"
            >0+40 publish plant/a id=83886080000 settle b"21.5" 4/4
            <0+4 settled 83886080000
            >40+38 publish plant/a id=84557168640 settle b"22" 2/2
            >78+36 publish shard id=85194702848 settle b"x" 1/1
            <4+4 settled 84557168640
            <8+12 settled 85194702848 error=NOPERM"#]],
    );
}

/// What an op means wherever it is heard: where the order of answers is lost, no answer is waited for.
fn essence(op: &str) -> String {
    match op.split_once("publish ") {
        Some((before, message)) => {
            let words = message.split(' ').filter(|word| !word.starts_with("id=") && *word != "settle");
            format!("{before}publish {}", words.collect::<Vec<_>>().join(" "))
        }
        None => op.to_owned(),
    }
}

/// What a channel and the patterns that cover it bring are copies; who pops from a list takes from the others.
#[test]
fn a_delivery_tells_whose_copy_it_is() {
    let mut bench = Bench::of(System::Redis, Some(Role::Client), true, true);
    for (to_server, bytes) in calls(
        r"
        >> SUBSCRIBE a
        < *3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n
        >> PSUBSCRIBE ? a*
        < *3\r\n$10\r\npsubscribe\r\n$1\r\n?\r\n:2\r\n*3\r\n$10\r\npsubscribe\r\n$2\r\na*\r\n:3\r\n
        < *3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n
        < *4\r\n$8\r\npmessage\r\n$1\r\n?\r\n$1\r\na\r\n$1\r\nx\r\n
        < *4\r\n$8\r\npmessage\r\n$2\r\na*\r\n$1\r\na\r\n$1\r\nx\r\n
        ",
    ) {
        if to_server {
            bench.put(&bytes)
        } else {
            bench.get(&bytes)
        };
    }
    let (one, two) = (Feed::of_subscription(b"?"), Feed::of_subscription(b"a*"));
    let subscribed = |(name, feed): (&str, _)| OpKind::Subscribe { filters: vec![name.into()], feed };
    let ops: Vec<_> = bench.ops.drain(..).map(|op| op.kind).collect();
    assert_eq!(ops[..3], [("a", Feed::Client), ("?", one), ("a*", two)].map(subscribed));
    let feeds = ops[3..].iter().map(|kind| match kind {
        OpKind::Deliver(message) => message.feed,
        other => panic!("{other:?}"),
    });
    assert_eq!(feeds.collect::<Vec<_>>(), [Feed::Client, one, two]);
}
