//! Chunks in and pieces out: order, holes, losses, bounds.

use proptest::prelude::*;

use super::*;

mod promises;

/// A chunk that begins at TCP number `number`, moved `size` bytes of which `captured` are known, in `at..at + 1` ms.
fn chunk(number: u32, captured: &[u8], size: u64, at: u64) -> Chunk {
    Chunk {
        position: Position::Sequence(number),
        at: Interval { start: Timestamp(at * 1_000_000), end: Timestamp((at + 1) * 1_000_000) },
        tid: at as u32,
        payload: Payload { captured: Bytes::copy_from_slice(captured), size },
    }
}

fn whole(number: u32, bytes: &[u8], at: u64) -> Chunk {
    chunk(number, bytes, bytes.len() as u64, at)
}

fn placed(position: Position, bytes: &[u8], at: u64) -> Chunk {
    Chunk { position, ..whole(0, bytes, at) }
}

fn ms(at: u64) -> Timestamp {
    Timestamp(at * 1_000_000)
}

/// All that the stream holds, in pieces of one byte at least: captured bytes as text, `.` for each missing byte.
fn text(stream: &mut Stream) -> String {
    let mut text = String::new();
    while stream.available() > 0 {
        let front = stream.front().len() as u64;
        let len = if front > 0 { front } else { stream.front_size() };
        let piece = stream.take(len).expect("available");
        text.push_str(std::str::from_utf8(&piece.bytes).expect("ascii"));
        text.push_str(&".".repeat((piece.len - piece.bytes.len() as u64) as usize));
    }
    text
}

#[test]
fn a_piece_inside_a_chunk_is_not_copied() {
    let mut stream = Stream::default();
    let bytes = Bytes::from_static(b"oneTWOthree");
    let whole = bytes.as_ptr() as usize;
    stream.push(Chunk { payload: Payload::whole(bytes), ..chunk(100, b"", 0, 1) });
    assert!(stream.at_chunk_start());
    let first = stream.take(3).unwrap();
    assert!(!stream.at_chunk_start());
    let second = stream.take(3).unwrap();
    assert_eq!((&first.bytes[..], &second.bytes[..]), (&b"one"[..], &b"TWO"[..]));
    assert_eq!(second.bytes.as_ptr() as usize, whole + 3);
    assert_eq!((second.start, second.exact, second.len), (103, true, 3));
    assert_eq!(second.at, Interval { start: ms(1), end: ms(2) });
    assert_eq!(text(&mut stream), "three");
}

#[test]
fn a_piece_over_chunks_knows_its_calls() {
    let mut stream = Stream::default();
    stream.push(whole(100, b"xxab", 1));
    stream.skip(2);
    assert_eq!(stream.take(7), None);
    assert!(stream.is_partial() && stream.is_half());
    stream.push(whole(104, b"cd", 2));
    assert_eq!(stream.resume(), None);
    stream.push(whole(106, b"efgyy", 3));
    let piece = stream.resume().unwrap();
    assert_eq!(&piece.bytes[..], b"abcdefg");
    assert_eq!((piece.start, piece.tid, piece.last_enter), (102, 3, ms(3)));
    assert_eq!(piece.at, Interval { start: ms(1), end: ms(4) });
    assert_eq!(text(&mut stream), "yy");
}

#[test]
fn positions_wrap_around() {
    let mut stream = Stream::default();
    let start = u32::MAX - 1;
    stream.push(whole(start, b"ab", 1));
    stream.push(whole(0, b"cd", 2));
    stream.push(whole(2, b"ef", 3));
    assert_eq!(stream.take(3).unwrap().start, u64::from(start));
    let piece = stream.take(3).unwrap();
    assert_eq!((&piece.bytes[..], piece.start), (&b"def"[..], 1));
    assert_eq!(stream.end(), (4, true));
    assert_eq!(stream.counts().gaps, 0);
}

