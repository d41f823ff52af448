//! Modbus functions: their names, how long requests and responses are, and what they say. Modbus Application Protocol
//! V1.1b3, section 6. A PDU begins with the function's code.

use crate::device::ioc::Args;
use crate::model::command::Value;
use std::borrow::Cow;

/// Largest PDU, section 4.1.
pub(super) const LONGEST: usize = 253;

/// How long a PDU is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// So many bytes.
    Is(usize),
    /// More bytes are needed to tell.
    Later,
    /// Its bytes do not tell.
    Open,
    /// No PDU begins so.
    Not,
}

/// The name of a function; `None` for codes that are neither public nor free for users (section 5).
pub(super) fn name(code: u8) -> Option<Cow<'static, str>> {
    let name = match code & 0x7f {
        1 => "read_coils",
        2 => "read_discrete_inputs",
        3 => "read_holding_registers",
        4 => "read_input_registers",
        5 => "write_single_coil",
        6 => "write_single_register",
        7 => "read_exception_status",
        8 => "diagnostics",
        11 => "get_comm_event_counter",
        12 => "get_comm_event_log",
        15 => "write_multiple_coils",
        16 => "write_multiple_registers",
        17 => "report_server_id",
        20 => "read_file_record",
        21 => "write_file_record",
        22 => "mask_write_register",
        23 => "read_write_multiple_registers",
        24 => "read_fifo_queue",
        43 => "encapsulated_interface_transport",
        user if is_user_defined(user) => return Some(Cow::Owned(format!("modbus function 0x{user:02x}"))),
        _ => return None,
    };
    Some(Cow::Borrowed(name))
}

/// The name of the command that a PDU is: the interface that it tunnels into says more than the function.
pub(super) fn command(pdu: &[u8]) -> Option<Cow<'static, str>> {
    match pdu {
        [43, 14, ..] => Some(Cow::Borrowed("read_device_identification")),
        [43, 13, ..] => Some(Cow::Borrowed("canopen_general_reference")),
        [code, ..] => name(*code),
        [] => None,
    }
}

/// Whether a code is free for users (section 5): of their PDUs nothing is known.
pub(super) fn is_user_defined(code: u8) -> bool {
    matches!(code & 0x7f, 65..=72 | 100..=110)
}

/// Whether the response to a PDU is the same bytes again.
pub(super) fn is_returned(request: &[u8]) -> bool {
    // Of the diagnostics the sub-functions with data 0 only, and "return query data".
    match request {
        [5 | 6 | 22, ..] => true,
        [8, high, low, ..] => matches!(u16::from_be_bytes([*high, *low]), 0 | 1 | 3 | 10 | 20),
        _ => false,
    }
}

/// How long the request is that begins so.
pub(super) fn request_length(pdu: &[u8]) -> Length {
    match *pdu {
        [] => Length::Later,
        [1..=6, ..] => Length::Is(5),
        [7 | 11 | 12 | 17, ..] => Length::Is(1),
        [8, ..] => diagnostics_length(pdu),
        [15 | 16, ..] => counted(pdu, 5),
        [20 | 21, ..] => counted(pdu, 1),
        [22, ..] => Length::Is(7),
        [23, ..] => counted(pdu, 9),
        [24, ..] => Length::Is(3),
        [43] => Length::Later,
        [43, 14, ..] => Length::Is(4),
        [43, 13, ..] => Length::Open,
        [code, ..] if is_user_defined(code) && code < 0x80 => Length::Open,
        _ => Length::Not,
    }
}

/// How long the response is that begins so.
pub(super) fn response_length(pdu: &[u8]) -> Length {
    match *pdu {
        [] => Length::Later,
        [code @ 0x80..=0xff, ..] if name(code).is_some() => Length::Is(2),
        [1..=4 | 12 | 17 | 20 | 21 | 23, ..] => counted(pdu, 1),
        [5 | 6 | 11 | 15 | 16, ..] => Length::Is(5),
        [7, ..] => Length::Is(2),
        [8, ..] => diagnostics_length(pdu),
        [22, ..] => Length::Is(7),
        [24] | [24, _] => Length::Later,
        [24, high, low, ..] => bounded(3 + usize::from(u16::from_be_bytes([high, low]))),
        [43] => Length::Later,
        [43, 14, ..] => identification_length(pdu),
        [43, 13, ..] => Length::Open,
        [code, ..] if is_user_defined(code) => Length::Open,
        _ => Length::Not,
    }
}

