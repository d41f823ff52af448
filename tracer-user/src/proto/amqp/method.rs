//! Methods (section 1.4 and on; numbers from the machine-readable specification).

use std::borrow::Cow;

use super::properties::{Value, fields};
use super::wire::Reader;
use crate::proto::Unusable;

/// A method as far as ops or state are made of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Method<'a> {
    /// `connection_name` of the client's properties.
    StartOk {
        name: Option<Cow<'a, str>>,
    },
    /// 0: no limit.
    TuneOk {
        frame_max: u32,
    },
    OpenOk,
    /// Of the connection.
    Close {
        code: u16,
    },
    ChannelOpen,
    ChannelClose {
        code: u16,
    },
    ChannelCloseOk,
    QueueDeclare {
        queue: Cow<'a, str>,
    },
    QueueDeclareOk {
        queue: Cow<'a, str>,
    },
    Consume {
        queue: Cow<'a, str>,
        tag: Cow<'a, str>,
        no_ack: bool,
    },
    ConsumeOk {
        tag: Cow<'a, str>,
    },
    Cancel {
        tag: Cow<'a, str>,
    },
    Publish {
        exchange: Cow<'a, str>,
        key: Cow<'a, str>,
        mandatory: bool,
    },
    Return {
        code: u16,
        exchange: Cow<'a, str>,
        key: Cow<'a, str>,
    },
    Deliver(Delivery<'a>),
    Get {
        queue: Cow<'a, str>,
        no_ack: bool,
    },
    GetOk(Delivery<'a>),
    GetEmpty,
    Ack {
        tag: u64,
        multiple: bool,
    },
    Reject {
        tag: u64,
        requeue: bool,
    },
    Nack {
        tag: u64,
        multiple: bool,
        requeue: bool,
    },
    Recover,
    ConfirmSelect,
    TxSelect,
    TxCommit,
    TxCommitOk,
    TxRollback,
    TxRollbackOk,
    /// Of no interest.
    Other,
}

/// `basic.deliver` and `basic.get-ok`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Delivery<'a> {
    /// Empty with `basic.get-ok`.
    pub(super) consumer: Cow<'a, str>,
    pub(super) tag: u64,
    pub(super) redelivered: bool,
    pub(super) exchange: Cow<'a, str>,
    pub(super) key: Cow<'a, str>,
}

/// Which way a method goes, `Some(None)` if both ways; `None` if there is no such method. `payload`: what is there of it.
pub(super) fn direction(payload: &[u8]) -> Option<Option<bool>> {
    let &[c0, c1, m0, m1] = payload.first_chunk::<4>()?;
    Some(match (u16::from_be_bytes([c0, c1]), u16::from_be_bytes([m0, m1])) {
        (10, 11 | 21 | 31 | 40 | 70)
        | (20 | 30, 10)
        | (40, 10 | 20 | 30 | 40)
        | (50, 10 | 20 | 30 | 40 | 50)
        | (60, 10 | 20 | 40 | 70 | 90 | 100 | 110)
        | (85, 10)
        | (90, 10 | 20 | 30) => Some(true),
        (10, 10 | 20 | 30 | 41 | 60 | 61 | 71)
        | (20 | 30, 11)
        | (40, 11 | 21 | 31 | 51)
        | (50, 11 | 21 | 31 | 41 | 51)
        | (60, 11 | 21 | 50 | 60 | 71 | 72 | 111)
        | (85, 11)
        | (90, 11 | 21 | 31) => Some(false),
        // The peers of a connection may both close it or a channel, stop the flow, cancel a consumer (the broker where
        // its queue is gone) and acknowledge (the broker what was published).
        (10, 50 | 51) | (20, 20 | 21 | 40 | 41) | (60, 30 | 31 | 80 | 120) => None,
        _ => return None,
    })
}

/// Whether it is `basic.publish`.
pub(super) fn is_publish(payload: &[u8]) -> bool {
    payload.starts_with(&[0, 60, 0, 40])
}

