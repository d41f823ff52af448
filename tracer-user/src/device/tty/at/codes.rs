//! Result codes: what modems say unasked, and the numbers of their errors.

/// Texts of `+CME ERROR`, TS 27.007, 9.2.1 and 9.2.2.
pub(super) static EQUIPMENT: &[(u16, &str)] = &[
    (0, "phone failure"),
    (1, "no connection to phone"),
    (2, "phone-adaptor link reserved"),
    (3, "operation not allowed"),
    (4, "operation not supported"),
    (5, "PH-SIM PIN required"),
    (6, "PH-FSIM PIN required"),
    (7, "PH-FSIM PUK required"),
    (10, "SIM not inserted"),
    (11, "SIM PIN required"),
    (12, "SIM PUK required"),
    (13, "SIM failure"),
    (14, "SIM busy"),
    (15, "SIM wrong"),
    (16, "incorrect password"),
    (17, "SIM PIN2 required"),
    (18, "SIM PUK2 required"),
    (20, "memory full"),
    (21, "invalid index"),
    (22, "not found"),
    (23, "memory failure"),
    (24, "text string too long"),
    (25, "invalid characters in text string"),
    (26, "dial string too long"),
    (27, "invalid characters in dial string"),
    (30, "no network service"),
    (31, "network timeout"),
    (32, "network not allowed - emergency calls only"),
    (40, "network personalization PIN required"),
    (41, "network personalization PUK required"),
    (42, "network subset personalization PIN required"),
    (43, "network subset personalization PUK required"),
    (44, "service provider personalization PIN required"),
    (45, "service provider personalization PUK required"),
    (46, "corporate personalization PIN required"),
    (47, "corporate personalization PUK required"),
    (100, "unknown"),
    (103, "Illegal MS"),
    (106, "Illegal ME"),
    (107, "GPRS services not allowed"),
    (111, "PLMN not allowed"),
    (112, "Location area not allowed"),
    (113, "Roaming not allowed in this location area"),
    (132, "service option not supported"),
    (133, "requested service option not subscribed"),
    (134, "service option temporarily out of order"),
    (148, "unspecified GPRS error"),
    (149, "PDP authentication failure"),
    (150, "invalid mobile class"),
];

/// Texts of `+CMS ERROR`, TS 27.005, 3.2.5.
pub(super) static MESSAGE: &[(u16, &str)] = &[
    (300, "ME failure"),
    (301, "SMS service of ME reserved"),
    (302, "operation not allowed"),
    (303, "operation not supported"),
    (304, "invalid PDU mode parameter"),
    (305, "invalid text mode parameter"),
    (310, "SIM not inserted"),
    (311, "SIM PIN required"),
    (312, "PH-SIM PIN required"),
    (313, "SIM failure"),
    (314, "SIM busy"),
    (315, "SIM wrong"),
    (316, "SIM PUK required"),
    (317, "SIM PIN2 required"),
    (318, "SIM PUK2 required"),
    (320, "memory failure"),
    (321, "invalid memory index"),
    (322, "memory full"),
    (330, "SMSC address unknown"),
    (331, "no network service"),
    (332, "network timeout"),
    (340, "no +CNMA acknowledgement expected"),
    (500, "unknown error"),
];

/// The name of an unsolicited result code: `RING`, `+CMTI`.
pub(super) fn unsolicited(line: &[u8]) -> Option<&str> {
    if line == b"RING" {
        return Some("RING");
    }
    let rest =
        line.strip_prefix(b"+").or_else(|| line.strip_prefix(b"^")).or_else(|| line.strip_prefix(b"*"))?;
    let length = rest.iter().take_while(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()).count();
    let named = (3..=16).contains(&length) && rest.first().is_some_and(u8::is_ascii_uppercase);
    let value = matches!(rest.get(length..), Some([b':', b' ', ..]));
    let name = line.get(..1 + length).filter(|_| named && value)?;
    std::str::from_utf8(name).ok()
}

/// Result codes of V.250 that are unsolicited where a call is up, and only there to be told from any other words.
pub(super) fn word(line: &[u8]) -> Option<&str> {
    ["NO CARRIER", "BUSY", "NO ANSWER", "NO DIALTONE"].into_iter().find(|word| line == word.as_bytes())
}

/// Whether an unsolicited result code is never part of another command's answer: TS 27.005, 3.4.1, and TS 27.007,
/// 6.11, 7.2, 7.6, 7.11.
pub(super) fn is_never_an_answer(name: &str) -> bool {
    matches!(
        name,
        "RING"
            | "+CRING"
            | "+CLIP"
            | "+CMTI"
            | "+CBMI"
            | "+CDSI"
            | "+CREG"
            | "+CGREG"
            | "+CEREG"
            | "+CCWA"
            | "+CSSU"
            | "+CUSD"
    )
}
