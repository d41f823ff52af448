//! Modbus on serial lines: RTU and ASCII (Modbus over Serial Line V1.02, Modbus Application Protocol V1.1b3).
//!
//! Span rule. A request is a frame with a right check; it is called after its function. The answer is the first frame
//! of the same unit and function that has what was asked for, or the exception; whatever is read before (the
//! request itself on an RS-485 line that echoes, what an earlier answer left) belongs to the reply's bytes. Unit 0
//! is everyone: nobody answers. Frames that come unasked are events; what is then written is the answer to them, a
//! plain command.
//!
//! What the bytes leave open. The response to `write_single_coil`, `write_single_register`, `mask_write_register`
//! and some diagnostics is the request again: whether the first copy is an echo is known once the line has shown
//! whether it echoes; until then silence decides for the answer. A frame that could be request and response is a
//! response if it fits the request heard just before, else a request.

mod check;
mod frame;
mod pdu;

#[cfg(test)]
mod tests;

use std::ops::Range;

use super::protocol::{
    Answers, Asked, Event, Extent, Failure, Integrity, Known, Order, Past, Protocol, Verdict, checksum,
};
use crate::device::ioc::Args;
use crate::model::command::Value;
use frame::{ASCII, Candidate, Framing, RTU};

/// [`Past::spoken`] of both framings.
const SPOKEN: &str = "modbus";

/// Modbus RTU.
pub(crate) struct Rtu;

/// Modbus ASCII.
pub(crate) struct Ascii;

/// Whether unsolicited input is one frame, as far as its bytes tell.
pub(crate) fn is_frame(piece: &[u8]) -> bool {
    frame::is_rtu(piece)
}

/// The next frame in unsolicited input.
pub(crate) fn find_frame(piece: &[u8], past: &Past) -> Option<Range<usize>> {
    frame::find_rtu(piece, past.spoken == Some(SPOKEN))
}

impl Protocol for Rtu {
    fn command(&self, asked: Asked<'_>) -> Option<Known> {
        command(&RTU, asked)
    }

    fn is_whole(&self, asked: Asked<'_>) -> bool {
        frame::is_rtu(asked.request)
    }

    fn extent(&self, asked: Asked<'_>, reply: &[u8], seen: usize) -> Extent {
        search(&RTU, asked, reply, seen).0
    }

    fn verdict(&self, asked: Asked<'_>, reply: Option<&[u8]>) -> Verdict {
        verdict(&RTU, asked, reply)
    }

    fn event(&self, sentence: &[u8], past: &Past) -> Option<Event> {
        event(&RTU, sentence, past)
    }
}

impl Protocol for Ascii {
    fn command(&self, asked: Asked<'_>) -> Option<Known> {
        command(&ASCII, asked)
    }

    fn extent(&self, asked: Asked<'_>, reply: &[u8], seen: usize) -> Extent {
        search(&ASCII, asked, reply, seen).0
    }

    fn verdict(&self, asked: Asked<'_>, reply: Option<&[u8]>) -> Verdict {
        verdict(&ASCII, asked, reply)
    }

    fn event(&self, sentence: &[u8], past: &Past) -> Option<Event> {
        event(&ASCII, sentence, past)
    }
}

/// Who sends a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Request,
    Response,
}

/// What a body is after the frame heard before. `None`: no Modbus.
fn role(framing: &Framing, body: &[u8], past: &Past) -> Option<Role> {
    let (unit, pdu) = body.split_first()?;
    pdu::command(pdu)?;
    let response = pdu::is_response(pdu);
    let asked = past.heard.as_deref().and_then(framing.body).is_some_and(|(heard, _)| {
        heard.first() == Some(unit)
            && heard.get(1).copied() == pdu.first().map(|code| code & 0x7f)
            && pdu::answers(heard.get(1..).unwrap_or_default(), pdu)
    });
    match (asked && response, pdu::is_request(pdu)) {
        (true, _) => Some(Role::Response),
        (false, true) => Some(Role::Request),
        (false, false) => response.then_some(Role::Response),
    }
}

/// Whether a frame that the program writes has no answer.
fn is_silent(body: &[u8], role: Role) -> bool {
    role == Role::Response || body.first() == Some(&0) || pdu::is_silent(body.get(1..).unwrap_or_default())
}