impl<'a> Method<'a> {
    /// The method of a frame with `size` bytes of payload of which `payload` are known.
    ///
    /// # Errors
    /// [`Unusable::Cut`] if what is missing is needed.
    pub(super) fn read(payload: &'a [u8], size: u32) -> Result<Self, Unusable> {
        let mut reader = Reader::new(payload, size);
        let reader = &mut reader;
        let method = match (reader.u16()?, reader.u16()?) {
            (10, 11) => return Self::start_ok(reader),
            (10, 31) => {
                reader.u16()?;
                let frame_max = reader.u32()?;
                reader.u16()?;
                Self::TuneOk { frame_max }
            }
            (10, 41) => {
                reader.short()?;
                Self::OpenOk
            }
            (10, 50) => Self::Close { code: closing(reader)? },
            (20, 10) => {
                reader.short()?;
                Self::ChannelOpen
            }
            (20, 40) => Self::ChannelClose { code: closing(reader)? },
            (20, 41) => Self::ChannelCloseOk,
            (50, 10) => {
                reader.u16()?;
                // Bits and arguments follow.
                return Ok(Self::QueueDeclare { queue: reader.short()? });
            }
            (50, 11) => {
                let queue = reader.short()?;
                reader.skip(8)?;
                Self::QueueDeclareOk { queue }
            }
            (60, 20) => {
                reader.u16()?;
                let (queue, tag, bits) = (reader.short()?, reader.short()?, reader.u8()?);
                // Arguments follow.
                return Ok(Self::Consume { queue, tag, no_ack: bits & 2 != 0 });
            }
            (60, 21) => Self::ConsumeOk { tag: reader.short()? },
            (60, 30) => {
                let tag = reader.short()?;
                reader.u8()?;
                Self::Cancel { tag }
            }
            (60, 40) => {
                reader.u16()?;
                let (exchange, key, bits) = (reader.short()?, reader.short()?, reader.u8()?);
                Self::Publish { exchange, key, mandatory: bits & 1 != 0 }
            }
            (60, 50) => {
                let code = reader.u16()?;
                reader.short()?;
                Self::Return { code, exchange: reader.short()?, key: reader.short()? }
            }
            (60, 60) => {
                let consumer = reader.short()?;
                Self::Deliver(Delivery::read(reader, consumer)?)
            }
            (60, 70) => {
                reader.u16()?;
                let (queue, bits) = (reader.short()?, reader.u8()?);
                Self::Get { queue, no_ack: bits & 1 != 0 }
            }
            (60, 71) => {
                let delivery = Delivery::read(reader, Cow::Borrowed(""))?;
                // How many are left.
                reader.u32()?;
                Self::GetOk(delivery)
            }
            (60, 72) => {
                reader.short()?;
                Self::GetEmpty
            }
            (60, 80) => {
                let (tag, bits) = (reader.u64()?, reader.u8()?);
                Self::Ack { tag, multiple: bits & 1 != 0 }
            }
            (60, 90) => {
                let (tag, bits) = (reader.u64()?, reader.u8()?);
                Self::Reject { tag, requeue: bits & 1 != 0 }
            }
            (60, 100 | 110) => {
                reader.u8()?;
                Self::Recover
            }
            (60, 120) => {
                let (tag, bits) = (reader.u64()?, reader.u8()?);
                Self::Nack { tag, multiple: bits & 1 != 0, requeue: bits & 2 != 0 }
            }
            (85, 10) => {
                reader.u8()?;
                Self::ConfirmSelect
            }
            (90, 10) => Self::TxSelect,
            (90, 20) => Self::TxCommit,
            (90, 21) => Self::TxCommitOk,
            (90, 30) => Self::TxRollback,
            (90, 31) => Self::TxRollbackOk,
            _ => return Ok(Self::Other),
        };
        reader.finish()?;
        Ok(method)
    }

    fn start_ok(reader: &mut Reader<'a>) -> Result<Self, Unusable> {
        let mut name = None;
        // Of a table that was cut, what was captured still counts; mechanism, response and locale follow, and are nobody's
        // business.
        let cut = fields(reader.nested()?, |key, value| {
            if let (b"connection_name", Value::Text(text)) = (key, value) {
                name = Some(String::from_utf8_lossy(text));
            }
        });
        match cut {
            Err(Unusable::Malformed) => Err(Unusable::Malformed),
            Ok(()) | Err(Unusable::Cut) => Ok(Self::StartOk { name }),
        }
    }
}

/// Reply code of `connection.close` and `channel.close`; text, class and method of what failed follow.
fn closing(reader: &mut Reader<'_>) -> Result<u16, Unusable> {
    let code = reader.u16()?;
    reader.short()?;
    reader.skip(4)?;
    Ok(code)
}

impl<'a> Delivery<'a> {
    fn read(reader: &mut Reader<'a>, consumer: Cow<'a, str>) -> Result<Self, Unusable> {
        let (tag, bits) = (reader.u64()?, reader.u8()?);
        let (exchange, key) = (reader.short()?, reader.short()?);
        Ok(Self { consumer, tag, redelivered: bits & 1 != 0, exchange, key })
    }
}
