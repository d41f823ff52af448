//! OTLP/JSON, one request a line: the file format of the OpenTelemetry collector.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use super::otlp::Encoder;
use crate::model::span::Span;

/// Most spans in a line. The collector's reader splits lines over 1 MiB; a span is 1 to 2 KiB of JSON.
pub(crate) const LINE_SPANS: usize = 256;
/// Most captured payload bytes in a line, which hex doubles.
const LINE_PAYLOAD: usize = 128 * 1024;

/// Where lines go.
pub(crate) struct Lines {
    out: Out,
    encoder: Encoder,
    line: Vec<u8>,
}

enum Out {
    /// A file and how much of it is good. A pipe or terminal device cannot be cut back.
    File { file: File, good: u64, regular: bool },
    /// Standard output, or what the tests put in its place.
    Stream(Box<dyn Write + Send>),
    /// A reader that went away does not come back.
    Gone,
}

impl Lines {
    /// Lines in a new file; what it held before is gone, as with the collector's exporter. Only its owner may
    /// read it if it holds payloads.
    pub(crate) fn create(path: &Path, encoder: Encoder) -> io::Result<Self> {
        let mode = if encoder.payload.bytes() > 0 { 0o600 } else { 0o644 };
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)?;
        let regular = file.metadata()?.is_file();
        Ok(Self { out: Out::File { file, good: 0, regular }, encoder, line: Vec::new() })
    }

    /// Lines to `stream`.
    pub(crate) fn stream(stream: Box<dyn Write + Send>, encoder: Encoder) -> Self {
        Self { out: Out::Stream(stream), encoder, line: Vec::new() }
    }

    /// Writes the spans; the error comes with how many were written before it.
    pub(crate) fn write(&mut self, spans: &[Arc<Span>]) -> Result<(), (usize, io::Error)> {
        let mut written = 0;
        while written < spans.len() {
            let count = self.fitting(&spans[written..]);
            self.line.clear();
            self.encoder.json_line(&spans[written..written + count], &mut self.line);
            self.out.put(&self.line).map_err(|error| (written, error))?;
            written += count;
        }
        Ok(())
    }

    /// How many of the spans, at least one, make the next line.
    fn fitting(&self, spans: &[Arc<Span>]) -> usize {
        let most = self.encoder.payload.bytes();
        let mut payload = 0_usize;
        let fits = |span: &&Arc<Span>| {
            let captured = span.payload.iter().chain(&span.reply).map(|one| one.captured.len().min(most));
            payload = payload.saturating_add(captured.sum());
            payload <= LINE_PAYLOAD
        };
        spans.iter().take(LINE_SPANS).take_while(fits).count().max(1)
    }
}

impl Out {
    fn put(&mut self, line: &[u8]) -> io::Result<()> {
        let result = match self {
            Self::File { file, good, regular } => match file.write_all(line) {
                Ok(()) => {
                    *good += line.len() as u64;
                    Ok(())
                }
                Err(error) => {
                    // A full disk leaves half a line behind, which would spoil the next one.
                    if *regular && file.set_len(*good).is_ok() {
                        file.seek(SeekFrom::Start(*good))?;
                    }
                    Err(error)
                }
            },
            Self::Stream(stream) => stream.write_all(line).and_then(|()| stream.flush()),
            Self::Gone => Err(io::Error::new(ErrorKind::BrokenPipe, "the reader closed the pipe")),
        };
        if result.as_ref().is_err_and(|error| error.kind() == ErrorKind::BrokenPipe) {
            *self = Self::Gone;
        }
        result
    }
}

/// What a write error means and what to do, in one line.
pub(crate) fn explain(error: &io::Error) -> String {
    let remedy = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free space on the disk",
        ErrorKind::BrokenPipe => "nothing more is written: the reader closed the pipe",
        _ => "check the destination",
    };
    format!("cannot write: {error}; {remedy}")
}