fn command(framing: &Framing, asked: Asked<'_>) -> Option<Known> {
    let (body, true) = (framing.body)(asked.request)? else { return None };
    let role = role(framing, &body, asked.past)?;
    let pdu = body.get(1..)?;
    let answers = match () {
        () if is_silent(&body, role) => Answers::Never,
        // Anything with a right check may look like a function that is free for users.
        () if pdu::is_user_defined(*pdu.first()?) => Answers::IfAwaited,
        () => Answers::Always,
    };
    let order = if answers == Answers::Always { Order::Matched } else { Order::Alone };
    Some(Known { order, ..Known::new(pdu::command(pdu)?, answers) })
}

/// How far the answer has come, and where it lies.
fn search(framing: &Framing, asked: Asked<'_>, reply: &[u8], seen: usize) -> (Extent, Option<Range<usize>>) {
    let Some((body, _)) = (framing.body)(asked.request) else { return (Extent::Wrong, None) };
    let Some(role) = role(framing, &body, asked.past) else { return (Extent::Wrong, None) };
    let (request, pdu) = (asked.request, body.get(1..).unwrap_or_default());
    if is_silent(&body, role) {
        return (echo(asked, reply, role == Role::Response && pdu::is_returned(pdu)), None);
    }
    let candidate =
        |start: usize| (framing.candidate)(&body, request, reply.get(start..).unwrap_or_default());
    let whole = |from: usize| {
        let ends = (from..reply.len()).filter_map(|start| match candidate(start) {
            Candidate::Whole(length, _) => Some(start..start + length),
            _ => None,
        });
        ends.min_by_key(|range| range.end)
    };
    let returned = pdu::is_returned(pdu);
    // An answer that ends in what is new began at most a frame earlier. Two copies may be twice that.
    let from = if returned { 0 } else { seen.saturating_sub(2 * frame::LONGEST + 1) };
    if let Some(first) = whole(from) {
        let may_be_echo =
            returned && asked.past.echoes != Some(false) && reply.get(first.clone()) == Some(request);
        if !may_be_echo {
            return (Extent::Done(first.end), Some(first));
        }
        let certain = asked.past.echoes == Some(true);
        return match candidate(first.end) {
            Candidate::Whole(length, _) => {
                let second = first.end..first.end + length;
                (Extent::Done(second.end), Some(second))
            }
            Candidate::Partial if certain => (Extent::More, None),
            Candidate::Partial | Candidate::Damaged | Candidate::Other | Candidate::Open => {
                (Extent::Pause, (!certain).then_some(first))
            }
            Candidate::Not if certain => match whole(first.end) {
                Some(second) => (Extent::Done(second.end), Some(second)),
                None => (Extent::More, None),
            },
            Candidate::Not => (Extent::Done(first.end), Some(first)),
        };
    }
    if request.starts_with(reply) {
        return (Extent::More, None);
    }
    let extent = match candidate(behind_echo(request, reply)) {
        Candidate::Damaged | Candidate::Other | Candidate::Open => Extent::Pause,
        Candidate::Not if pdu.first().copied().is_some_and(pdu::is_user_defined) => Extent::Wrong,
        _ => Extent::More,
    };
    (extent, None)
}

/// What is read after a frame that nobody answers: its echo, or nothing of it. `again`: the frame may well come a
/// second time from the other side, and an echo is not to be told from that.
fn echo(asked: Asked<'_>, reply: &[u8], again: bool) -> Extent {
    let request = asked.request;
    if again && asked.past.echoes != Some(true) || asked.past.echoes == Some(false) {
        Extent::Done(0)
    } else if reply.starts_with(request) {
        Extent::Done(request.len())
    } else if request.starts_with(reply) {
        Extent::More
    } else {
        Extent::Done(0)
    }
}

/// Where the answer begins if the line echoes.
fn behind_echo(request: &[u8], reply: &[u8]) -> usize {
    if reply.starts_with(request) { request.len() } else { 0 }
}

