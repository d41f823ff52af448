//! A client that does everything through io_uring: publishes what an instrument answers, in each way that a ring has to
//! send, and takes what the broker sends in return.
//!
//! `client_uring plain|sqpoll|chosen PORT TTY COUNT`: `COUNT` messages of quality 1 to `uring/WAY`, in turn by `SEND`, `WRITE`, `SENDMSG`,
//! `WRITEV` and `WRITE` to a registered file. Reads its own messages back. Waits for a line on standard input before. With
//! `sqpoll` a thread of the kernel takes the requests; with `chosen` the kernel chooses the buffers of what arrives, and one
//! request lasts for all. Says how many bytes it got from the broker.

use std::io::{BufRead as _, Write as _, stdin, stdout};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::{AsRawFd as _, RawFd};

use anyhow::{Context as _, Result, ensure};
use io_uring::{IoUring, cqueue, opcode, squeue, types};

/// Ways to send.
const WAYS: [&str; 5] = ["send", "write", "sendmsg", "writev", "registered"];

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [mode, port, tty, count] = words.as_slice() else { anyhow::bail!("MODE PORT TTY COUNT") };
    let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port.parse()?)).context("no broker")?;
    socket.set_nodelay(true)?;
    let line = std::fs::File::options().read(true).write(true).open(tty).context("no line")?;
    let ring = match mode.as_str() {
        "sqpoll" => IoUring::builder().setup_sqpoll(100).build(8)?,
        _ => IoUring::new(8)?,
    };
    let chosen = mode == "chosen";
    let buffers = vec![0; BUFFERS * BUFFER];
    let mut client = Client { ring, socket: socket.as_raw_fd(), inward: Vec::new(), got: 0, chosen, buffers };
    client.ring.submitter().register_files(&[client.socket])?;
    println!("ready");
    stdout().flush()?;
    stdin().lock().read_line(&mut String::new())?;

    if chosen {
        client.choose()?;
    }
    client.send(0, &packet(0x10, &[text("MQTT"), vec![4, 2, 0, 60], text("uring")].concat()))?;
    ensure!(client.packet()?.0 == 0x20, "no CONNACK");
    client.send(1, &packet(0x82, &[vec![0, 1], text("uring/#"), vec![1]].concat()))?;
    ensure!(client.packet()?.0 == 0x90, "no SUBACK");
    for index in 0..count.parse::<usize>()? {
        let way = index % WAYS.len();
        client.write(line.as_raw_fd(), b"MEAS?\n")?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\n") {
            answer.extend(client.read(line.as_raw_fd())?);
        }
        let id = (index as u16 + 2).to_be_bytes().to_vec();
        let body = [text(&format!("uring/{}", WAYS[way])), id, answer.trim_ascii_end().to_vec()].concat();
        client.send(way, &packet(0x32, &body))?;
        // The acknowledgement and the message itself, in either order.
        for _ in 0..2 {
            let (kind, body) = client.packet()?;
            if kind & 0xf0 == 0x30 {
                let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
                client.send(way, &packet(0x40, &body[2 + topic..4 + topic]))?;
            }
        }
    }
    client.send(0, &[0xe0, 0])?;
    println!("{}", client.got);
    Ok(())
}

/// Buffers that the kernel may choose from, enough for all that arrives: none is given twice.
const BUFFERS: usize = 1024;
/// Bytes of each.
const BUFFER: usize = 256;
/// The name of their group.
const GROUP: u16 = 1;
/// The name of the request that lasts.
const LASTING: u64 = 7;

struct Client {
    ring: IoUring,
    socket: RawFd,
    inward: Vec<u8>,
    got: usize,
    chosen: bool,
    buffers: Vec<u8>,
}

impl Client {
    /// Does one request and waits for it.
    fn done(&mut self, entry: &squeue::Entry) -> Result<usize> {
        // SAFETY: what the request points to outlives it: this waits for it.
        unsafe { self.ring.submission().push(entry)? };
        loop {
            self.ring.submit_and_wait(1)?;
            if let Some(result) = self.drain()? {
                return Ok(result);
            }
        }
    }

