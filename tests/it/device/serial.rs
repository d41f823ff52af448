//! Serial lines: programs that write ahead of the answers, over a real pseudo-terminal.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use tracer_tests::instrument::Line;
use tracer_tests::otlp::Span;

use crate::support::{Outcome, Tracer};

/// A program at one end of a line and a machine at the other, both of them this test.
struct Talk {
    program: File,
    machine: File,
    tracer: Tracer,
}

impl Talk {
    fn new() -> Self {
        let line = Line::open().expect("a line");
        let path = line.path.to_str().expect("a plain path");
        let tracer = Tracer::start(&["--device", path, "--payload", "full"]);
        // Until the program has it open, its other end must not read that it is gone.
        let program = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOCTTY).open(path);
        let (program, machine) = (program.expect("the line opens"), line.far.try_clone());
        Self { program, machine: machine.expect("a descriptor"), tracer }
    }

    /// The program writes, each piece with a call of its own.
    fn write(&mut self, pieces: &[&str]) {
        for piece in pieces {
            self.program.write_all(piece.as_bytes()).expect("the line takes it");
        }
        let mut taken = vec![0; pieces.concat().len()];
        self.machine.read_exact(&mut taken).expect("the machine gets it");
        assert_eq!(taken, pieces.concat().as_bytes());
    }

    /// The machine writes, and the program reads each piece with a call of its own.
    fn read(&mut self, pieces: &[&str]) {
        for piece in pieces {
            self.machine.write_all(piece.as_bytes()).expect("the machine's end takes it");
            let mut taken = vec![0; piece.len()];
            self.program.read_exact(&mut taken).expect("the program gets it");
        }
    }
}

/// Name, request, answer and failure of each span, in the order in which they began.
fn shown(outcome: &Outcome) -> Vec<(&str, &str, &str, &str)> {
    let mut spans: Vec<&Span> = outcome.spans.iter().collect();
    spans.sort_by_key(|span| span.start);
    spans
        .into_iter()
        .map(|span| {
            let name = span.name.strip_prefix("peripheral.").unwrap_or(&span.name);
            let text = |key| span.attribute(key).unwrap_or_default();
            (name, text("iotrail.payload.text"), text("iotrail.reply.text"), text("error.type"))
        })
        .collect()
}

#[test]
fn lines_that_are_written_ahead_have_their_own_answers() {
    let mut talk = Talk::new();
    talk.read(&["\r\nGrbl 1.1h ['$' for help]\r\n"]);
    // A half line, and several in one write.
    talk.write(&["G21\n", "G1 X", "1\nG99\nM5\n"]);
    talk.read(&["o", "k\r\nok\r\nerr"]);
    talk.write(&["G1 X2\n", "?"]);
    talk.read(&["or:20\r\n<Run|MPos:0.000,0.000,0.000|FS:0,0>\r\nok\r\n", "ok\r\n"]);
    talk.write(&["$H\n", "G1 X3\n"]);
    talk.read(&["ALARM:9\r\n\r\nGrbl 1.1h ['$' for help]\r\n"]);
    let outcome = talk.tracer.stop();
    let expected = [
        ("event reset", "\r\nGrbl 1.1h ['$' for help]\r\n", "", ""),
        ("execute G21", "G21\n", "ok\r\n", ""),
        ("execute G1", "G1 X1\n", "ok\r\n", ""),
        ("execute G99", "G99\n", "error:20\r\n", "error:20"),
        ("execute M5", "M5\n", "ok\r\n", ""),
        ("execute G1", "G1 X2\n", "ok\r\n", ""),
        ("execute ?", "?", "<Run|MPos:0.000,0.000,0.000|FS:0,0>\r\n", ""),
        ("execute $H", "$H\n", "ALARM:9\r\n\r\nGrbl 1.1h ['$' for help]\r\n", "ALARM:9"),
        ("execute G1", "G1 X3\n", "", "reset"),
    ];
    // Lines of one write begin at the same time.
    let (mut found, mut expected) = (shown(&outcome), expected.to_vec());
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected, "{:#?}", outcome.spans);
}

#[test]
fn queries_in_a_row_have_their_own_answers_and_a_hang_up_ends_them() {
    let mut talk = Talk::new();
    talk.write(&["*IDN?\n", "MEAS:VOLT?\n", "*IDN?;*OPC?\n"]);
    talk.read(&["ACME,1\n3.", "3\nACME,1;", "1\n"]);
    talk.write(&["MEAS:CURR?\n", "MEAS:TEMP?\n"]);
    talk.read(&["0.1\n2"]);
    let Talk { mut program, machine, tracer } = talk;
    drop(machine);
    assert_eq!(program.read(&mut [0; 16]).expect("a line that was hung up reads as ended"), 0);
    let failed = program.write(b"*RST\n").expect_err("and takes nothing");
    assert_eq!(failed.raw_os_error(), Some(libc::EIO));
    drop(program);
    let outcome = tracer.stop();
    assert_eq!(
        shown(&outcome),
        [
            ("execute *IDN?", "*IDN?\n", "ACME,1\n", ""),
            ("execute MEAS:VOLT?", "MEAS:VOLT?\n", "3.3\n", ""),
            ("execute *IDN?", "*IDN?;*OPC?\n", "ACME,1;1\n", ""),
            ("execute MEAS:CURR?", "MEAS:CURR?\n", "0.1\n", ""),
            ("execute MEAS:TEMP?", "MEAS:TEMP?\n", "2", "EIO"),
            ("execute *RST", "*RST\n", "", "EIO"),
        ],
        "{:#?}",
        outcome.spans
    );
}
