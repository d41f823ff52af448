//! 32-bit programs on a 64-bit kernel: other numbers, other pointers, other structures, the same records.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use iotrail::kernel::selection::Selection;
use iotrail::model::capture::{Body, Position};
use iotrail::model::net::Direction;
use tracer_common::call::{Abi, Call};
use tracer_common::record::Kind;
use tracer_tests::instrument::Line;
use tracer_tests::probe::pattern;
use tracer_tests::process::Running;

use super::probe::Probe;
use super::rig::{EACH, FOLLOWED, Mode, RAW, Rig, Seen, device};
use crate::support::{Folder, PATIENCE, Tracer};

/// Reads a command and does it.
const SHELL: &str = "read command; eval $command";

/// Compiles the 32-bit probe; it needs no 32-bit C library.
fn compile(folder: &Path) -> PathBuf {
    let program = folder.join("probe32");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("c/probe32.c");
    let flags = [
        "-m32",
        "-O1",
        "-static",
        "-nostdlib",
        "-ffreestanding",
        "-fno-pic",
        "-no-pie",
        "-fno-stack-protector",
    ];
    let status = Command::new("gcc").args(flags).arg("-o").arg(&program).arg(source).status();
    assert!(status.expect("gcc starts").success(), "gcc makes a 32-bit program");
    program
}

/// A 32-bit probe with a line and a server at hand.
struct Scene {
    line: Line,
    server: TcpListener,
    probe: Probe,
    rig: Rig,
}

impl Scene {
    fn new(mode: Mode, folder: &Folder) -> Self {
        let line = Line::open().expect("a line");
        let server = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = server.local_addr().expect("an address").port();
        let mut command = Command::new(compile(folder.path()));
        let probe = Probe::start_command(command.arg(&line.path).arg(port.to_string()));
        let selection = Selection { ports: [port].into(), ..device(probe.pid(), &line.path) };
        let rig = Rig::new(mode, selection);
        Self { line, server, probe, rig }
    }

    /// The next call of the probe, which makes a descriptor, and what was seen of it.
    fn descriptor(&mut self) -> Vec<Seen> {
        assert!(self.probe.call("") > 2);
        self.rig.take()
    }

    /// The next call of the probe, and what was seen of it.
    fn step(&mut self, result: i64) -> Vec<Seen> {
        assert_eq!(self.probe.call(""), result);
        // That the program waits for the next line is no call of its own.
        let seen: Vec<Seen> =
            self.rig.take().into_iter().filter(|seen| seen.kind() != Kind::Waiting).collect();
        assert!(
            seen.iter().all(|seen| seen.capture.abi == Abi::Compat && seen.header.result == result),
            "{seen:#?}"
        );
        seen
    }

    /// As [`Self::step`]: a transfer of these bytes.
    #[track_caller]
    fn transfer(
        &mut self,
        result: i64,
        call: Call,
        direction: Direction,
        bytes: &[u8],
        segments: u16,
    ) -> Seen {
        let seen = self.step(result);
        let [only] = seen.as_slice() else { panic!("{seen:#?}") };
        assert_eq!((only.kind(), only.capture.call), (Kind::Data, call), "{only:#?}");
        let Body::Data { direction: way, ref payload, .. } = only.capture.body else { panic!("{only:#?}") };
        assert_eq!((way, payload.size, &payload.captured[..]), (direction, bytes.len() as u64, bytes));
        assert_eq!((only.header.segments, only.header.fault), (segments, 0));
        only.clone()
    }
}

#[test]
fn a_32_bit_program_is_seen_as_it_is() {
    let folder = Folder::new();
    for mode in [RAW, FOLLOWED] {
        scene(Scene::new(mode, &folder), mode);
    }
}

