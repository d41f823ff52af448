//! The least HTTP client that can ask iotrail how it is.

use anyhow::{Context as _, Result, ensure};
use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// More than any page of iotrail's is long.
const LONGEST: u64 = 16 << 20;

/// Status and body of `GET path`.
///
/// # Errors
/// When there is no answer, or one that is not HTTP.
pub fn get(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)
        .with_context(|| format!("cannot connect to {address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // HTTP/1.0: the body ends with the connection, so there are no chunks to put together.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: text/plain\r\n\r\n")?;
    let mut answer = Vec::new();
    stream
        .take(LONGEST)
        .read_to_end(&mut answer)
        .with_context(|| format!("no whole answer to GET {path}"))?;
    parse(&String::from_utf8_lossy(&answer)).with_context(|| format!("the answer to GET {path} is not HTTP"))
}

fn parse(answer: &str) -> Result<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n").context("no end of the head")?;
    let status = head.lines().next().unwrap_or_default();
    ensure!(status.starts_with("HTTP/1."), "it starts with `{status}`");
    let code = status.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no status")?;
    Ok((code, body.to_owned()))
}

/// Samples of the metric `name` in a page of `/metrics`: labels as they stand there, and value.
pub fn samples<'a>(page: &'a str, name: &str) -> Vec<(&'a str, f64)> {
    page.lines()
        .filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let (labels, rest) = match rest.strip_prefix('{') {
                None => ("", rest.strip_prefix(' ')?),
                // A label's value may hold a brace, so the last one on the line that a number follows ends the labels.
                Some(rest) => rest.split(" # ").next()?.rsplit_once("} ")?,
            };
            Some((labels, rest.split_whitespace().next()?.parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_an_answer_apart() {
        assert_eq!(parse("HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody\n").unwrap(), (200, "body\n".to_owned()));
        assert!(parse("HTTP/1.1 200 OK\r\n").is_err());
        assert!(parse("SSH-2.0\r\n\r\n").is_err());
    }

    #[test]
    fn finds_samples() {
        let page =
            "# TYPE a counter\na_total{x=\"}\",y=\"2\"} 3\na_total 4.5 # {trace_id=\"1\"} 2\na_totals 9\n";
        assert_eq!(samples(page, "a_total"), [("x=\"}\",y=\"2\"", 3.0), ("", 4.5)]);
    }
}
