//! Conversations with Apache Kafka 4.1.0.

use crate::model::net::Role;
use crate::model::op::System;
use crate::proto::testing::{heard, recording};

#[test]
fn scratch() {
    for path in std::env::var("REC").unwrap_or_default().split_whitespace() {
        let text = std::fs::read_to_string(path).expect("a file");
        println!("== {path}");
        for line in heard(System::Kafka, Role::Client, &recording(&text)) {
            println!("{line}");
        }
    }
}
