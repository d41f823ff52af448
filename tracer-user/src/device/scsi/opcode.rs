//! The words of SCSI: operations (SPC-5, SBC-4, MMC-6, SAT-4), status codes (SAM-5 5.3.1), and what the host adapter
//! says (`include/scsi/scsi_status.h`).

use std::borrow::Cow;

/// The operation of a command block; with a service action, that one.
pub(super) fn name(block: &[u8]) -> Option<Cow<'static, str>> {
    let opcode = *block.first()?;
    let action = block.get(1).map(|byte| byte & 0x1f);
    let name = match (opcode, action) {
        (0x9e, Some(0x10)) => "READ_CAPACITY_16",
        (0x9e, Some(0x12)) => "GET_LBA_STATUS",
        (0xa3, Some(0x0a)) => "REPORT_TARGET_PORT_GROUPS",
        (0xa3, Some(0x0c)) => "REPORT_SUPPORTED_OPERATION_CODES",
        (0xa3, Some(0x0d)) => "REPORT_SUPPORTED_TASK_MANAGEMENT_FUNCTIONS",
        (0xa3, Some(0x0f)) => "REPORT_TIMESTAMP",
        _ => match NAMES.binary_search_by_key(&opcode, |(number, _)| *number) {
            Ok(row) => NAMES.get(row).map_or("", |(_, name)| name),
            Err(_) => return Some(format!("0x{opcode:02x}").into()),
        },
    };
    Some(name.into())
}

/// The name of a status other than GOOD.
pub(super) fn status(status: u8) -> Option<Cow<'static, str>> {
    Some(match status & 0x7e {
        // CONDITION MET and the obsolete INTERMEDIATE ones are no failures.
        0x00 | 0x04 | 0x10 | 0x14 => return None,
        0x02 => "CHECK_CONDITION".into(),
        0x08 => "BUSY".into(),
        0x18 => "RESERVATION_CONFLICT".into(),
        0x22 => "COMMAND_TERMINATED".into(),
        0x28 => "TASK_SET_FULL".into(),
        0x30 => "ACA_ACTIVE".into(),
        0x40 => "TASK_ABORTED".into(),
        other => format!("status_0x{other:02x}").into(),
    })
}

/// The name of a host adapter's complaint.
pub(super) fn host_status(host: u16) -> Option<Cow<'static, str>> {
    const NAMES: &[&str] = &[
        "",
        "DID_NO_CONNECT",
        "DID_BUS_BUSY",
        "DID_TIME_OUT",
        "DID_BAD_TARGET",
        "DID_ABORT",
        "DID_PARITY",
        "DID_ERROR",
        "DID_RESET",
        "DID_BAD_INTR",
        "DID_PASSTHROUGH",
        "DID_SOFT_ERROR",
        "DID_IMM_RETRY",
        "DID_REQUEUE",
        "DID_TRANSPORT_DISRUPTED",
        "DID_TRANSPORT_FAILFAST",
    ];
    match NAMES.get(usize::from(host)) {
        Some(&"") => None,
        Some(name) => Some((*name).into()),
        None => Some(format!("host_status_{host}").into()),
    }
}

