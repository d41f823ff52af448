//! Brings records out of the rings, in the order in which the calls returned.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use aya::maps::{MapData, MapError, PerCpuArray, RingBuf};
use bytes::{Bytes, BytesMut};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use tracer_common::counter::NAMES;
use tracer_common::record::{HEADER_BYTES, Header, Kind};

/// A record as it lay in a ring.
#[derive(Clone, Debug)]
pub struct Raw {
    /// The fixed part.
    pub header: Header,
    /// The bytes behind it.
    pub payload: Bytes,
}

/// How long a record waits for others that returned before it but were written later, by another CPU or into the other
/// ring. Programs run with interrupts on but preemption off, so this is generous.
pub const REORDER_NS: u64 = 3_000_000;

/// Records that are taken from a ring in one go: bounds the time between two looks at the other ring, and the room for
/// headers, 0.5 MB here and as much where they go to.
const BATCH: usize = 2 * 1024;

/// Records that may wait for their order at once. When there are more they are released early, in the order known.
const WAITING: usize = 64 * 1024;

/// Reads both rings and merges them by time.
pub struct Reader {
    data: RingBuf<MapData>,
    lifecycle: RingBuf<MapData>,
    waiting: VecDeque<Raw>,
    arena: BytesMut,
    malformed: u64,
    /// Everything that returned before this was given out.
    complete_ns: u64,
    compat: Vec<u32>,
    poll: Poll,
    events: Events,
}

impl Reader {
    pub(super) fn new(data: RingBuf<MapData>, lifecycle: RingBuf<MapData>) -> io::Result<Self> {
        let poll = Poll::new()?;
        for (ring, token) in [(&data, Token(0)), (&lifecycle, Token(1))] {
            poll.registry().register(&mut SourceFd(&ring.as_raw_fd()), token, Interest::READABLE)?;
        }
        let events = Events::with_capacity(2);
        Ok(Self {
            data,
            lifecycle,
            waiting: VecDeque::new(),
            arena: BytesMut::new(),
            malformed: 0,
            complete_ns: 0,
            compat: Vec::new(),
            poll,
            events,
        })
    }

    /// Sleeps until a ring fills up, or `longest` has passed.
    ///
    /// Edge-triggered: the kernel side wakes only when a ring fills up, and a ring with anything in it counts as
    /// readable, so that a level-triggered wait would never sleep.
    pub fn wait(&mut self, longest: Duration) {
        if self.poll.poll(&mut self.events, Some(longest)).is_err() {
            // Interrupted by a signal: as good as a wake-up.
            self.events.clear();
        }
    }

    /// Takes what is in the rings and gives out, in order, what returned more than a few milliseconds before `now_ns`
    /// (`CLOCK_MONOTONIC`). With `all`, everything. Returns how many records were taken.
    pub fn read(&mut self, now_ns: u64, all: bool, out: &mut Vec<Raw>) -> usize {
        let mut taken = 0;
        let mut until = now_ns;
        for ring in [&mut self.lifecycle, &mut self.data] {
            let mut newest = 0;
            for left in (0..BATCH).rev() {
                let Some(item) = ring.next() else { break };
                taken += 1;
                if left == 0 {
                    // There may be more, which is younger than this: what the other ring has from after it has to
                    // wait, or a process would be over before its last calls.
                    until = until.min(newest);
                }
                let Some(header) = Header::read_from(&item) else {
                    self.malformed += 1;
                    continue;
                };
                let end = HEADER_BYTES + header.captured as usize;
                let Some(payload) = item.get(HEADER_BYTES..end) else {
                    self.malformed += 1;
                    continue;
                };
                newest = newest.max(header.exit_ns);
                if header.kind == Kind::Exec as u16 && header.args[0] != 0 {
                    self.compat.push(header.tgid);
                }
                let raw = Raw { header, payload: keep(&mut self.arena, payload) };
                // Records come nearly in order: the place is at the end, or close to it.
                let mut place = self.waiting.len();
                while place > 0 && self.waiting[place - 1].header.exit_ns > header.exit_ns {
                    place -= 1;
                }
                self.waiting.insert(place, raw);
            }
        }
        let drained = until == now_ns;
        // With `all`, the caller reads until there is nothing left.
        let until = if all && drained { u64::MAX } else { until.saturating_sub(REORDER_NS) };
        self.complete_ns = self.complete_ns.max(until.min(now_ns));
        while let Some(first) = self.waiting.front() {
            if first.header.exit_ns > until && self.waiting.len() <= WAITING {
                break;
            }
            out.extend(self.waiting.pop_front());
        }
        taken
    }

    /// By how much what was given out is behind `now_ns`.
    #[must_use]
    pub fn lag_ns(&self, now_ns: u64) -> u64 {
        now_ns.saturating_sub(self.complete_ns)
    }

    /// Processes that started a 32-bit program since the last time this was asked. Told before their records are in order,
    /// so that such programs can be attended to at once.
    pub fn take_compat(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.compat)
    }

    /// Records that wait for their order.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Records that were no records: always 0 unless kernel and user side differ.
    #[must_use]
    pub fn malformed(&self) -> u64 {
        self.malformed
    }
}

/// Bytes of payloads that share one allocation.
const ARENA: usize = 64 * 1024;

/// Copies a payload out of its ring, many into one allocation.
fn keep(arena: &mut BytesMut, payload: &[u8]) -> Bytes {
    if payload.is_empty() {
        return Bytes::new();
    }
    if arena.capacity() < payload.len() {
        *arena = BytesMut::with_capacity(payload.len().max(ARENA));
    }
    arena.extend_from_slice(payload);
    arena.split().freeze()
}

/// The kernel side's counters, summed over CPUs.
pub struct Counters {
    map: PerCpuArray<MapData, u64>,
    length: u32,
}

impl Counters {
    pub(super) fn new(map: PerCpuArray<MapData, u64>, length: u32) -> Self {
        Self { map, length }
    }

    /// Every counter with its name.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn read(&self) -> Result<Vec<(&'static str, u64)>, MapError> {
        let mut totals = Vec::with_capacity(NAMES.len());
        for (counter, name) in NAMES.iter().filter(|(counter, _)| (*counter as u32) < self.length) {
            let values = self.map.get(&(*counter as u32), 0)?;
            totals.push((*name, values.iter().sum()));
        }
        Ok(totals)
    }
}
