//! Responses that were seen before their requests: a program that sends in one thread may read the answer in another before its
//! call has returned, and a request that comes behind a lost one waits for it.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::model::op::Place;
use crate::model::time::{Interval, Timestamp};
use crate::proto::FrameView;

/// Responses kept: as many as are under way while a lost call is waited for.
const RESPONSES: usize = 64;

/// Bytes of them: a fetch of one partition.
const BYTES: usize = 1024 * 1024;

/// A response that awaits its request.
#[derive(Debug)]
pub(super) struct Response {
    correlation: i32,
    bytes: Bytes,
    len: u64,
    place: Place,
    at: Interval,
    last_enter: Timestamp,
    tid: u32,
}

impl Response {
    /// The frame that it was, on the connection of `other`.
    pub(super) fn view<'a>(self, other: &FrameView<'a>) -> FrameView<'a> {
        let Self { bytes, len, place, at, last_enter, tid, .. } = self;
        FrameView {
            bytes,
            len,
            to_server: false,
            follows: true,
            place,
            at,
            last_enter,
            tid,
            origin: other.origin,
            memory: other.memory,
            shortfall: other.shortfall,
        }
    }
}

/// Those of a connection, oldest first.
#[derive(Debug, Default)]
pub(super) struct Early {
    responses: VecDeque<Response>,
    held: usize,
}

impl Early {
    pub(super) fn push(&mut self, correlation: i32, view: &FrameView<'_>) {
        let bytes = view.bytes.clone();
        self.held += bytes.len();
        let (len, place, at, last_enter, tid) = (view.len, view.place, view.at, view.last_enter, view.tid);
        self.responses.push_back(Response { correlation, bytes, len, place, at, last_enter, tid });
        while self.responses.len() > RESPONSES || self.held > BYTES {
            if self.pop().is_none() {
                return;
            }
        }
    }

    /// The response to request `correlation`, if it came already. Requests go in the order of their numbers, so those to earlier
    /// ones are let go: theirs were not seen.
    pub(super) fn take(&mut self, correlation: i32) -> Option<Response> {
        while self.responses.front()?.correlation.wrapping_sub(correlation) < 0 {
            self.pop();
        }
        let index = self.responses.iter().position(|response| response.correlation == correlation)?;
        let response = self.responses.remove(index)?;
        self.held = self.held.saturating_sub(response.bytes.len());
        Some(response)
    }

    fn pop(&mut self) -> Option<Response> {
        let response = self.responses.pop_front()?;
        self.held = self.held.saturating_sub(response.bytes.len());
        Some(response)
    }
}