#[test]
fn every_start_position_gives_the_same() {
    // Many times around the 32 bits in steps of half a GiB, which only holes can be.
    let mut stream = Stream::default();
    let mut number = 7u32;
    for at in 0..64 {
        stream.push(chunk(number, b"head", 1 << 29, at));
        let piece = stream.take(1 << 29).unwrap();
        assert_eq!((piece.start, &piece.bytes[..]), (u64::from(number), &b"head"[..]));
        number = number.wrapping_add(1 << 29);
    }
    assert_eq!((stream.counts().gaps, stream.counts().duplicates), (0, 0));
}

#[test]
fn late_chunks_are_put_back_in_order() {
    let mut stream = Stream::default();
    stream.push(whole(10, b"ab", 1));
    stream.push(whole(14, b"ef", 2));
    assert!(stream.is_waiting());
    assert_eq!(text(&mut stream), "ab");
    stream.push(whole(16, b"gh", 2));
    stream.push(whole(12, b"cd", 3));
    assert_eq!(text(&mut stream), "cdefgh");
    assert!(!stream.is_waiting());
    assert_eq!((stream.counts().reordered, stream.counts().gaps), (2, 0));
}

#[test]
fn repetitions_are_dropped() {
    let mut stream = Stream::default();
    stream.push(whole(10, b"abcd", 1));
    stream.push(whole(10, b"abcd", 2));
    stream.push(whole(12, b"cdef", 3));
    assert_eq!(text(&mut stream), "abcdef");
    assert_eq!(stream.counts().duplicates, 2);
}

#[test]
fn a_jump_is_a_gap_after_the_wait() {
    let mut stream = Stream::default();
    stream.push(whole(10, b"ab", 1));
    stream.push(whole(17, b"hi", 2));
    assert_eq!(text(&mut stream), "ab");
    stream.expire(ms(2 + 1 + REORDER_WINDOW / 1_000_000));
    assert_eq!(text(&mut stream), ".....hi");
    assert_eq!((stream.counts().gaps, stream.counts().gap_bytes), (1, 5));
    // A loss that was told needs no wait.
    stream.gap();
    stream.push(whole(21, b"jk", 3));
    assert_eq!(text(&mut stream), "..jk");
    // Time that shows in later chunks ends the wait too.
    stream.push(whole(25, b"no", 4));
    stream.push(whole(27, b"pq", 500));
    assert_eq!(text(&mut stream), "..nopq");
}

#[test]
fn waiting_is_bounded() {
    let mut stream = Stream::default();
    stream.push(whole(0, b"a", 1));
    for index in 0..REORDER_CHUNKS as u32 + 1 {
        stream.push(whole(10 + 10 * index, b"b", 1));
    }
    assert!(stream.counts().gaps > 0, "too many chunks");

    let mut stream = Stream::default();
    stream.push(whole(0, b"a", 1));
    let large = vec![b'x'; 64 * 1024];
    for index in 0..5 {
        stream.push(whole(10 + 100_000 * index, &large, 1));
    }
    assert!(stream.counts().gaps > 0, "too many bytes");
}

#[test]
fn counted_streams_break_at_a_loss() {
    let mut stream = Stream::default();
    stream.push(placed(Position::Unknown, b"abc", 1));
    stream.push(placed(Position::Unknown, b"def", 2));
    let piece = stream.take(4).unwrap();
    assert_eq!((piece.start, piece.exact, &piece.bytes[..]), (0, false, &b"abcd"[..]));
    assert_eq!(stream.take(8), None);
    stream.gap();
    stream.push(placed(Position::Unknown, b"xyz", 3));
    assert_eq!(stream.resume(), None);
    assert!(!stream.is_partial(), "what was begun is given up");
    assert_eq!((stream.available(), stream.recent_chunk(0)), (4, Some(1)));
    stream.skip(1);
    assert_eq!(text(&mut stream), "xyz");
    assert_eq!((stream.counts().gaps, stream.counts().gap_bytes), (1, 0));
    // What was not begun does not reach across either.
    stream.push(placed(Position::Unknown, b"abc", 4));
    stream.gap();
    stream.push(placed(Position::Unknown, b"xyz", 5));
    assert_eq!(stream.available(), 7);
    assert_eq!(stream.take(5), None);
    assert!(!stream.is_partial());
    assert_eq!(stream.available(), 4);
}

