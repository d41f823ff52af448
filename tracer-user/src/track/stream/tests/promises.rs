//! Calls that do not show their bytes, and packets that do.

use super::*;

/// A call in `at..at + 1` ms that moved `size` bytes from `number` on without showing them.
fn promise(number: u32, size: u64, at: u64) -> Chunk {
    chunk(number, b"", size, at)
}

#[test]
fn packets_that_left_during_the_call_fulfil_it() {
    let mut stream = Stream::default();
    stream.push(whole(100, b"head", 1));
    stream.push(whole(104, b"file", 2));
    stream.push(whole(108, b"rest", 3));
    stream.promise(promise(104, 8, 3));
    assert!(!stream.is_waiting());
    stream.push(whole(112, b"tail", 4));
    assert_eq!(text(&mut stream), "headfileresttail");
    assert_eq!((stream.counts().unfilled_bytes, stream.counts().bytes), (0, 16));
}

#[test]
fn what_is_written_behind_a_promise_waits_for_it() {
    let mut stream = Stream::default();
    stream.push(whole(100, b"head", 1));
    stream.promise(promise(104, 8, 2));
    stream.push(whole(112, b"tail", 3));
    stream.expire(ms(100));
    assert!(stream.is_waiting());
    assert_eq!(text(&mut stream), "head");
    stream.push(whole(104, b"file", 100));
    assert_eq!(text(&mut stream), "file");
    // Packets need not end where calls end, and may repeat what a call showed.
    stream.push(whole(108, b"resttail", 101));
    assert_eq!(text(&mut stream), "resttail");
    assert!(!stream.is_waiting());
}

#[test]
fn bytes_that_do_not_come_are_a_hole() {
    let mut stream = Stream::default();
    stream.push(whole(100, b"head", 1));
    stream.promise(promise(104, 10, 2));
    stream.push(whole(114, b"tail", 3));
    stream.push(whole(104, b"fi", 4));
    stream.push(whole(110, b"te", 5));
    let end = ms(3).0 + PROMISED_WINDOW;
    stream.expire(Timestamp(end - 1));
    assert_eq!(text(&mut stream), "headfi");
    stream.expire(Timestamp(end));
    assert_eq!(text(&mut stream), "....te..tail");
    assert_eq!((stream.counts().unfilled_bytes, stream.counts().gaps), (6, 0));
    // What comes later is not taken again.
    stream.push(whole(104, b"filefilefi", 400));
    assert_eq!(text(&mut stream), "");
}

#[test]
fn a_promise_without_a_position_is_a_hole_at_once() {
    let mut stream = Stream::default();
    stream.push(placed(Position::Unknown, b"head", 1));
    stream.promise(Chunk { position: Position::Unknown, ..promise(0, 3, 2) });
    stream.push(placed(Position::Unknown, b"tail", 3));
    assert_eq!(text(&mut stream), "head...tail");
}

#[test]
fn the_end_of_the_stream_and_losses_end_the_wait() {
    for flush in [true, false] {
        let mut stream = Stream::default();
        stream.push(whole(100, b"head", 1));
        stream.promise(promise(104, 3, 2));
        stream.push(whole(109, b"tail", 3));
        if flush {
            stream.flush()
        } else {
            stream.gap()
        }
        assert_eq!(text(&mut stream), "head.....tail");
        assert!(!stream.is_waiting());
        assert_eq!((stream.counts().unfilled_bytes, stream.counts().gap_bytes), (3, 2));
    }
}

#[test]
fn promises_are_bounded() {
    let mut stream = Stream::default();
    stream.push(whole(100, b"head", 1));
    for index in 0..10_000u32 {
        stream.promise(promise(104 + 2 * index, 2, 2));
    }
    assert_eq!(stream.counts().unfilled_bytes, 2 * (10_000 - PROMISES as u64));
    stream.flush();
    assert_eq!(stream.counts().unfilled_bytes, 20_000);
}

proptest! {
    /// However bytes are shared out among calls that show them and calls that do not, and however late, often and
    /// oddly cut their packets come: all bytes come out, once and in order.
    #[test]
    fn everything_comes_out_in_order(
        calls in prop::collection::vec((1usize..20, any::<bool>(), 0usize..3), 1..30),
        cuts in prop::collection::vec(1usize..40, 60),
        start in any::<u32>(),
    ) {
        let all: usize = calls.iter().map(|(size, ..)| size).sum();
        let bytes: Vec<u8> = (0..all).map(|at| b'a' + (at % 26) as u8).collect();
        let mut stream = Stream::default();
        let mut out = String::new();
        let (mut at, mut sent) = (0, 0);
        let mut cuts = cuts.into_iter().cycle();
        let number = |at: usize| start.wrapping_add(at as u32);
        let mut leave = |stream: &mut Stream, sent: &mut usize, until: usize| {
            let size = cuts.next().unwrap_or(1).min(until - *sent);
            stream.push(whole(number(*sent), &bytes[*sent..*sent + size], 1));
            *sent += size;
        };
        for (size, seen, packets) in calls {
            for _ in 0..if seen { 0 } else { packets } {
                leave(&mut stream, &mut sent, at + size);
            }
            if seen {
                stream.push(whole(number(at), &bytes[at..at + size], 1));
            } else {
                stream.promise(promise(number(at), size as u64, 1));
            }
            at += size;
            out.push_str(&text(&mut stream));
        }
        while sent < all {
            leave(&mut stream, &mut sent, all);
            out.push_str(&text(&mut stream));
        }
        prop_assert_eq!(out.as_bytes(), &bytes[..]);
        prop_assert!(!stream.is_waiting());
        prop_assert_eq!((stream.counts().unfilled_bytes, stream.counts().gaps), (0, 0));
    }
}
