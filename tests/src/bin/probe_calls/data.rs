//! Calls that move bytes, on any descriptor, and `ioctl`.

use anyhow::{Context as _, Result, ensure};
use tracer_tests::probe::pattern;

use super::{Words, call, result, word};

/// Writes take their bytes from the pattern, one segment after the other; reads are told the room of each segment.
pub(super) fn run(name: &str, words: &mut Words<'_>) -> Result<Option<String>> {
    let done = match name {
        // `write FD LENGTH`, `pwrite64 FD LENGTH OFFSET`, and the same for reads.
        "read" | "write" | "pread64" | "pwrite64" => {
            let (fd, length): (i32, usize) = (words.number()?, words.number()?);
            let offset = if name.starts_with('p') { words.number::<i64>()? } else { 0 };
            let mut buffer = pattern(length);
            let number = match name {
                "read" => libc::SYS_read,
                "write" => libc::SYS_write,
                "pread64" => libc::SYS_pread64,
                _ => libc::SYS_pwrite64,
            };
            call(number, [word(fd), buffer.as_mut_ptr() as usize, length, offset as usize, 0, 0])
        }
        // `writev FD LENGTH…`, `preadv FD OFFSET LENGTH…`.
        "readv" | "writev" | "preadv" | "pwritev" | "preadv2" | "pwritev2" => {
            let fd: i32 = words.number()?;
            let offset = if name.starts_with('p') { words.number::<i64>()? } else { 0 };
            let number = match name {
                "readv" => libc::SYS_readv,
                "writev" => libc::SYS_writev,
                "preadv" => libc::SYS_preadv,
                "pwritev" => libc::SYS_pwritev,
                "preadv2" => libc::SYS_preadv2,
                _ => libc::SYS_pwritev2,
            };
            let mut segments = Segments::new(&words.numbers()?);
            let vectors = segments.vectors();
            call(number, [word(fd), vectors.as_ptr() as usize, vectors.len(), offset as usize, 0, 0])
        }
        // `vectors FD COUNT LENGTH`: a writev of so many segments of the same length.
        "vectors" => {
            let (fd, count, length): (i32, usize, usize) =
                (words.number()?, words.number()?, words.number()?);
            let mut segments = Segments::new(&vec![length; count]);
            let vectors = segments.vectors();
            call(libc::SYS_writev, [word(fd), vectors.as_ptr() as usize, vectors.len(), 0, 0, 0])
        }
        // `flood FD LENGTH TIMES`: answers how many of the writes went through.
        "flood" => {
            let (fd, length, times): (i32, usize, u32) = (words.number()?, words.number()?, words.number()?);
            let buffer = pattern(length);
            let write =
                |_: &u32| call(libc::SYS_write, [word(fd), buffer.as_ptr() as usize, length, 0, 0, 0]) >= 0;
            i64::try_from((0..times).filter(write).count())?
        }
        // `sendfile OUT IN LENGTH`, `splice IN OUT LENGTH`.
        "sendfile" => {
            call(libc::SYS_sendfile, [word(words.number()?), word(words.number()?), 0, words.number()?, 0, 0])
        }
        "splice" => {
            let (from, to, length): (i32, i32, usize) = (words.number()?, words.number()?, words.number()?);
            call(libc::SYS_splice, [word(from), 0, word(to), 0, length, 0])
        }
        // `ioctl FD COMMAND HEX`, or a plain number as the argument: `ioctl FD COMMAND =NUMBER`. Answers the result and
        // the argument as it is then.
        "ioctl" => {
            let (fd, command): (i32, usize) = (words.number()?, words.number()?);
            let argument = words.next()?;
            if let Some(number) = argument.strip_prefix('=') {
                return result(call(libc::SYS_ioctl, [word(fd), command, number.parse()?, 0, 0, 0]));
            }
            let mut bytes = from_hex(argument)?;
            let done = call(libc::SYS_ioctl, [word(fd), command, bytes.as_mut_ptr() as usize, 0, 0, 0]);
            return Ok(Some(format!("{done} {}", to_hex(&bytes))));
        }
        // `ioctl-room FD COMMAND COUNT BYTES`: the argument is a count and a pointer to so much room. Answers the result and
        // the numbers of four bytes that are there then, the first 128.
        "ioctl-room" => {
            let (fd, command, count): (i32, usize, usize) =
                (words.number()?, words.number()?, words.number()?);
            let mut room = vec![0u32; words.number::<usize>()? / 4];
            let mut argument = [count, room.as_mut_ptr() as usize];
            let done = call(libc::SYS_ioctl, [word(fd), command, argument.as_mut_ptr() as usize, 0, 0, 0]);
            let numbers = room.iter().take(128).map(|number| format!(" {number}"));
            return Ok(Some(format!("{done}{}", numbers.collect::<String>())));
        }
        // `ioctl-messages FD COMMAND FLAGS:LENGTH…`: the argument points to messages as those of `I2C_RDWR`, and each of
        // them to its part of the pattern; a `-` behind the length: to nowhere.
        "ioctl-messages" => {
            let (fd, command): (i32, usize) = (words.number()?, words.number()?);
            messages(fd, command, &words.rest())?
        }
        // `ioctl-segments FD COMMAND MOST LENGTH…`: the argument points to segments, each of which is its part of the pattern
        // (with a `-` behind the length: nowhere), says how many there are and how many bytes of them belong to it.
        "ioctl-segments" => {
            let (fd, command, most): (i32, usize, usize) =
                (words.number()?, words.number()?, words.number()?);
            let lengths: Vec<(usize, bool)> = words
                .rest()
                .split(' ')
                .map(|word| Ok((word.trim_end_matches('-').parse()?, word.ends_with('-'))))
                .collect::<Result<_>>()?;
            let mut segments = Segments::new(&lengths.iter().map(|(length, _)| *length).collect::<Vec<_>>());
            let mut vectors = segments.vectors();
            for (vector, (_, nowhere)) in vectors.iter_mut().zip(&lengths) {
                if *nowhere {
                    vector.iov_base = std::ptr::without_provenance_mut(16);
                }
            }
            let mut argument = [vectors.as_ptr() as usize, vectors.len(), most];
            call(libc::SYS_ioctl, [word(fd), command, argument.as_mut_ptr() as usize, 0, 0, 0])
        }
        _ => return Ok(None),
    };
    result(done)
}