#[test]
fn nothing_reaches_across_a_break_where_too_much_is_held() {
    let mut stream = Stream::default();
    for at in 0..HELD_SEGMENTS as u64 {
        stream.push(placed(Position::Unknown, b"a", at));
    }
    stream.gap();
    stream.push(placed(Position::Unknown, b"xyz", 200));
    let held = HELD_SEGMENTS as u64 - 1;
    assert!(!stream.is_broken_before(held) && stream.is_broken_before(held + 1));
    assert_eq!(stream.take(held).map(|piece| piece.len), Some(held));
    // What lies beside the break is of no use, for nobody knows on which side.
    assert_eq!((stream.front(), stream.front_size()), (&b""[..], 5));
    assert_eq!(stream.take(2), None);
    assert!(!stream.is_partial());
    assert_eq!(stream.counts().cut_bytes, 4);
}

#[test]
fn contested_positions_are_settled_by_what_follows() {
    // Two threads entered at 100; the one whose result fits came second.
    let mut stream = Stream::default();
    stream.push(whole(90, b"0123456789", 1));
    stream.push(placed(Position::Contested(100), b"CD", 2));
    stream.push(whole(100, b"AB", 2));
    stream.push(whole(104, b"EF", 3));
    assert_eq!(text(&mut stream), "0123456789ABCDEF");
    assert_eq!(stream.counts().gaps, 0);

    // Nothing follows: time settles it.
    stream.push(placed(Position::Contested(106), b"GH", 4));
    assert_eq!(text(&mut stream), "");
    stream.expire(ms(100));
    let piece = stream.take(2).unwrap();
    assert_eq!((&piece.bytes[..], piece.exact), (&b"GH"[..], false));

    // It does not fit: more is missing than it has.
    stream.push(placed(Position::Contested(108), b"IJ", 101));
    stream.push(whole(118, b"XY", 102));
    stream.expire(ms(300));
    assert_eq!(text(&mut stream), "..........XY");
    assert_eq!(stream.counts().unplaced, 1);
}

#[test]
fn a_hole_cuts_what_is_known_but_not_what_is_there() {
    let mut stream = Stream::default();
    stream.push(chunk(0, b"abcd", 10, 1));
    stream.push(whole(10, b"klm", 2));
    let mut scratch = Vec::new();
    assert_eq!(stream.peek(0, 20, &mut scratch), Peek { bytes: b"abcd", cut: true });
    assert_eq!(stream.peek(0, 3, &mut scratch), Peek { bytes: b"abc", cut: false });
    assert_eq!(stream.peek(6, 3, &mut scratch), Peek { bytes: b"", cut: true });
    assert_eq!(stream.peek(10, 5, &mut scratch), Peek { bytes: b"klm", cut: false });
    assert_eq!(stream.peek(99, 5, &mut scratch), Peek { bytes: b"", cut: false });
    assert!(stream.fills_calls(0, 10, 0) && stream.fills_calls(10, 13, 0) && !stream.fills_calls(0, 12, 0));
    assert!(stream.fills_calls(8, 13, 2) && !stream.fills_calls(8, 13, 1) && !stream.fills_calls(13, 13, 9));
    assert_eq!(
        (stream.recent_chunk(0), stream.recent_chunk(1), stream.recent_chunk(2)),
        (Some(10), None, None)
    );
    let piece = stream.take(12).unwrap();
    assert_eq!((&piece.bytes[..], piece.len, piece.tid), (&b"abcd"[..], 12, 2));
    assert_eq!(text(&mut stream), "m");
}

#[test]
fn what_is_held_is_bounded() {
    let mut stream = Stream::default();
    let large = vec![b'x'; 60 * 1024];
    let mut number = 0;
    for at in 0..1000 {
        stream.push(whole(number, &large, at));
        number += large.len() as u32;
    }
    assert!(stream.is_full());
    assert_eq!(stream.available(), 1000 * 60 * 1024);
    let piece = stream.take(1000 * 60 * 1024).unwrap();
    assert_eq!(piece.bytes.len(), KEEP_BYTES);
    assert_eq!((piece.tid, piece.at), (999, Interval { start: ms(0), end: ms(1000) }));
    let counts = stream.counts();
    assert!(counts.cut_bytes >= counts.bytes - HELD_BYTES as u64 - 1);

    // A piece that was begun keeps no more either.
    assert_eq!(stream.take(10_000 * 60 * 1024), None);
    for at in 1000..2000 {
        stream.push(whole(number, &large, at));
        number += large.len() as u32;
    }
    assert_eq!(stream.available(), 0);
}

