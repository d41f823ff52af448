//! The words of NVM Express: opcodes (Base Specification 2.0, figures 138 and 390; NVM Command Set 1.0, figure 21) and
//! status codes (figures 96 to 99).

use std::borrow::Cow;

use crate::model::command::Value;

/// An admin command; empty if it has no name.
pub(super) fn admin(opcode: u8) -> &'static str {
    match opcode {
        0x00 => "DELETE_IO_SQ",
        0x01 => "CREATE_IO_SQ",
        0x02 => "GET_LOG_PAGE",
        0x04 => "DELETE_IO_CQ",
        0x05 => "CREATE_IO_CQ",
        0x06 => "IDENTIFY",
        0x08 => "ABORT",
        0x09 => "SET_FEATURES",
        0x0a => "GET_FEATURES",
        0x0c => "ASYNC_EVENT_REQUEST",
        0x0d => "NAMESPACE_MANAGEMENT",
        0x10 => "FIRMWARE_COMMIT",
        0x11 => "FIRMWARE_DOWNLOAD",
        0x14 => "DEVICE_SELF_TEST",
        0x15 => "NAMESPACE_ATTACHMENT",
        0x18 => "KEEP_ALIVE",
        0x19 => "DIRECTIVE_SEND",
        0x1a => "DIRECTIVE_RECEIVE",
        0x1c => "VIRTUALIZATION_MANAGEMENT",
        0x1d => "MI_SEND",
        0x1e => "MI_RECEIVE",
        0x20 => "CAPACITY_MANAGEMENT",
        0x24 => "LOCKDOWN",
        0x7c => "DOORBELL_BUFFER_CONFIG",
        0x7f => "FABRICS",
        0x80 => "FORMAT_NVM",
        0x81 => "SECURITY_SEND",
        0x82 => "SECURITY_RECEIVE",
        0x84 => "SANITIZE",
        0x86 => "GET_LBA_STATUS",
        _ => "",
    }
}

/// A command of the NVM command set; empty if it has no name.
pub(super) fn nvm(opcode: u8) -> &'static str {
    match opcode {
        0x00 => "FLUSH",
        0x01 => "WRITE",
        0x02 => "READ",
        0x04 => "WRITE_UNCORRECTABLE",
        0x05 => "COMPARE",
        0x08 => "WRITE_ZEROES",
        0x09 => "DATASET_MANAGEMENT",
        0x0c => "VERIFY",
        0x0d => "RESERVATION_REGISTER",
        0x0e => "RESERVATION_REPORT",
        0x11 => "RESERVATION_ACQUIRE",
        0x15 => "RESERVATION_RELEASE",
        0x19 => "COPY",
        0x79 => "ZONE_MANAGEMENT_SEND",
        0x7a => "ZONE_MANAGEMENT_RECEIVE",
        0x7d => "ZONE_APPEND",
        _ => "",
    }
}

/// A name, or the number behind `prefix` if there is none.
pub(super) fn or_number(name: &'static str, number: u16, prefix: &str) -> Value {
    Value::Text(if name.is_empty() { format!("{prefix}{number:02x}").into() } else { name.into() })
}

/// A status other than success: type and code.
pub(super) fn status(status: u16) -> Cow<'static, str> {
    let name = match status {
        0x001 => "INVALID_OPCODE",
        0x002 => "INVALID_FIELD",
        0x003 => "COMMAND_ID_CONFLICT",
        0x004 => "DATA_TRANSFER_ERROR",
        0x005 => "ABORTED_POWER_LOSS",
        0x006 => "INTERNAL_ERROR",
        0x007 => "ABORT_REQUESTED",
        0x008 => "ABORTED_SQ_DELETION",
        0x00b => "INVALID_NAMESPACE",
        0x00c => "COMMAND_SEQUENCE_ERROR",
        0x013 => "INVALID_PRP_OFFSET",
        0x015 => "OPERATION_DENIED",
        0x018 => "HOST_ID_INCONSISTENT",
        0x01c => "SANITIZE_FAILED",
        0x01d => "SANITIZE_IN_PROGRESS",
        0x020 => "NAMESPACE_WRITE_PROTECTED",
        0x021 => "COMMAND_INTERRUPTED",
        0x022 => "TRANSIENT_TRANSPORT_ERROR",
        0x080 => "LBA_OUT_OF_RANGE",
        0x081 => "CAPACITY_EXCEEDED",
        0x082 => "NAMESPACE_NOT_READY",
        0x083 => "RESERVATION_CONFLICT",
        0x084 => "FORMAT_IN_PROGRESS",
        0x100 => "INVALID_COMPLETION_QUEUE",
        0x101 => "INVALID_QUEUE_ID",
        0x102 => "INVALID_QUEUE_SIZE",
        0x103 => "ABORT_LIMIT_EXCEEDED",
        0x105 => "ASYNC_EVENT_LIMIT_EXCEEDED",
        0x106 => "INVALID_FIRMWARE_SLOT",
        0x107 => "INVALID_FIRMWARE_IMAGE",
        0x109 => "INVALID_LOG_PAGE",
        0x10a => "INVALID_FORMAT",
        0x10d => "FEATURE_NOT_SAVEABLE",
        0x10e => "FEATURE_NOT_CHANGEABLE",
        0x10f => "FEATURE_NOT_NAMESPACE_SPECIFIC",
        0x115 => "NAMESPACE_INSUFFICIENT_CAPACITY",
        0x116 => "NAMESPACE_ID_UNAVAILABLE",
        0x118 => "NAMESPACE_ALREADY_ATTACHED",
        0x119 => "NAMESPACE_IS_PRIVATE",
        0x11a => "NAMESPACE_NOT_ATTACHED",
        0x11d => "SELF_TEST_IN_PROGRESS",
        0x180 => "CONFLICTING_ATTRIBUTES",
        0x182 => "WRITE_TO_READ_ONLY_RANGE",
        0x280 => "WRITE_FAULT",
        0x281 => "UNRECOVERED_READ_ERROR",
        0x282 => "GUARD_CHECK_ERROR",
        0x283 => "APPLICATION_TAG_CHECK_ERROR",
        0x284 => "REFERENCE_TAG_CHECK_ERROR",
        0x285 => "COMPARE_FAILURE",
        0x286 => "ACCESS_DENIED",
        0x370 => "HOST_PATH_ERROR",
        0x371 => "HOST_ABORTED_COMMAND",
        other => return format!("status_0x{other:03x}").into(),
    };
    name.into()
}
