//! Calls of two processes on two devices of one class.

use std::collections::HashSet;
use std::sync::Arc;

use iotrail::device::{Devices, Settings, commands};
use iotrail::model::capture::{Body, Capture, DeviceKind, DeviceNumber, Piece, Position, Target};
use iotrail::model::command::{Command, Device, Status, Value};
use iotrail::model::net::Direction;
use iotrail::model::payload::Payload;
use iotrail::model::process::ProcessKey;
use iotrail::model::time::{Interval, Timestamp};
use tracer_common::call::{Abi, Call};

use crate::input::Input;

/// Serial exchanges that one process may have open on one device: requests that are written ahead of their answers, one
/// that is answered beside them, and input that waits for a write.
const OPEN: usize = 512 + 32;
/// Longest name of a command: `error.type` and names are labels of metrics.
const NAME: usize = 80;
/// Longest text in an argument.
const TEXT: usize = 4096;
/// Longest member of a list.
const MEMBER: usize = 256;
/// Most arguments, and most members of a list.
const ARGUMENTS: usize = 64;

struct World {
    devices: Devices,
    nodes: [Arc<Device>; 2],
    numbers: [Vec<u32>; 2],
    processes: [ProcessKey; 2],
    now: u64,
    fed: u64,
    out: Vec<Command>,
}

pub(crate) fn run(class: &'static str, data: &[u8]) {
    let mut input = Input::new(data);
    let presume_awaited = input.flag();
    let numbers = numbers(class);
    let (major, first) = numbers[input.below(numbers.len())];
    let node = |minor| {
        let kind = if class == "block" { DeviceKind::Block } else { DeviceKind::Char };
        let number = DeviceNumber { kind, major, minor: first + minor };
        Arc::new(Device::new(number, class, "/dev/x", "x"))
    };
    let mut world = World {
        devices: Devices::new(Settings { presume_awaited, ..Settings::default() }),
        nodes: [node(0), node(1)],
        numbers: [false, true].map(|compat| commands(class, compat)),
        processes: [100, 101].map(|pid| ProcessKey { pid, generation: 0 }),
        now: 1,
        fed: 0,
        out: Vec::new(),
    };
    while !input.is_empty() {
        world.step(&mut input);
        // One write may bring as many lines.
        let each = if class == "tty" { OPEN as u64 } else { 64 };
        assert!(world.devices.open() as u64 <= world.fed.max(1) * each, "more is under way than was begun");
        assert!(class != "tty" || world.devices.open() <= 4 * OPEN, "too much is under way");
    }
    world.end();
    world.check(class);
}

/// Majors and first minors of the kinds of nodes that a class' decoder tells apart by their number.
fn numbers(class: &str) -> &'static [(u32, u32)] {
    match class {
        // hidraw, uhid, hiddev.
        "hid" => &[(188, 0), (10, 239), (180, 96)],
        // evdev, uinput, joysticks, mice.
        "input" => &[(13, 64), (10, 223), (13, 0), (13, 32)],
        _ => &[(188, 0)],
    }
}

impl World {
    fn step(&mut self, input: &mut Input<'_>) {
        let start = self.now + input.pause();
        self.now = start + input.pause();
        let choice = input.byte();
        // Mostly one process, one device, one thread, one descriptor.
        let who = input.byte();
        let (owner, node) = (usize::from(who & 3 == 3), usize::from(who & 12 == 12));
        let process = self.processes[owner];
        let (tid, fd) = (100 + u32::from(who >> 4 & 3), 3 + i32::from(who >> 6 & 3));
        let compat = choice & 0x80 != 0;
        let mut result = 0;
        let (call, body) = match choice & 15 {
            0..3 => self.moved(input, Direction::Inward, &mut result),
            3..6 => self.moved(input, Direction::Outward, &mut result),
            6..11 => {
                result = outcome(input);
                (Call::Ioctl, self.ioctl(input, compat))
            }
            11 => match input.byte() & 3 {
                0 => {
                    result = i64::from(fd);
                    (Call::Openat, Body::Open { path: input.bytes(), flags: input.number() })
                }
                1 => (
                    Call::Close,
                    Body::Close { first: fd as u32, last: (fd as u32).max(input.byte().into()) },
                ),
                2 => (Call::Poll, Body::Waiting),
                _ => (Call::Dup, Body::Dup { new_fd: 4 }),
            },
            12 => {
                let calls = [Call::Read, Call::Write, Call::Ioctl, Call::Pwritev2, Call::Poll];
                let command = self.command(input, compat);
                (calls[input.below(calls.len())], Body::Aborted { command })
            }
            13 => return self.devices.tick(Timestamp(self.now), &mut self.out),
            14 => return self.devices.moved_on(process, tid, &mut self.out),
            _ if input.flag() => {
                let number = self.nodes[node].number;
                return self.devices.device_gone(number, Timestamp(self.now), &mut self.out);
            }
            _ => {
                // Who comes back is somebody else.
                self.processes[owner].generation += 1;
                return self.devices.process_gone(process, Timestamp(self.now), &mut self.out);
            }
        };
        let capture = Capture {
            at: Interval { start: Timestamp(start), end: Timestamp(self.now) },
            pid: process.pid,
            tid,
            comm: [0; 16],
            call,
            abi: if compat { Abi::Compat } else { Abi::Native },
            fd,
            target: Target::None,
            inode: 0,
            result,
            restarted: false,
            direct: false,
            body,
        };
        self.fed += 1;
        self.devices.feed(&capture, process, &self.nodes[node], &mut self.out);
    }

