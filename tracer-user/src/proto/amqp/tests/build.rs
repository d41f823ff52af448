//! Frames as programs write them.

pub(super) const HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";

pub(super) fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(channel.to_be_bytes());
    bytes.extend((payload.len() as u32).to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes.push(0xce);
    bytes
}

pub(super) fn method(channel: u16, class: u16, method: u16, arguments: &[u8]) -> Vec<u8> {
    let payload = [&class.to_be_bytes()[..], &method.to_be_bytes(), arguments].concat();
    frame(1, channel, &payload)
}

pub(super) fn short(text: &str) -> Vec<u8> {
    [&[text.len() as u8][..], text.as_bytes()].concat()
}

pub(super) fn long(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u32).to_be_bytes()[..], text].concat()
}

/// A table of fields that are encoded with their types.
pub(super) fn table(fields: &[(&str, Vec<u8>)]) -> Vec<u8> {
    long(&fields.iter().flat_map(|(name, value)| [short(name), value.clone()].concat()).collect::<Vec<_>>())
}

pub(super) fn string(text: &str) -> Vec<u8> {
    [&b"S"[..], &long(text.as_bytes())].concat()
}

pub(super) fn start() -> Vec<u8> {
    method(0, 10, 10, &[&[0, 9][..], &table(&[]), &long(b"PLAIN"), &long(b"en_US")].concat())
}

pub(super) fn start_ok(name: &str) -> Vec<u8> {
    let capabilities = [&b"F"[..], &table(&[("basic.nack", vec![b't', 1])])].concat();
    let properties = table(&[("capabilities", capabilities), ("connection_name", string(name))]);
    method(0, 10, 11, &[&properties[..], &short("PLAIN"), &long(b"\0guest\0guest"), &short("en_US")].concat())
}

pub(super) fn tune() -> Vec<u8> {
    method(0, 10, 30, &[7, 255, 0, 2, 0, 0, 0, 60])
}

pub(super) fn tune_ok(frame_max: u32) -> Vec<u8> {
    method(0, 10, 31, &[&[7, 255][..], &frame_max.to_be_bytes(), &[0, 60]].concat())
}

pub(super) fn connection_open() -> Vec<u8> {
    method(0, 10, 40, &[&short("/")[..], &[0, 0]].concat())
}

pub(super) fn open_ok() -> Vec<u8> {
    method(0, 10, 41, &[0])
}

pub(super) fn channel_open(channel: u16) -> Vec<u8> {
    method(channel, 20, 10, &[0])
}

pub(super) fn channel_open_ok(channel: u16) -> Vec<u8> {
    method(channel, 20, 11, &[0, 0, 0, 0])
}

fn closing(code: u16) -> Vec<u8> {
    [&code.to_be_bytes()[..], &short("why"), &[0, 60, 0, 40]].concat()
}

pub(super) fn close(code: u16) -> Vec<u8> {
    method(0, 10, 50, &closing(code))
}

pub(super) fn channel_close(channel: u16, code: u16) -> Vec<u8> {
    method(channel, 20, 40, &closing(code))
}

pub(super) fn heartbeat() -> Vec<u8> {
    frame(8, 0, &[])
}

pub(super) fn confirm_select(channel: u16) -> Vec<u8> {
    method(channel, 85, 10, &[0])
}

pub(super) fn header(channel: u16, size: u64, flags: u16, properties: &[u8]) -> Vec<u8> {
    frame(2, channel, &[&[0, 60, 0, 0][..], &size.to_be_bytes(), &flags.to_be_bytes(), properties].concat())
}

/// A method's frame with its content header and its body in frames of `chunk` bytes.
fn with_content(method: Vec<u8>, channel: u16, body: &[u8], chunk: usize) -> Vec<Vec<u8>> {
    let mut frames = vec![method, header(channel, body.len() as u64, 0, &[])];
    frames.extend(body.chunks(chunk).map(|part| frame(3, channel, part)));
    frames
}

fn publishing(channel: u16, exchange: &str, key: &str, bits: u8) -> Vec<u8> {
    method(channel, 60, 40, &[&[0, 0][..], &short(exchange), &short(key), &[bits]].concat())
}

