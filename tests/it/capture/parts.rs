//! Calls on sockets that move more than one record takes.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use iotrail::kernel::load::Options;
use iotrail::model::capture::{Body, Position};
use tracer_common::limits::CAPTURE_MAX;
use tracer_common::record::{Kind, flag};
use tracer_tests::probe::pattern;

use super::probe::Probe;
use super::rig::{MODES, Mode, RAW, Rig, Seen, port};

/// A probe with a connection to this process, which sends back what it got.
struct Line {
    rig: Rig,
    probe: Probe,
    fd: i64,
    echo: JoinHandle<()>,
}

impl Line {
    fn open(change: impl FnOnce(&mut Options), mode: Mode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let number = listener.local_addr().expect("an address").port();
        let echo = std::thread::spawn(move || echo(listener.accept().expect("the probe connects").0));
        let mut probe = Probe::start();
        let selection = port(probe.pid(), number);
        let mut options =
            Options { selection, plain_loads: mode.plain_loads, ..Options::new(mode.hooks, mode.btf) };
        change(&mut options);
        let mut rig = Rig::with(&options);
        let fd = rig.call(&mut probe, &format!("connect 127.0.0.1:{number}"));
        rig.take();
        Self { rig, probe, fd, echo }
    }

    /// The records of one call that moved so many bytes.
    fn call(&mut self, command: &str, result: i64) -> Vec<Seen> {
        let answer = self.probe.numbers(command);
        assert_eq!(answer[0], result, "{command}");
        self.rig.of(Kind::Data)
    }

    /// Reads what came back, unseen: the bytes.
    fn swallow(&mut self, length: usize) -> Vec<Seen> {
        let flags = libc::MSG_WAITALL;
        self.call(&format!("recvfrom {} {length} {flags}", self.fd), length as i64)
    }

    fn end(self) {
        self.probe.end();
        self.echo.join().expect("the other end ends");
    }
}

fn echo(mut stream: TcpStream) {
    let mut buffer = vec![0; 1 << 16];
    let mut all = Vec::new();
    // Not before the probe waits for it: it sends much at once.
    stream.set_read_timeout(Some(std::time::Duration::from_millis(100))).expect("it can be told");
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => all.extend_from_slice(&buffer[..length]),
            Err(_) => stream.write_all(&std::mem::take(&mut all)).expect("the probe reads"),
        }
    }
}

/// The records are one row of bytes: each begins where the one before ends, all but the first say that they go on. What is
/// captured of each, and how long they are in all.
#[track_caller]
fn row(seen: &[Seen]) -> (Vec<Vec<u8>>, u64) {
    let (mut captured, mut length, mut next) = (Vec::new(), 0, None);
    for (index, seen) in seen.iter().enumerate() {
        assert_eq!(seen.has(flag::LATER), index > 0, "{index}");
        let Body::Data { position, ref payload, .. } = seen.capture.body else { panic!("{seen:#?}") };
        let Position::Sequence(number) = position else { panic!("{position:?}") };
        assert!(next.is_none_or(|next| next == number), "{index}: {next:?} {number}");
        next = Some(number.wrapping_add(payload.size as u32));
        captured.push(payload.captured.to_vec());
        length += payload.size;
    }
    (captured, length)
}

#[test]
fn all_of_a_long_call_is_captured() {
    const LENGTH: usize = 300_000;
    for mode in MODES.into_iter().filter(|mode| mode.btf) {
        let mut line = Line::open(|_| (), mode);
        let fd = line.fd;
        for (command, result, sent) in [
            (format!("sendto {fd} {LENGTH} 0"), LENGTH, pattern(LENGTH)),
            // No segment ends where a record does, and one of them has none of its bytes in the first.
            (format!("sendmsg {fd} 0 1 65534 0 70000 99999 64466"), LENGTH, pattern(LENGTH)),
            (format!("vectors {fd} 1000 131"), 131_000, pattern(131_000)),
            (
                format!("sendmmsg {fd} 0 5,65530 150000 7"),
                3,
                [pattern(65_535), pattern(150_000), pattern(7)].concat(),
            ),
        ] {
            for seen in [line.call(&command, result as i64), line.swallow(sent.len())] {
                let (captured, length) = row(&seen);
                assert_eq!(length, sent.len() as u64, "{mode:?} {command}");
                assert!(captured.concat() == sent, "{mode:?} {command}: other bytes");
                assert!(captured.iter().rev().skip(1).all(|part| part.len() == CAPTURE_MAX), "{command}");
            }
        }
        assert_eq!((line.rig.count("capture_cut"), line.rig.count("bytes_cut")), (0, 0), "{mode:?}");
        line.end();
    }
}

#[test]
fn what_the_limit_cuts_is_in_the_last_record() {
    for limit in [0, 1, 65_536, 65_537, 100_000] {
        let mut line = Line::open(|options| options.capture_socket = limit, RAW);
        let seen = line.call(&format!("sendto {} 200000 0", line.fd), 200_000);
        let (captured, length) = row(&seen);
        assert_eq!((captured.concat() == pattern(limit as usize), length), (true, 200_000), "{limit}");
        let cut = (line.rig.count("capture_cut"), line.rig.count("bytes_cut"));
        assert_eq!(cut, (1, 200_000 - u64::from(limit)), "{limit}");
        line.end();
    }
}

#[test]
fn a_ring_that_fills_gets_beginnings() {
    let mut line = Line::open(|options| options.data_ring = 512 * 1024, RAW);
    let command = format!("sendto {} 150000 0", line.fd);
    let mut calls = 0;
    // Nobody reads meanwhile.
    while line.rig.count("capture_short") == 0 && calls < 10 {
        assert_eq!(line.probe.call(&command), 150_000);
        calls += 1;
    }
    let seen = line.rig.of(Kind::Data);
    assert_eq!(line.rig.count("data_ring_full"), 0, "{calls} calls");
    let starts: Vec<usize> =
        seen.iter().enumerate().filter(|(_, seen)| !seen.has(flag::LATER)).map(|(index, _)| index).collect();
    assert_eq!(starts.len(), calls, "each call has a record");
    let (captured, length) = row(&seen[starts[calls - 1]..]);
    assert_eq!((captured.concat(), length), (pattern(4096), 150_000));
    let lengths: u64 = starts
        .iter()
        .zip(starts.iter().skip(1).chain([&seen.len()]))
        .map(|(&from, &to)| row(&seen[from..to]).1)
        .sum();
    assert_eq!(lengths, 150_000 * calls as u64, "and says how long it was");
    line.end();
}
