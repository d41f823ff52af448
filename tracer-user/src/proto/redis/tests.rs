//! Conversations of clients and servers, and the ops that come of them.

use expect_test::{Expect, expect};

use crate::model::net::Role;
use crate::model::op::System;
use crate::proto::testing::{Bench, assert_same_however_split, heard, line};

mod losses;
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