/// A PDU that ends with as many bytes as its byte `at` says.
fn counted(pdu: &[u8], at: usize) -> Length {
    match pdu.get(at) {
        None => Length::Later,
        Some(0) => Length::Not,
        Some(count) => bounded(at + 1 + usize::from(*count)),
    }
}

fn bounded(length: usize) -> Length {
    if length <= LONGEST { Length::Is(length) } else { Length::Not }
}

/// Diagnostics (6.8) have two bytes of data, but for "return query data", which has any.
fn diagnostics_length(pdu: &[u8]) -> Length {
    match pdu {
        [_] | [_, _] => Length::Later,
        [_, 0, 0, ..] => Length::Open,
        _ => Length::Is(5),
    }
}

/// "Read device identification" (6.21): a list of objects, each with its length.
fn identification_length(pdu: &[u8]) -> Length {
    let Some(objects) = pdu.get(6) else { return Length::Later };
    let mut end = 7;
    for _ in 0..*objects {
        let Some(length) = pdu.get(end + 1) else { return Length::Later };
        end += 2 + usize::from(*length);
        if end > LONGEST {
            return Length::Not;
        }
    }
    Length::Is(end)
}

/// Whether the fields of a request are within what its section allows.
pub(super) fn is_request(pdu: &[u8]) -> bool {
    let number = |at| u16_at(pdu, at).unwrap_or_default();
    let fits = match request_length(pdu) {
        Length::Is(length) => length == pdu.len(),
        Length::Open => pdu.len() <= LONGEST,
        Length::Later | Length::Not => false,
    };
    fits && match pdu.first().copied().unwrap_or_default() {
        1 | 2 => (1..=2000).contains(&number(3)),
        3 | 4 => (1..=125).contains(&number(3)),
        5 => matches!(number(3), 0 | 0xff00),
        15 => {
            (1..=0x7b0).contains(&number(3))
                && pdu.get(5).copied().map(u16::from) == Some(number(3).div_ceil(8))
        }
        16 => (1..=0x7b).contains(&number(3)) && pdu.get(5).copied().map(u16::from) == Some(number(3) * 2),
        20 => pdu.len() >= 9 && pdu.len() % 7 == 2,
        23 => {
            (1..=125).contains(&number(3)) && pdu.get(9).copied().map(u16::from) == number(7).checked_mul(2)
        }
        _ => true,
    }
}

/// Whether `pdu` is a response.
pub(super) fn is_response(pdu: &[u8]) -> bool {
    match response_length(pdu) {
        Length::Is(length) => length == pdu.len(),
        Length::Open => pdu.len() <= LONGEST,
        Length::Later | Length::Not => false,
    }
}

/// Whether a response to `request`, which has its function, has what was asked for.
pub(super) fn answers(request: &[u8], response: &[u8]) -> bool {
    let (Some(asked), Some(code)) = (request.first(), response.first()) else { return false };
    if *code == asked | 0x80 {
        return true;
    }
    let quantity = u16_at(request, 3).unwrap_or_default();
    let count = response.get(1).copied().map(u16::from);
    code == asked
        && match *asked {
            1 | 2 => count == Some(quantity.div_ceil(8)),
            3 | 4 | 23 => count == quantity.checked_mul(2),
            5 | 6 | 22 => request == response,
            8 if is_returned(request) => request == response,
            8 => request.get(..3) == response.get(..3),
            15 | 16 => request.get(..5) == response.get(..5),
            21 => request == response,
            43 => request.get(1) == response.get(1),
            _ => true,
        }
}

