//! From packets to ops.

use std::borrow::Cow;

use bytes::Bytes;

use super::Mqtt;
use super::packet::{Fixed, Packet, Publish, Will};
use crate::model::command::Value;
use crate::model::op::{Message, Op, OpKind, Scope};
use crate::model::payload::Payload;
use crate::names::attribute::{MQTT_DUP, MQTT_QOS, MQTT_RETAIN};
use crate::proto::{FrameView, Unusable};

impl Mqtt {
    pub(super) fn fold_packet(&mut self, view: FrameView<'_>, out: &mut Vec<Op>) -> Result<(), Unusable> {
        let fixed = Fixed::read(&view.bytes, self.level)?;
        let (packet, level) = Packet::read(&view.bytes, &fixed, self.level)?;
        self.level = level;
        self.seen = true;
        let to_server = view.to_server;
        let kind = match packet {
            Packet::Connect(connect) => {
                self.level = connect.level;
                self.client_id = connect.client_id.map(Into::into);
                self.gone = false;
                let will = connect.will.map(|will| Box::new(self.will(&view, &will)));
                OpKind::Connect { will }
            }
            Packet::Connack { code } => {
                self.gone = code != 0;
                OpKind::Connected { error: (code != 0).then(|| Cow::Borrowed(reason(code))) }
            }
            Packet::Publish(publish) => {
                // MQTT 5 may put a number for a topic that was named before.
                if publish.topic.is_empty() {
                    return Err(Unusable::Cut);
                }
                let message = Box::new(self.message(&view, &publish));
                if to_server { OpKind::Publish(message) } else { OpKind::Deliver(message) }
            }
            Packet::Puback { id, code } | Packet::Pubcomp { id, code } => settled(id, code, to_server),
            // Only with a reason against it (MQTT 5) does the exchange of QoS 2 end here.
            Packet::Pubrec { id, code } if code >= 0x80 => settled(id, code, to_server),
            Packet::Subscribe { filters } => {
                let filters = filters.into_iter().map(|filter| self.topics.share(filter)).collect();
                OpKind::Subscribe { filters }
            }
            Packet::Suback { refused: Some(_) } => OpKind::Error { kind: Cow::Borrowed("subscribe_refused") },
            Packet::Disconnect { code } if to_server => {
                self.gone = true;
                // MQTT 5: with 0x04 the client leaves, and its will is to be published.
                OpKind::Disconnect { clean: code != 0x04 }
            }
            Packet::Disconnect { code } => OpKind::Error { kind: Cow::Borrowed(reason(code)) },
            Packet::Pubrec { .. }
            | Packet::Pubrel
            | Packet::Suback { refused: None }
            | Packet::Unsubscribe
            | Packet::Unsuback
            | Packet::Ping
            | Packet::Auth => return Ok(()),
        };
        out.push(view.op(self.client_id.as_ref(), kind));
        Ok(())
    }

    fn message(&mut self, view: &FrameView<'_>, publish: &Publish<'_>) -> Message {
        let &Publish { dup, qos, retain, topic, id, body } = publish;
        let captured = if body < view.bytes.len() { view.bytes.slice(body..) } else { Bytes::new() };
        Message {
            destination: self.topics.share(topic),
            settle_id: (qos > 0).then_some(u64::from(id)),
            body: Payload { captured, size: view.len.saturating_sub(body as u64) },
            retained: retain && !view.to_server,
            retain: retain && view.to_server,
            redelivered: dup,
            needs_settle: qos > 0,
            attributes: attributes(qos, retain, Some(dup)),
            ..Message::default()
        }
    }

    fn will(&mut self, view: &FrameView<'_>, will: &Will<'_>) -> Message {
        let end = will.at.saturating_add(will.body.len());
        let captured = if will.body.is_empty() { Bytes::new() } else { view.bytes.slice(will.at..end) };
        Message {
            destination: self.topics.share(will.topic),
            body: Payload { captured, size: will.size },
            retain: will.retain,
            attributes: attributes(will.qos, will.retain, None),
            ..Message::default()
        }
    }
}

/// The attributes of a PUBLISH with each combination of flags (section 3.3.1): there are few, and none has to be made for a
/// message.
static ATTRIBUTES: [[(&str, Value); 3]; 16] = [
    flags(0),
    flags(1),
    flags(2),
    flags(3),
    flags(4),
    flags(5),
    flags(6),
    flags(7),
    flags(8),
    flags(9),
    flags(10),
    flags(11),
    flags(12),
    flags(13),
    flags(14),
    flags(15),
];

const fn flags(flags: u8) -> [(&'static str, Value); 3] {
    [
        (MQTT_QOS, Value::Int((flags >> 1 & 3) as i64)),
        (MQTT_RETAIN, Value::Bool(flags & 1 != 0)),
        (MQTT_DUP, Value::Bool(flags & 8 != 0)),
    ]
}

/// `dup`: not of a will.
fn attributes(qos: u8, retain: bool, dup: Option<bool>) -> Cow<'static, [(&'static str, Value)]> {
    let flags = u8::from(retain) | (qos & 3) << 1 | u8::from(dup == Some(true)) << 3;
    let all = ATTRIBUTES.get(usize::from(flags)).map_or(&[][..], |all| all);
    Cow::Borrowed(if dup.is_some() { all } else { all.get(..2).unwrap_or(all) })
}

/// The last acknowledgement of a message that went the other way.
fn settled(id: u16, code: u8, to_server: bool) -> OpKind {
    let id = u64::from(id);
    let error = (code >= 0x80).then(|| Cow::Borrowed(reason(code)));
    if to_server {
        OpKind::Settle { name: "ack", ids: vec![id], scope: Scope::Connection, error }
    } else {
        OpKind::PublishSettled { id, error, given: None }
    }
}

/// Names of return codes: section 3.2.2.3, table 3.1, and MQTT 5, section 2.4.
fn reason(code: u8) -> &'static str {
    match code {
        0x01 | 0x84 => "unsupported_protocol_version",
        0x02 | 0x85 => "client_identifier_not_valid",
        0x03 | 0x88 => "server_unavailable",
        0x04 | 0x86 => "bad_user_name_or_password",
        0x05 | 0x87 => "not_authorized",
        0x80 => "unspecified_error",
        0x81 => "malformed_packet",
        0x82 => "protocol_error",
        0x83 => "implementation_specific_error",
        0x89 => "server_busy",
        0x8a => "banned",
        0x8b => "server_shutting_down",
        0x8d => "keep_alive_timeout",
        0x8e => "session_taken_over",
        0x90 => "topic_name_invalid",
        0x91 => "packet_identifier_in_use",
        0x93 => "receive_maximum_exceeded",
        0x95 => "packet_too_large",
        0x96 => "message_rate_too_high",
        0x97 => "quota_exceeded",
        0x99 => "payload_format_invalid",
        0x9a => "retain_not_supported",
        0x9b => "qos_not_supported",
        0x9c => "use_another_server",
        0x9d => "server_moved",
        0x9f => "connection_rate_exceeded",
        _ => "other",
    }
}
