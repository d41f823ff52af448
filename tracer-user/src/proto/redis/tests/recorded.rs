//! Conversations of real clients with Redis 7.0.15.

use expect_test::{Expect, expect};

use crate::model::net::Role;
use crate::model::op::System;
use crate::proto::testing::{assert_recovers, assert_same_however_split, heard, recording};

/// `lost`: what one lost call may cost beyond what it carried: the answers whose order is not known until there was a silence, and there is none
/// in these recordings.
fn check(text: &str, lost: usize, expected: &Expect) {
    let calls = recording(text);
    expected.assert_eq(&heard(System::Redis, Role::Client, &calls).join("\n"));
    assert_same_however_split(System::Redis, &calls);
    assert_recovers(System::Redis, &calls, lost);
}

#[test]
fn a_subscriber_of_python() {
    check(include_str!("../recordings/python_resp2_subscriber.txt"), 0, &expect![[""]]);
}

#[test]
fn a_subscriber_of_python_with_pushes() {
    check(include_str!("../recordings/python_resp3_subscriber.txt"), 0, &expect![[""]]);
}

#[test]
fn streams_lists_and_pipelines_of_python() {
    check(include_str!("../recordings/python_resp2.txt"), 40, &expect![[""]]);
}

#[test]
fn streams_lists_and_pipelines_of_python_in_resp3() {
    check(include_str!("../recordings/python_resp3.txt"), 40, &expect![[""]]);
}