fn scene(mut scene: Scene, mode: Mode) {
    use Direction::{Inward, Outward};
    let open = scene.descriptor();
    assert_eq!((open[0].kind(), open[0].capture.call), (Kind::Open, Call::Open), "{mode:?}: {open:#?}");
    assert_eq!(open[0].payload, scene.line.path.display().to_string().as_bytes());
    scene.transfer(10, Call::Write, Outward, &pattern(10), 1);
    scene.transfer(7, Call::Writev, Outward, &pattern(7), 2);
    scene.line.far.write_all(b"answer\n").expect("the far end can be written");
    scene.transfer(7, Call::Read, Inward, b"answer\n", 1);
    scene.line.far.write_all(b"one more").expect("the far end can be written");
    scene.transfer(8, Call::Readv, Inward, b"one more", 2);
    let ioctl = scene.step(0);
    assert_eq!((ioctl[0].kind(), ioctl[0].payload.len()), (Kind::Ioctl, 36), "{ioctl:#?}");
    assert_eq!(ioctl[0].header.args[0], 0x5401);
    let failed = scene.step(-i64::from(libc::ESPIPE));
    let Body::Data { position, .. } = failed[0].capture.body else { panic!("{failed:#?}") };
    assert_eq!(position, Position::Offset(5 << 32 | 7), "both halves of the offset");

    // Each call of the socket family by its own number, then all of them by `socketcall`.
    let both = [pattern(5), pattern(7)].concat();
    for through_one in [false, true] {
        scene.descriptor();
        let connect = scene.step(0);
        assert_eq!(
            (connect[0].kind(), connect[0].capture.call),
            (Kind::Connect, Call::Connect),
            "{connect:#?}"
        );
        let (mut far, near) = scene.server.accept().expect("it connects");
        let Body::Connect { address } = &connect[0].capture.body else { panic!("{connect:#?}") };
        let server = scene.server.local_addr().expect("an address");
        assert_eq!(iotrail::decode::socket_address(address), Some(server));
        if mode.btf {
            let iotrail::model::capture::Target::Socket(end) = connect[0].capture.target else { panic!() };
            assert_eq!((end.local, end.remote), (near, server));
        }
        let sent = if through_one {
            scene.transfer(20, Call::Send, Outward, &pattern(20), 1);
            scene.transfer(8, Call::Sendto, Outward, &pattern(8), 1);
            scene.transfer(7, Call::Sendmsg, Outward, &pattern(7), 2);
            35
        } else {
            scene.transfer(10, Call::Sendto, Outward, &pattern(10), 1);
            scene.transfer(7, Call::Sendmsg, Outward, &pattern(7), 2);
            scene.transfer(2, Call::Sendmmsg, Outward, &both, 3);
            29
        };
        far.read_exact(&mut vec![0; sent]).expect("it arrives");
        far.write_all(b"reply").expect("the far end can be written");
        let call = if through_one { Call::Recv } else { Call::Recvfrom };
        scene.transfer(5, call, Inward, b"reply", 1);
        if !through_one {
            far.write_all(b"and another").expect("the far end can be written");
            scene.transfer(11, Call::Recvmsg, Inward, b"and another", 2);
        }
    }
    scene.probe.end();
}

#[test]
fn a_32_bit_program_that_is_started_later_is_seen() {
    let folder = Folder::new();
    let program = compile(folder.path());
    for more in [&[][..], &["--no-btf"]] {
        let line = Line::open().expect("a line");
        let path = line.path.display().to_string();
        let mut command = Command::new("sh");
        command.args(["-c", SHELL]).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut shell = Running::start_with_input("shell", &mut command).expect("a shell");
        let pid = shell.pid().to_string();
        let mut tracer =
            Tracer::start(&[&["--hooks", "auto", "--pid", &pid, "--device", &path], more].concat());
        let mut input = shell.child().stdin.take().expect("its input is a pipe");
        writeln!(input, "exec {} {path} 1", program.display()).expect("the shell listens");
        // Not seen is what it does in its first moments, and that is said.
        tracer.wait_log("32-bit");
        write!(input, "\n\n").expect("the probe listens");
        tracer.wait_for("write", |spans| {
            spans.iter().any(|span| span.attribute("iotrail.payload.size") == Some("10"))
        });
        drop(input);
        shell.wait(PATIENCE).expect("the probe ends");
        tracer.stop();
    }
}

#[test]
fn where_32_bit_programs_are_not_seen_they_are_not_misread() {
    let folder = Folder::new();
    let mut scene = Scene::new(EACH, &folder);
    scene.descriptor();
    for result in [10, 7] {
        assert_eq!(scene.step(result).len(), 0);
    }
    assert_eq!((scene.rig.count("data"), scene.rig.count("unreadable")), (0, 0));
    scene.probe.end();
}