fn verdict(framing: &Framing, asked: Asked<'_>, reply: Option<&[u8]>) -> Verdict {
    let wrong = Verdict { wrong: true, ..Verdict::default() };
    let Some((body, _)) = (framing.body)(asked.request) else { return wrong };
    let Some(role) = role(framing, &body, asked.past) else { return wrong };
    let pdu = body.get(1..).unwrap_or_default();
    let mut verdict = Verdict { args: args(framing, &body, role), ..Verdict::default() };
    let mut integrity = Integrity::Ok;
    match reply {
        None => {}
        Some(_) if is_silent(&body, role) => verdict.echoes = Some(true),
        Some(reply) => match search(framing, asked, reply, 0).1 {
            Some(place) => {
                verdict.spoken = Some(SPOKEN);
                verdict.echoes = match (behind_echo(asked.request, reply), pdu::is_returned(pdu)) {
                    (echo, _) if echo > 0 && place.start >= echo => Some(true),
                    (0, false) => Some(false),
                    _ => None,
                };
                let frame = reply.get(place).unwrap_or_default();
                if let Some((answer, _)) = (framing.body)(frame) {
                    let answer = answer.get(1..).unwrap_or_default();
                    let values = pdu::values(pdu, answer).map(|count| ("values", Value::Int(count)));
                    verdict.args.extend(values);
                    verdict.error = exception(answer);
                }
            }
            None => {
                let behind = reply.get(behind_echo(asked.request, reply)..).unwrap_or_default();
                if pdu.first().copied().is_some_and(pdu::is_user_defined) {
                    // The CRC is all that tells that it is one at all.
                    verdict.wrong = (framing.body)(behind).is_none_or(|(_, right)| !right);
                    verdict.spoken = (!verdict.wrong).then_some(SPOKEN);
                } else if !asked.cut {
                    let failure = missing(framing, &body, asked, behind);
                    integrity = if failure.0 == "checksum" { Integrity::Bad } else { Integrity::Ok };
                    verdict.error = Some(failure);
                }
            }
        },
    }
    verdict.args.push(integrity.arg(framing.check));
    verdict
}

/// What is wrong with `behind`, which should have been the answer.
fn missing(framing: &Framing, body: &[u8], asked: Asked<'_>, behind: &[u8]) -> Failure {
    let candidate = (framing.candidate)(body, asked.request, behind);
    let timeout = |message: &'static str| ("timeout".into(), message.into());
    let other = || ("mismatch".into(), "an answer to something else came".into());
    match candidate {
        _ if behind.is_empty() || asked.request.starts_with(behind) => timeout("no answer"),
        Candidate::Partial => timeout("the answer broke off"),
        Candidate::Other => other(),
        _ if (framing.body)(behind).is_some_and(|(_, right)| right) => other(),
        _ => checksum(),
    }
}

/// A response's exception.
fn exception(pdu: &[u8]) -> Option<Failure> {
    match pdu {
        [0x80..=0xff, code, ..] => {
            Some((pdu::exception(*code), "the device answered with an exception".into()))
        }
        _ => None,
    }
}

/// What a frame says.
fn args(framing: &Framing, body: &[u8], role: Role) -> Args {
    let mut args = Args::new();
    let Some((unit, pdu)) = body.split_first() else { return args };
    args.push(("framing", Value::Text(framing.name.into())));
    args.push(("unit", Value::Int(i64::from(*unit))));
    args.extend(pdu.first().map(|code| ("function", Value::Int(i64::from(code & 0x7f)))));
    match role {
        Role::Request => {
            if *unit == 0 {
                args.push(("broadcast", Value::Bool(true)));
            }
            pdu::request_args(pdu, &mut args);
        }
        Role::Response => {
            args.push(("frame", Value::Text("response".into())));
            if let [0x80..=0xff, code, ..] = pdu {
                args.push(("exception", Value::Text(pdu::exception(*code))));
            }
        }
    }
    args
}

fn event(framing: &Framing, sentence: &[u8], past: &Past) -> Option<Event> {
    let (body, right) = (framing.body)(sentence)?;
    let role = role(framing, &body, past)?;
    let pdu = body.get(1..)?;
    let mut args = args(framing, &body, role);
    args.push(if right { Integrity::Ok } else { Integrity::Bad }.arg(framing.check));
    Some(Event {
        name: pdu::command(pdu)?,
        args,
        error: if right { exception(pdu) } else { Some(checksum()) },
        spoken: right.then_some(SPOKEN),
        asks: right && role == Role::Request && body.first() != Some(&0),
        resets: false,
    })
}
