//! Records conversations for the tests of decoders: passes TCP connections on and writes down what it passes.
//!
//! Each connection goes to a file of its own, `FILE.0.txt`, `FILE.1.txt`, …: `> ` and hex digits for what went to the server in
//! one piece, `< ` for what came from it.

use anyhow::{Context as _, Result};
use clap::Parser;
use std::{
    fmt::Write as _,
    fs::File,
    io::{Read, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// Passes TCP connections on and records them.
#[derive(Parser)]
struct Options {
    /// Address to listen on, e.g. 127.0.0.1:15672.
    from: String,
    /// Address of the broker.
    to: String,
    /// Beginning of the recordings' names.
    file: String,
}

fn main() -> Result<()> {
    let Options { from, to, file } = Options::parse();
    let listener = TcpListener::bind(&from).with_context(|| format!("cannot listen on {from}"))?;
    for (number, client) in listener.incoming().enumerate() {
        let client = client.context("cannot accept")?;
        let server = TcpStream::connect(&to).with_context(|| format!("cannot connect to {to}"))?;
        let path = format!("{file}.{number}.txt");
        let record =
            Arc::new(Mutex::new(File::create(&path).with_context(|| format!("cannot write {path}"))?));
        for (mark, mut source, mut target) in [
            ('>', client.try_clone().context("no descriptor")?, server.try_clone().context("no descriptor")?),
            ('<', server, client),
        ] {
            let record = Arc::clone(&record);
            thread::spawn(move || -> Result<()> {
                let mut bytes = vec![0; 64 * 1024];
                loop {
                    let length = source.read(&mut bytes)?;
                    let Some(piece) = bytes.get(..length).filter(|piece| !piece.is_empty()) else {
                        return Ok(target.shutdown(Shutdown::Write)?);
                    };
                    let line = piece.iter().fold(format!("{mark} "), |mut line, byte| {
                        let _ = write!(line, "{byte:02x}");
                        line
                    });
                    // Written down before it is passed on, so that an answer never stands before its question.
                    if let Ok(mut record) = record.lock() {
                        writeln!(record, "{line}")?;
                    }
                    target.write_all(piece)?;
                }
            });
        }
    }
    Ok(())
}
