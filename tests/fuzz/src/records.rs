//! Records as the kernel side sends them, of any content: what decoding makes of them goes on to a decoder.

use std::sync::Arc;

use iotrail::decode::Decoder;
use iotrail::device::{Devices, Settings};
use iotrail::model::capture::{Body, DeviceKind, DeviceNumber};
use iotrail::model::command::Device;
use iotrail::model::process::ProcessKey;
use iotrail::model::time::Timestamp;
use tracer_common::record::{HEADER_BYTES, Header, Kind};

use crate::input::Input;

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let decoder = Decoder { layout: None, clock_offset: 1_000 };
    let mut devices = Devices::new(Settings::default());
    let number = DeviceNumber { kind: DeviceKind::Char, major: 89, minor: 1 };
    let class = ["i2c", "tty", "toaster"][input.below(3)];
    let device = Arc::new(Device::new(number, class, "/dev/x", "x"));
    let process = ProcessKey { pid: 1, generation: 0 };
    let mut out = Vec::new();
    let mut now = 0;
    while !input.is_empty() {
        let mut bytes = input.take(HEADER_BYTES).to_vec();
        bytes.resize(HEADER_BYTES, 0);
        let Some(mut header) = Header::read_from(&bytes) else { return };
        // Else nearly every record would be refused at the door.
        header.kind %= Kind::Bus as u16 + 2;
        header.call %= 96;
        let payload = input.bytes();
        let length = payload.len();
        let Ok(mut capture) = decoder.decode(&header, payload) else { continue };
        assert!(capture.at.start <= capture.at.end, "ended before it began");
        if let Body::Data { payload, .. } = &capture.body {
            assert!(payload.captured.len() <= length, "bytes from nowhere");
        }
        // Records come in the order of their ends.
        now += 1_000;
        capture.at.start = capture.at.start.min(Timestamp(now));
        capture.at.end = Timestamp(now);
        devices.feed(&capture, process, &device, &mut out);
    }
    devices.tick(Timestamp(now + 100_000_000_000), &mut out);
    devices.process_gone(process, Timestamp(now + 100_000_000_000), &mut out);
    assert_eq!(devices.open(), 0, "something is under way of a process that is gone");
}