/// Operations, sorted.
const NAMES: &[(u8, &str)] = &[
    (0x00, "TEST_UNIT_READY"),
    (0x01, "REZERO_UNIT"),
    (0x03, "REQUEST_SENSE"),
    (0x04, "FORMAT_UNIT"),
    (0x05, "READ_BLOCK_LIMITS"),
    (0x07, "REASSIGN_BLOCKS"),
    (0x08, "READ_6"),
    (0x0a, "WRITE_6"),
    (0x0b, "SEEK_6"),
    (0x10, "WRITE_FILEMARKS"),
    (0x11, "SPACE"),
    (0x12, "INQUIRY"),
    (0x15, "MODE_SELECT_6"),
    (0x16, "RESERVE_6"),
    (0x17, "RELEASE_6"),
    (0x19, "ERASE"),
    (0x1a, "MODE_SENSE_6"),
    (0x1b, "START_STOP_UNIT"),
    (0x1c, "RECEIVE_DIAGNOSTIC_RESULTS"),
    (0x1d, "SEND_DIAGNOSTIC"),
    (0x1e, "PREVENT_ALLOW_MEDIUM_REMOVAL"),
    (0x23, "READ_FORMAT_CAPACITIES"),
    (0x25, "READ_CAPACITY_10"),
    (0x28, "READ_10"),
    (0x2a, "WRITE_10"),
    (0x2b, "SEEK_10"),
    (0x2e, "WRITE_AND_VERIFY_10"),
    (0x2f, "VERIFY_10"),
    (0x34, "PRE_FETCH_10"),
    (0x35, "SYNCHRONIZE_CACHE_10"),
    (0x37, "READ_DEFECT_DATA_10"),
    (0x3b, "WRITE_BUFFER"),
    (0x3c, "READ_BUFFER"),
    (0x3e, "READ_LONG_10"),
    (0x3f, "WRITE_LONG_10"),
    (0x41, "WRITE_SAME_10"),
    (0x42, "UNMAP"),
    (0x43, "READ_TOC_PMA_ATIP"),
    (0x46, "GET_CONFIGURATION"),
    (0x48, "SANITIZE"),
    (0x4a, "GET_EVENT_STATUS_NOTIFICATION"),
    (0x4c, "LOG_SELECT"),
    (0x4d, "LOG_SENSE"),
    (0x51, "READ_DISC_INFORMATION"),
    (0x52, "READ_TRACK_INFORMATION"),
    (0x53, "RESERVE_TRACK"),
    (0x54, "SEND_OPC_INFORMATION"),
    (0x55, "MODE_SELECT_10"),
    (0x5a, "MODE_SENSE_10"),
    (0x5b, "CLOSE_TRACK_SESSION"),
    (0x5e, "PERSISTENT_RESERVE_IN"),
    (0x5f, "PERSISTENT_RESERVE_OUT"),
    (0x7f, "VARIABLE_LENGTH"),
    (0x83, "THIRD_PARTY_COPY_OUT"),
    (0x84, "RECEIVE_COPY_RESULTS"),
    (0x85, "ATA_PASS_THROUGH_16"),
    (0x88, "READ_16"),
    (0x89, "COMPARE_AND_WRITE"),
    (0x8a, "WRITE_16"),
    (0x8b, "ORWRITE_16"),
    (0x8c, "READ_ATTRIBUTE"),
    (0x8d, "WRITE_ATTRIBUTE"),
    (0x8e, "WRITE_AND_VERIFY_16"),
    (0x8f, "VERIFY_16"),
    (0x90, "PRE_FETCH_16"),
    (0x91, "SYNCHRONIZE_CACHE_16"),
    (0x93, "WRITE_SAME_16"),
    (0x94, "ZBC_OUT"),
    (0x95, "ZBC_IN"),
    (0x9b, "READ_BUFFER_16"),
    (0x9c, "WRITE_ATOMIC_16"),
    (0x9d, "SERVICE_ACTION_BIDIRECTIONAL"),
    (0x9e, "SERVICE_ACTION_IN_16"),
    (0x9f, "SERVICE_ACTION_OUT_16"),
    (0xa0, "REPORT_LUNS"),
    (0xa1, "ATA_PASS_THROUGH_12"),
    (0xa2, "SECURITY_PROTOCOL_IN"),
    (0xa3, "MAINTENANCE_IN"),
    (0xa4, "MAINTENANCE_OUT"),
    (0xa8, "READ_12"),
    (0xaa, "WRITE_12"),
    (0xab, "SERVICE_ACTION_IN_12"),
    (0xac, "GET_PERFORMANCE"),
    (0xad, "READ_DISC_STRUCTURE"),
    (0xae, "WRITE_AND_VERIFY_12"),
    (0xaf, "VERIFY_12"),
    (0xb5, "SECURITY_PROTOCOL_OUT"),
    (0xb7, "READ_DEFECT_DATA_12"),
    (0xb9, "READ_CD_MSF"),
    (0xbb, "SET_CD_SPEED"),
    (0xbd, "MECHANISM_STATUS"),
    (0xbe, "READ_CD"),
];