/// `struct i2c_msg`, `include/uapi/linux/i2c.h`.
#[repr(C)]
struct Message {
    address: u16,
    flags: u16,
    length: u16,
    bytes: *mut u8,
}

fn messages(fd: i32, command: usize, wanted: &str) -> Result<i64> {
    let mut parsed = Vec::new();
    for word in wanted.split(' ') {
        let (flags, length) = word.split_once(':').context("FLAGS:LENGTH")?;
        let nowhere = length.ends_with('-');
        parsed.push((flags.parse::<u16>()?, length.trim_end_matches('-').parse::<u16>()?, nowhere));
    }
    let lengths: Vec<usize> = parsed.iter().map(|(_, length, _)| usize::from(*length)).collect();
    let mut segments = Segments::new(&lengths);
    let vectors = segments.vectors();
    let mut all: Vec<Message> = Vec::new();
    for ((flags, length, nowhere), vector) in parsed.into_iter().zip(&vectors) {
        let bytes = if nowhere { std::ptr::without_provenance_mut(16) } else { vector.iov_base.cast() };
        all.push(Message { address: 0x50 + all.len() as u16, flags, length, bytes });
    }
    let mut argument = [all.as_mut_ptr() as usize, all.len()];
    Ok(call(libc::SYS_ioctl, [word(fd), command, argument.as_mut_ptr() as usize, 0, 0, 0]))
}

/// Buffers of given lengths that hold the pattern together.
pub(super) struct Segments(Vec<Vec<u8>>);

impl Segments {
    pub(super) fn new(lengths: &[usize]) -> Self {
        let whole = pattern(lengths.iter().sum());
        let mut at = 0;
        let cut = |length: &usize| {
            let segment = whole[at..at + length].to_vec();
            at += length;
            segment
        };
        Self(lengths.iter().map(cut).collect())
    }

    pub(super) fn vectors(&mut self) -> Vec<libc::iovec> {
        let vector = |segment: &mut Vec<u8>| libc::iovec {
            iov_base: segment.as_mut_ptr().cast(),
            iov_len: segment.len(),
        };
        self.0.iter_mut().map(vector).collect()
    }
}

fn from_hex(text: &str) -> Result<Vec<u8>> {
    ensure!(text.len().is_multiple_of(2), "half a byte");
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).context("no hex");
    (0..text.len()).step_by(2).map(byte).collect()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
