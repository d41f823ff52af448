//! Frames made by hand.

/// A frame: its length before it.
pub(super) fn frame(body: &[u8]) -> Vec<u8> {
    [&(body.len() as i32).to_be_bytes()[..], body].concat()
}

pub(super) fn string(text: &str) -> Vec<u8> {
    [&(text.len() as i16).to_be_bytes()[..], text.as_bytes()].concat()
}

fn bytes(content: Option<&[u8]>) -> Vec<u8> {
    let length = content.map_or(-1, |content| content.len() as i32);
    [&length.to_be_bytes()[..], content.unwrap_or(&[])].concat()
}

/// A request of a version that is not flexible, by client `rig`.
pub(super) fn request(key: i16, version: i16, correlation: i32, body: &[u8]) -> Vec<u8> {
    let head = [&key.to_be_bytes()[..], &version.to_be_bytes(), &correlation.to_be_bytes()].concat();
    frame(&[head, string("rig"), body.to_vec()].concat())
}

pub(super) fn response(correlation: i32, body: &[u8]) -> Vec<u8> {
    frame(&[&correlation.to_be_bytes()[..], body].concat())
}

/// ProduceRequest v3 of one partition.
pub(super) fn produce(correlation: i32, acks: i16, records: &[u8]) -> Vec<u8> {
    let head = [&(-1i16).to_be_bytes()[..], &acks.to_be_bytes(), &1000i32.to_be_bytes()].concat();
    let topic = [&1i32.to_be_bytes()[..], &string("t"), &1i32.to_be_bytes(), &0i32.to_be_bytes()].concat();
    request(0, 3, correlation, &[head, topic, bytes(Some(records))].concat())
}

/// ProduceResponse v3 to that.
pub(super) fn produced(correlation: i32, error: i16, base: i64) -> Vec<u8> {
    let body = [&1i32.to_be_bytes()[..], &string("t"), &1i32.to_be_bytes(), &0i32.to_be_bytes()].concat();
    let body =
        [&body[..], &error.to_be_bytes(), &base.to_be_bytes(), &(-1i64).to_be_bytes(), &[0; 4]].concat();
    response(correlation, &body)
}

/// FetchRequest v4 of one partition from `offset` on.
pub(super) fn fetch(correlation: i32, offset: i64) -> Vec<u8> {
    fetch_as(correlation, 0, offset)
}

/// The same; `isolation` 1 wants what is committed only.
pub(super) fn fetch_as(correlation: i32, isolation: u8, offset: i64) -> Vec<u8> {
    let head = [&(-1i32).to_be_bytes()[..], &[0; 12], &[isolation]].concat();
    let topic = [&1i32.to_be_bytes()[..], &string("t"), &1i32.to_be_bytes(), &0i32.to_be_bytes()].concat();
    request(1, 4, correlation, &[&head[..], &topic, &offset.to_be_bytes(), &[0, 0, 16, 0]].concat())
}

/// FetchResponse v4 to that, with aborted transactions (producer, first offset).
pub(super) fn fetched(correlation: i32, aborted: &[(i64, i64)], records: &[u8]) -> Vec<u8> {
    fetched_at(correlation, [100, 100], aborted, records)
}

/// The same from a log with this high watermark and last stable offset.
pub(super) fn fetched_at(
    correlation: i32,
    ends: [i64; 2],
    aborted: &[(i64, i64)],
    records: &[u8],
) -> Vec<u8> {
    let head =
        [&[0; 4][..], &1i32.to_be_bytes(), &string("t"), &1i32.to_be_bytes(), &0i32.to_be_bytes()].concat();
    let mut body = [&head[..], &[0, 0], &ends[0].to_be_bytes(), &ends[1].to_be_bytes()].concat();
    body.extend((aborted.len() as i32).to_be_bytes());
    for (producer, first) in aborted {
        body.extend([producer.to_be_bytes(), first.to_be_bytes()].concat());
    }
    body.extend(bytes(Some(records)));
    response(correlation, &body)
}

fn varint(value: i64) -> Vec<u8> {
    let mut left = ((value << 1) ^ (value >> 63)) as u64;
    let mut bytes = Vec::new();
    while left >= 0x80 {
        bytes.push(left as u8 | 0x80);
        left >>= 7;
    }
    bytes.push(left as u8);
    bytes
}

/// A record of a batch.
pub(super) fn record(delta: i64, key: Option<&[u8]>, value: &[u8]) -> Vec<u8> {
    let key = key.map_or(varint(-1), |key| [varint(key.len() as i64), key.to_vec()].concat());
    let body =
        [vec![0], varint(0), varint(delta), key, varint(value.len() as i64), value.to_vec(), varint(0)]
            .concat();
    [varint(body.len() as i64), body].concat()
}

/// A batch with `records` as they are, by producer 7.
pub(super) fn batch(base: i64, attributes: i16, last: i32, count: i32, records: &[u8]) -> Vec<u8> {
    let mut batch =
        [&base.to_be_bytes()[..], &(49 + records.len() as i32).to_be_bytes(), &[0; 4], &[2], &[0; 4]]
            .concat();
    batch.extend([&attributes.to_be_bytes()[..], &last.to_be_bytes(), &[0; 16]].concat());
    batch.extend([&7i64.to_be_bytes()[..], &[0; 6], &count.to_be_bytes(), records].concat());
    batch
}

/// A message of format 0 or 1.
pub(super) fn message(offset: i64, magic: u8, attributes: u8, value: &[u8]) -> Vec<u8> {
    let time: &[u8] = if magic == 1 { &[0; 8] } else { &[] };
    let body = [&[0; 4][..], &[magic, attributes], time, &bytes(None), &bytes(Some(value))].concat();
    [&offset.to_be_bytes()[..], &(body.len() as i32).to_be_bytes(), &body].concat()
}

pub(super) fn gzip(content: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).expect("memory");
    encoder.finish().expect("memory")
}