/// The name of an exception, section 7.
pub(super) fn exception(code: u8) -> Cow<'static, str> {
    Cow::Borrowed(match code {
        1 => "illegal_function",
        2 => "illegal_data_address",
        3 => "illegal_data_value",
        4 => "server_device_failure",
        5 => "acknowledge",
        6 => "server_device_busy",
        7 => "negative_acknowledge",
        8 => "memory_parity_error",
        10 => "gateway_path_unavailable",
        11 => "gateway_target_device_failed_to_respond",
        other => return Cow::Owned(format!("exception_0x{other:02x}")),
    })
}

/// The name of a diagnostic sub-function, 6.8.1.
fn diagnostic(code: u16) -> Option<&'static str> {
    Some(match code {
        0 => "return_query_data",
        1 => "restart_communications_option",
        2 => "return_diagnostic_register",
        3 => "change_ascii_input_delimiter",
        4 => "force_listen_only_mode",
        10 => "clear_counters_and_diagnostic_register",
        11 => "return_bus_message_count",
        12 => "return_bus_communication_error_count",
        13 => "return_bus_exception_error_count",
        14 => "return_server_message_count",
        15 => "return_server_no_response_count",
        16 => "return_server_nak_count",
        17 => "return_server_busy_count",
        18 => "return_bus_character_overrun_count",
        20 => "clear_overrun_counter_and_flag",
        _ => return None,
    })
}

/// Whether a request has no response by its meaning: "force listen only mode", 6.8.1.
pub(super) fn is_silent(request: &[u8]) -> bool {
    matches!(request, [8, 0, 4, ..])
}

/// What a request says, without the values that it writes.
pub(super) fn request_args(pdu: &[u8], args: &mut Args) {
    let mut number = |key, at| args.extend(u16_at(pdu, at).map(|value| (key, Value::Int(i64::from(value)))));
    match pdu.first().copied().unwrap_or_default() {
        1..=4 => {
            number("start", 1);
            number("quantity", 3);
        }
        5 | 6 => {
            number("start", 1);
            args.push(("values", Value::Int(1)));
        }
        8 => {
            if let Some(code) = u16_at(pdu, 1) {
                let name =
                    diagnostic(code).map_or(Value::Int(i64::from(code)), |name| Value::Text(name.into()));
                args.push(("subfunction", name));
            }
        }
        15 | 16 => {
            number("start", 1);
            number("quantity", 3);
            args.extend(u16_at(pdu, 3).map(|count| ("values", Value::Int(i64::from(count)))));
        }
        20 | 21 => file_args(pdu, args),
        22 | 24 => number("start", 1),
        23 => {
            number("start", 1);
            number("quantity", 3);
            number("write_start", 5);
            number("write_quantity", 7);
        }
        43 => {
            for (key, at) in [("mei_type", 1), ("read_code", 2), ("object", 3)] {
                args.extend(pdu.get(at).map(|value| (key, Value::Int(i64::from(*value)))));
            }
        }
        _ => {}
    }
}

/// The first record of a file request (6.14, 6.15) and how many there are.
fn file_args(pdu: &[u8], args: &mut Args) {
    for (key, at) in [("file", 3), ("record", 5), ("quantity", 7)] {
        args.extend(u16_at(pdu, at).map(|value| (key, Value::Int(i64::from(value)))));
    }
    let (mut at, mut groups) = (2, 0);
    while at + 7 <= pdu.len() {
        let written =
            if pdu.first() == Some(&21) { usize::from(u16_at(pdu, at + 5).unwrap_or_default()) } else { 0 };
        at += 7 + written * 2;
        groups += 1;
    }
    args.push(("groups", Value::Int(groups)));
}

/// How many values a response brings: registers, bits as many as were asked for, events.
pub(super) fn values(request: &[u8], response: &[u8]) -> Option<i64> {
    let count = i64::from(*response.get(1)?);
    match response.first()? {
        1 | 2 => Some(u16_at(request, 3).map_or(count * 8, i64::from).min(count * 8)),
        3 | 4 | 23 => Some(count / 2),
        24 => u16_at(response, 3).map(i64::from),
        _ => None,
    }
}

/// The number at `at`: the first byte is the high one.
fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk::<2>().map(|field| u16::from_be_bytes(*field))
}