/// Cuts 0..len at `cuts`.
fn split(len: usize, cuts: &[prop::sample::Index]) -> Vec<(usize, usize)> {
    let mut points: Vec<usize> = cuts.iter().map(|cut| cut.index(len + 1)).collect();
    points.extend([0, len]);
    points.sort_unstable();
    points.dedup();
    points.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

proptest! {
    #[test]
    fn splits_order_and_repetition_do_not_matter(
        bytes in prop::collection::vec(any::<u8>(), 1..300),
        first in any::<u32>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        reads in prop::collection::vec(1usize..40, 1..20),
        swaps in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        exact in any::<bool>(),
    ) {
        let mut order = split(bytes.len(), &cuts);
        if exact {
            // Neighbours change places, except for the first one: before it nothing is known.
            for swap in swaps {
                let at = swap.index(order.len());
                if at > 0 && at + 1 < order.len() {
                    order.swap(at, at + 1);
                    order.push(order[at]);
                }
            }
        }
        let mut stream = Stream::default();
        let mut got = Vec::new();
        let mut reads = reads.into_iter().cycle();
        for (start, end) in order {
            let mut chunk = whole(first.wrapping_add(start as u32), &bytes[start..end], 1);
            if !exact {
                chunk.position = Position::Unknown;
            }
            stream.push(chunk);
            if let Some(piece) = stream.resume() {
                got.extend_from_slice(&piece.bytes);
            }
            while !stream.is_partial() && stream.available() > 0 {
                let want = reads.next().expect("endless").min(bytes.len() - got.len());
                let Some(piece) = stream.take(want as u64) else { break };
                let start = if exact { first.wrapping_add(got.len() as u32) } else { got.len() as u32 };
                prop_assert_eq!((piece.start, piece.exact), (u64::from(start), exact));
                got.extend_from_slice(&piece.bytes);
            }
        }
        prop_assert_eq!(got, bytes);
        prop_assert_eq!(stream.counts().gaps, 0);
    }

    #[test]
    fn nothing_is_lost_uncounted(
        chunks in prop::collection::vec((0u8..5, any::<u32>(), 0u64..100_000, 0usize..64, 0u64..200), 0..200)
    ) {
        let mut stream = Stream::default();
        let mut taken = 0u64;
        for (kind, number, size, captured, at) in chunks {
            let position = match kind {
                0 => Position::Unknown,
                1 => Position::Contested(number),
                2 => Position::Offset(7),
                _ => Position::Sequence(number % 1_000_000),
            };
            stream.push(Chunk { position, ..chunk(0, &vec![b'x'; captured], size, at) });
            if number % 7 == 0 {
                stream.gap();
            }
            if let Some(piece) = stream.resume() {
                taken += piece.len;
                prop_assert!(piece.bytes.len() as u64 <= piece.len);
                prop_assert!(piece.at.start <= piece.at.end);
            }
            if !stream.is_partial() && number % 3 == 0 {
                taken += stream.take(1 + size / 2).map_or(0, |piece| piece.len);
            }
        }
        prop_assert!(taken <= stream.counts().bytes + stream.counts().gap_bytes + stream.counts().gaps);
        prop_assert!(stream.available() < 1 << 50);
    }
}

#[test]
fn no_piece_ends_before_it_began() {
    let mut stream = Stream::default();
    stream.push(whole(100, b"a", 1));
    stream.push(whole(104, b"ef", 2));
    stream.skip(1);
    // What was missing comes long after what is behind it.
    stream.push(whole(101, b"bcd", 30));
    let piece = stream.take(5).unwrap();
    assert_eq!((&piece.bytes[..], piece.at.start, piece.at.end), (&b"bcdef"[..], ms(30), ms(31)));
    assert_eq!(piece.last_enter, ms(30));
}