    fn moved(&self, input: &mut Input<'_>, direction: Direction, result: &mut i64) -> (Call, Body) {
        let kind = input.byte();
        let captured = input.bytes();
        // Some of what moved was not captured; now and then the record claims less than it holds.
        let more = if kind & 1 == 1 { input.number() } else { 0 };
        let size = if kind & 2 == 2 { more } else { (captured.len() as u64).saturating_add(more) };
        *result = if kind & 4 == 4 { -(input.number() as i64 & 0x3ff) } else { size.cast_signed() };
        let call = if direction == Direction::Inward { Call::Read } else { Call::Write };
        if kind & 24 == 24 {
            return (
                call,
                Body::Unseen { direction, position: Position::Unknown, length: size, follows: false },
            );
        }
        let position = if kind & 32 == 32 { Position::Offset(input.number()) } else { Position::Unknown };
        let payload = Payload { captured, size };
        (call, Body::Data { direction, requested: size, position, peek: false, later: false, payload })
    }

    /// One that the class knows, or any.
    fn command(&self, input: &mut Input<'_>, compat: bool) -> u32 {
        let known = &self.numbers[usize::from(compat)];
        if known.is_empty() || input.byte() == 0xff {
            return input.u64() as u32;
        }
        let command = known[input.below(known.len())];
        // Some have any size: the number says it.
        match input.byte() {
            0xff => command & !(0x3fff << 16) | (input.u64() as u32 & 0x3fff) << 16,
            small @ 0xc0.. => command & !(0x3fff << 16) | u32::from(small & 0x3f) << 18,
            _ => command,
        }
    }

    fn ioctl(&self, input: &mut Input<'_>, compat: bool) -> Body {
        let command = self.command(input, compat);
        let what = input.byte();
        let before = (what & 1 == 1).then(|| input.bytes());
        let after = if what & 2 == 2 { before.clone().unwrap_or_default() } else { input.bytes() };
        let mut pieces = |count: u8| (0..count).map(|_| piece(input)).collect::<Vec<_>>();
        let (given, answered) = (pieces(what >> 2 & 7), pieces(what >> 5));
        let argument = input.number();
        Body::Ioctl { command, argument, before, after, given, answered }
    }

    fn end(&mut self) {
        self.now += 100_000_000_000;
        self.devices.tick(Timestamp(self.now), &mut self.out);
        for process in self.processes {
            self.devices.process_gone(process, Timestamp(self.now), &mut self.out);
        }
        assert_eq!(self.devices.open(), 0, "something is under way of processes that are gone");
    }

    fn check(&self, class: &str) {
        let counts = self.devices.counts();
        let events = self.out.iter().filter(|command| command.unsolicited).count() as u64;
        let commands = self.out.len() as u64 - events;
        let errors = self.out.iter().filter(|command| command.status.is_error()).count() as u64;
        assert_eq!(
            (counts.calls, counts.commands, counts.events, counts.errors, counts.evicted),
            (self.fed, commands, events, errors, 0),
            "what came out is not what was counted"
        );
        // Only serial lines make several commands of one call.
        assert!(class == "tty" || commands <= counts.calls, "more came out than went in: {counts:?}");
        let mut serials = HashSet::new();
        for command in &self.out {
            check(command);
            let serial = (command.process, command.device.number, command.serial);
            assert!(serials.insert(serial), "two commands have the number {serial:?}");
        }
    }
}

/// 0, another number, or an errno.
fn outcome(input: &mut Input<'_>) -> i64 {
    match input.byte() {
        low @ 0..128 => low.into(),
        128..192 => 0,
        _ => -(input.number() as i64 & 0x3ff),
    }
}

fn piece(input: &mut Input<'_>) -> Piece {
    let place = input.byte();
    let captured = input.bytes();
    let missing = if place & 0x80 != 0 { input.number() } else { 0 };
    let size = (captured.len() as u64).saturating_add(missing);
    let buffer = (place & 0x40 != 0).then_some(place >> 3 & 7);
    Piece { element: u16::from(place & 7), buffer, payload: Payload { captured, size } }
}

/// What holds for every command.
fn check(command: &Command) {
    let Command { name, at, status, request, reply, args, bus, .. } = command;
    for payload in [Some(request), reply.as_ref()].into_iter().flatten() {
        assert!(payload.captured.len() as u64 <= payload.size, "{name}: more captured than there was");
    }
    assert!(at.start <= at.end, "{name} ended before it began");
    assert!(is_word(name), "{name:?} is no name");
    if let Status::Error { kind, message } = status {
        assert!(is_word(kind), "{name}: {kind:?} is no kind of error");
        assert!(message.len() <= TEXT, "{name}: a message of {} bytes", message.len());
    }
    assert!(args.len() <= ARGUMENTS, "{name} has {} arguments", args.len());
    for (key, value) in args {
        match value {
            Value::Text(text) => assert!(text.len() <= TEXT, "{name}: {key} is long"),
            Value::Shared(text) => assert!(text.len() <= TEXT, "{name}: {key} is long"),
            Value::Texts(texts) => {
                let longest = texts.iter().map(|text| text.len()).max().unwrap_or(0);
                assert!(texts.len() <= ARGUMENTS && longest <= MEMBER, "{name}: {key} is a long list");
            }
            Value::Int(_) | Value::Float(_) | Value::Bool(_) => {}
        }
    }
    assert!(bus.is_empty(), "{name}: decoders do not know of buses");
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= NAME && !text.contains(char::is_control)
}