pub(super) fn publish_frames(
    channel: u16,
    exchange: &str,
    key: &str,
    body: &[u8],
    chunk: usize,
) -> Vec<Vec<u8>> {
    with_content(publishing(channel, exchange, key, 0), channel, body, chunk)
}

pub(super) fn publish(channel: u16, exchange: &str, key: &str, body: &[u8]) -> Vec<u8> {
    publish_frames(channel, exchange, key, body, 4088).concat()
}

pub(super) fn mandatory(channel: u16, exchange: &str, key: &str, body: &[u8]) -> Vec<u8> {
    with_content(publishing(channel, exchange, key, 1), channel, body, 4088).concat()
}

pub(super) fn returned(channel: u16, code: u16, exchange: &str, key: &str, body: &[u8]) -> Vec<u8> {
    let arguments = [&code.to_be_bytes()[..], &short("NO_ROUTE"), &short(exchange), &short(key)].concat();
    with_content(method(channel, 60, 50, &arguments), channel, body, 4088).concat()
}

pub(super) fn deliver_frames(
    channel: u16,
    consumer: &str,
    tag: u64,
    redelivered: bool,
    (exchange, key): (&str, &str),
    body: &[u8],
    chunk: usize,
) -> Vec<Vec<u8>> {
    let arguments =
        [&short(consumer)[..], &tag.to_be_bytes(), &[redelivered.into()], &short(exchange), &short(key)];
    with_content(method(channel, 60, 60, &arguments.concat()), channel, body, chunk)
}

pub(super) fn deliver(
    channel: u16,
    consumer: &str,
    tag: u64,
    redelivered: bool,
    exchange: &str,
    key: &str,
    body: &[u8],
) -> Vec<u8> {
    deliver_frames(channel, consumer, tag, redelivered, (exchange, key), body, 4088).concat()
}

pub(super) fn get(channel: u16, queue: &str, no_ack: bool) -> Vec<u8> {
    method(channel, 60, 70, &[&[0, 0][..], &short(queue), &[no_ack.into()]].concat())
}

pub(super) fn get_ok(channel: u16, tag: u64, exchange: &str, key: &str, body: &[u8]) -> Vec<u8> {
    let arguments = [&tag.to_be_bytes()[..], &[0], &short(exchange), &short(key), &[0, 0, 0, 0]].concat();
    with_content(method(channel, 60, 71, &arguments), channel, body, 4088).concat()
}

pub(super) fn consume(channel: u16, queue: &str, tag: &str, no_ack: bool) -> Vec<u8> {
    let bits = [u8::from(no_ack) << 1];
    method(channel, 60, 20, &[&[0, 0][..], &short(queue), &short(tag), &bits, &table(&[])].concat())
}

pub(super) fn consume_ok(channel: u16, tag: &str) -> Vec<u8> {
    method(channel, 60, 21, &short(tag))
}

pub(super) fn queue_declare(channel: u16, queue: &str) -> Vec<u8> {
    method(channel, 50, 10, &[&[0, 0][..], &short(queue), &[0], &table(&[])].concat())
}

pub(super) fn queue_declare_ok(channel: u16, queue: &str) -> Vec<u8> {
    method(channel, 50, 11, &[&short(queue)[..], &[0; 8]].concat())
}

pub(super) fn ack(channel: u16, tag: u64, multiple: bool) -> Vec<u8> {
    method(channel, 60, 80, &[&tag.to_be_bytes()[..], &[multiple.into()]].concat())
}

pub(super) fn nack(channel: u16, tag: u64, multiple: bool, requeue: bool) -> Vec<u8> {
    let bits = u8::from(multiple) | u8::from(requeue) << 1;
    method(channel, 60, 120, &[&tag.to_be_bytes()[..], &[bits]].concat())
}

pub(super) fn reject(channel: u16, tag: u64, requeue: bool) -> Vec<u8> {
    method(channel, 60, 90, &[&tag.to_be_bytes()[..], &[requeue.into()]].concat())
}
