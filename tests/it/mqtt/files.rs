//! Messages that their publisher never has in memory: they go from a file or a pipe to the socket inside the kernel.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _, pipe};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsRawFd as _, RawFd};
use std::thread;
use std::time::Duration;

use tracer_tests::broker::free_port;

use super::check::of_kind;
use super::site::Site;
use crate::support::{Folder, Outcome, Tracer};

/// One of the two calls.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Sendfile,
    Splice,
}

/// The remaining length and what it is of: MQTT 3.1.1, 2.2.3.
fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    let mut left = body.len();
    loop {
        let more = left >= 128;
        bytes.push((left % 128) as u8 | u8::from(more) << 7);
        left /= 128;
        if !more {
            break;
        }
    }
    bytes.extend(body);
    bytes
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u16).to_be_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

fn connect(port: u16) -> TcpStream {
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("it listens");
    socket.set_nodelay(true).expect("an option");
    let body = [text("MQTT"), vec![4, 2, 0, 60], text("files")].concat();
    socket.write_all(&packet(0x10, &body)).expect("written");
    socket.read_exact(&mut [0; 4]).expect("CONNACK");
    socket
}

/// A file of publishes with bodies of these sizes; where each ends.
fn messages(folder: &Folder, topic: &str, sizes: &[usize]) -> (File, Vec<u64>) {
    let path = folder.path().join("messages");
    let mut file =
        File::options().read(true).write(true).create(true).truncate(true).open(path).expect("a file");
    let mut ends = Vec::new();
    for (index, size) in sizes.iter().enumerate() {
        let mut body = text(topic);
        body.extend(format!("{index:08}").bytes().cycle().take(*size));
        file.write_all(&packet(0x30, &body)).expect("written");
        ends.push(file.stream_position().expect("a position"));
    }
    (file, ends)
}

fn moved(result: isize) -> usize {
    usize::try_from(result).unwrap_or_else(|_| panic!("{}", std::io::Error::last_os_error()))
}

/// Sends the bytes of the file from `from` to `to`.
fn send(way: Way, socket: RawFd, file: RawFd, from: u64, to: u64) {
    let mut at = from as i64;
    let (reader, writer) = pipe().expect("a pipe");
    while (at as u64) < to {
        let left = (to - at as u64) as usize;
        // SAFETY: descriptors of our own, and a number that the kernel moves on.
        unsafe {
            match way {
                Way::Sendfile => drop(moved(libc::sendfile(socket, file, &raw mut at, left))),
                Way::Splice => {
                    let null = std::ptr::null_mut();
                    let mut inside =
                        moved(libc::splice(file, &raw mut at, writer.as_raw_fd(), null, left, 0));
                    while inside > 0 {
                        inside -= moved(libc::splice(reader.as_raw_fd(), null, socket, null, inside, 0));
                    }
                }
            }
        }
    }
}

/// The sizes of the bodies that were published, in their order; and that nothing was missed.
fn published(outcome: &Outcome, sizes: &[usize]) {
    let mut spans = of_kind(&outcome.spans, "publish ");
    spans.sort_by_key(|span| span.start);
    let seen: Vec<_> =
        spans.iter().filter_map(|span| span.attribute("messaging.message.body.size")).collect();
    let sizes: Vec<_> = sizes.iter().map(ToString::to_string).collect();
    assert_eq!(seen, sizes);
    for name in ["proto.invalid", "unfilled_bytes", "kernel.egress_ring_full", "kernel.egress_cut"] {
        assert_eq!(outcome.count(name), 0, "{name}");
    }
}

#[test]
fn a_publisher_of_files_is_seen_from_its_own_end_alone() {
    for way in [Way::Sendfile, Way::Splice] {
        let site = Site::new();
        let folder = Folder::new();
        let sizes: Vec<usize> = (0..60).map(|index| [9, 300, 5000, 70_000, 400_000][index % 5]).collect();
        let (file, ends) = messages(&folder, "files/t", &sizes);
        let own = std::process::id().to_string();
        let mut socket = connect(site.broker.port);
        let broker = format!("mqtt:{}", site.broker.port);
        let tracer = Tracer::start(&["--pid", &own, "--broker", &broker, "--ring", "65536"]);
        let mut at = 0;
        for (index, end) in ends.into_iter().enumerate() {
            send(way, socket.as_raw_fd(), file.as_raw_fd(), at, end);
            at = end;
            if index % 7 == 0 {
                // Between them, a message that is written, and part of one.
                socket.write_all(&[0xc0, 0]).expect("PINGREQ");
            }
            thread::sleep(Duration::from_millis(1));
        }
        let outcome = tracer.stop();
        drop(socket);
        published(&outcome, &sizes);
        assert_eq!(outcome.count("proto.skipped_bytes"), 0);
    }
}

#[test]
fn bytes_that_leave_after_the_call_are_awaited() {
    let port = free_port().expect("a port");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("it is free");
    // What the calls hand over is more than the reader takes at once, so that some of it leaves later.
    let reader = thread::spawn(move || {
        let mut socket = listener.accept().expect("a client").0;
        let mut bytes = vec![0; 256 << 10];
        let mut all = socket.read(&mut bytes).expect("CONNECT");
        socket.write_all(&[0x20, 2, 0, 0]).expect("CONNACK");
        loop {
            thread::sleep(Duration::from_millis(2));
            match socket.read(&mut bytes).expect("bytes") {
                0 => return all,
                more => all += more,
            }
        }
    });
    let folder = Folder::new();
    let sizes = [300_000; 20];
    let (file, ends) = messages(&folder, "files/late", &sizes);
    let mut socket = connect(port);
    let own = std::process::id().to_string();
    let tracer = Tracer::start(&["--pid", &own, "--broker", &format!("mqtt:{port}"), "--ring", "65536"]);
    let mut at = 0;
    for end in ends {
        send(Way::Sendfile, socket.as_raw_fd(), file.as_raw_fd(), at, end);
        at = end;
    }
    socket.write_all(&[0xe0, 0]).expect("DISCONNECT");
    socket.shutdown(Shutdown::Write).expect("it is open");
    assert!(reader.join().expect("it read all") as u64 > at);
    published(&tracer.stop(), &sizes);
}