    /// Takes what is completed: the result of what is waited for, if that is among it.
    fn drain(&mut self) -> Result<Option<usize>> {
        let mut awaited = None;
        for done in self.ring.completion() {
            let result = usize::try_from(done.result())
                .map_err(|_| std::io::Error::from_raw_os_error(-done.result()))?;
            if done.user_data() == LASTING {
                let buffer = usize::from(cqueue::buffer_select(done.flags()).context("no buffer")?);
                self.inward.extend(&self.buffers[buffer * BUFFER..][..result]);
                self.got += result;
            } else {
                awaited = Some(result);
            }
        }
        Ok(awaited)
    }

    /// Lets the kernel choose the buffers of what arrives from now on.
    fn choose(&mut self) -> Result<()> {
        let (address, count) = (self.buffers.as_mut_ptr(), u16::try_from(BUFFERS)?);
        self.done(&opcode::ProvideBuffers::new(address, BUFFER as i32, count, GROUP, 0).build())?;
        let entry = opcode::RecvMulti::new(types::Fd(self.socket), GROUP).build().user_data(LASTING);
        // SAFETY: the buffers are as old as the ring.
        unsafe { self.ring.submission().push(&entry)? };
        self.ring.submit()?;
        Ok(())
    }

    fn send(&mut self, way: usize, bytes: &[u8]) -> Result<()> {
        let (socket, address, length) = (types::Fd(self.socket), bytes.as_ptr(), bytes.len() as u32);
        // In two parts, so that the order of segments matters.
        let half = bytes.len() / 2;
        let parts = [&bytes[..half], &bytes[half..]]
            .map(|part| libc::iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() });
        // SAFETY: all zeros are a message header of nothing.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = parts.as_ptr().cast_mut();
        message.msg_iovlen = parts.len();
        let entry = match way {
            0 => opcode::Send::new(socket, address, length).build(),
            1 => opcode::Write::new(socket, address, length).build(),
            2 => opcode::SendMsg::new(socket, &raw const message).build(),
            3 => opcode::Writev::new(socket, parts.as_ptr(), 2).build(),
            _ => opcode::Write::new(types::Fixed(0), address, length).build(),
        };
        ensure!(self.done(&entry)? == bytes.len(), "cut");
        Ok(())
    }

    fn write(&mut self, file: RawFd, bytes: &[u8]) -> Result<()> {
        let entry = opcode::Write::new(types::Fd(file), bytes.as_ptr(), bytes.len() as u32).build();
        ensure!(self.done(&entry)? == bytes.len(), "cut");
        Ok(())
    }

    fn read(&mut self, file: RawFd) -> Result<Vec<u8>> {
        let mut bytes = vec![0; 256];
        let count = self.done(&opcode::Read::new(types::Fd(file), bytes.as_mut_ptr(), 256).build())?;
        bytes.truncate(count);
        Ok(bytes)
    }

    /// The next packet from the broker.
    fn packet(&mut self) -> Result<(u8, Vec<u8>)> {
        loop {
            // None here is longer than a byte can say.
            if let Some(&[kind, length]) = self.inward.first_chunk::<2>()
                && self.inward.len() >= 2 + usize::from(length)
            {
                let rest = self.inward.split_off(2 + usize::from(length));
                let packet = std::mem::replace(&mut self.inward, rest);
                return Ok((kind, packet[2..].to_vec()));
            }
            if self.chosen {
                self.ring.submit_and_wait(1)?;
                self.drain()?;
                continue;
            }
            let mut bytes = [0u8; 256];
            let entry = opcode::Recv::new(types::Fd(self.socket), bytes.as_mut_ptr(), 256).build();
            let count = self.done(&entry)?;
            ensure!(count > 0, "the broker is gone");
            self.inward.extend(&bytes[..count]);
            self.got += count;
        }
    }
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, u8::try_from(body.len()).unwrap_or(127)];
    bytes.extend(body);
    bytes
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u16).to_be_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}
