//! Sockets: `HOST:PORT` for TCP, a path for unix sockets.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::IntoRawFd as _;
use std::os::unix::net::{UnixListener, UnixStream};

use anyhow::{Context as _, Result};

use super::data::Segments;
use super::{Words, call, result, word};

pub(super) fn run(name: &str, words: &mut Words<'_>) -> Result<Option<String>> {
    let done = match name {
        "listen" => {
            let at = words.next()?;
            i64::from(match at.parse::<SocketAddr>() {
                Ok(address) => TcpListener::bind(address).context("cannot listen")?.into_raw_fd(),
                Err(_) => UnixListener::bind(at).context("cannot listen")?.into_raw_fd(),
            })
        }
        "connect" => {
            let to = words.next()?;
            let connected = match to.parse::<SocketAddr>() {
                Ok(address) => TcpStream::connect(address).map(std::os::fd::IntoRawFd::into_raw_fd),
                Err(_) => UnixStream::connect(to).map(std::os::fd::IntoRawFd::into_raw_fd),
            };
            connected.map_or_else(|error| -i64::from(error.raw_os_error().unwrap_or(libc::EIO)), i64::from)
        }
        // `raw_connect PATH`: a unix socket connected with an address that is as long as its path, and no longer, with
        // rubbish behind it.
        "raw_connect" => {
            let path = words.next()?;
            let mut address = [0x5a_u8; 112];
            address[..2].copy_from_slice(&1u16.to_ne_bytes());
            address[2..2 + path.len()].copy_from_slice(path.as_bytes());
            address[2 + path.len()] = 0;
            let fd = call(libc::SYS_socket, [1, libc::SOCK_STREAM as usize, 0, 0, 0, 0]);
            let length = 2 + path.len() + 1;
            match call(libc::SYS_connect, [usize::try_from(fd)?, address.as_ptr() as usize, length, 0, 0, 0])
            {
                0 => fd,
                failed => failed,
            }
        }
        // `udp HOST:PORT HOST:PORT`: a socket bound to the first and connected to the second.
        "udp" => {
            let socket = std::net::UdpSocket::bind(words.next()?).context("cannot bind")?;
            socket.connect(words.next()?).context("cannot connect")?;
            i64::from(socket.into_raw_fd())
        }
        #[cfg(target_arch = "x86_64")]
        "accept" => call(libc::SYS_accept, [word(words.number()?), 0, 0, 0, 0, 0]),
        "accept4" => {
            call(libc::SYS_accept4, [word(words.number()?), 0, 0, libc::SOCK_CLOEXEC as usize, 0, 0])
        }
        "shutdown" => call(libc::SYS_shutdown, [word(words.number()?), words.number()?, 0, 0, 0, 0]),
        "sendto" | "recvfrom" => {
            let (fd, length): (i32, usize) = (words.number()?, words.number()?);
            let flags: usize = words.number()?;
            let mut buffer = tracer_tests::probe::pattern(length);
            let number = if name == "sendto" { libc::SYS_sendto } else { libc::SYS_recvfrom };
            call(number, [word(fd), buffer.as_mut_ptr() as usize, length, flags, 0, 0])
        }
        // `sendmsg FD FLAGS LENGTH…`.
        "sendmsg" | "recvmsg" => {
            let (fd, flags): (i32, usize) = (words.number()?, words.number()?);
            let mut segments = Segments::new(&words.numbers()?);
            let mut vectors = segments.vectors();
            let header = message(&mut vectors);
            let number = if name == "sendmsg" { libc::SYS_sendmsg } else { libc::SYS_recvmsg };
            call(number, [word(fd), &raw const header as usize, flags, 0, 0, 0])
        }
        // `sendmmsg FD FLAGS LENGTH,LENGTH… …`: one word a message. Answers also what moved of each.
        "sendmmsg" | "recvmmsg" => {
            let (fd, flags): (i32, usize) = (words.number()?, words.number()?);
            let mut messages = Vec::new();
            while let Ok(word) = words.next() {
                let lengths: Result<Vec<usize>, _> = word.split(',').map(str::parse).collect();
                messages.push(Segments::new(&lengths.context("no lengths")?));
            }
            let mut vectors: Vec<Vec<libc::iovec>> = messages.iter_mut().map(Segments::vectors).collect();
            let mut headers: Vec<libc::mmsghdr> = vectors
                .iter_mut()
                .map(|vectors| libc::mmsghdr { msg_hdr: message(vectors), msg_len: 0 })
                .collect();
            let number = if name == "sendmmsg" { libc::SYS_sendmmsg } else { libc::SYS_recvmmsg };
            let done = call(number, [word(fd), headers.as_mut_ptr() as usize, headers.len(), flags, 0, 0]);
            let moved: Vec<String> = headers.iter().map(|header| header.msg_len.to_string()).collect();
            return Ok(Some(format!("{done} {}", moved.join(" "))));
        }
        _ => return Ok(None),
    };
    result(done)
}

fn message(vectors: &mut [libc::iovec]) -> libc::msghdr {
    // SAFETY: all zeros is an empty message header.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = vectors.as_mut_ptr();
    header.msg_iovlen = vectors.len();
    header
}
