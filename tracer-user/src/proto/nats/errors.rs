//! Names of what the server says with `-ERR`.

/// Names of the server's errors, by how their texts begin.
const ERRORS: [(&str, &str); 21] = [
    ("Unknown Protocol Operation", "unknown_protocol_operation"),
    ("Attempted To Connect To Route Port", "wrong_port"),
    ("Attempted To Connect To Leaf Node Port", "wrong_port"),
    ("Authorization Violation", "authorization_violation"),
    ("Authorization Timeout", "authorization_timeout"),
    ("Authentication Timeout", "authentication_timeout"),
    ("Authentication Expired", "authentication_expired"),
    ("User Authentication Expired", "authentication_expired"),
    ("User Authentication Revoked", "authentication_revoked"),
    ("Account Authentication Expired", "account_authentication_expired"),
    ("Invalid Client Protocol", "invalid_client_protocol"),
    ("Maximum Control Line Exceeded", "maximum_control_line_exceeded"),
    ("Parser Error", "parser_error"),
    ("Secure Connection - TLS Required", "tls_required"),
    ("Stale Connection", "stale_connection"),
    ("Maximum Connections Exceeded", "maximum_connections_exceeded"),
    ("Maximum Subscriptions Exceeded", "maximum_subscriptions_exceeded"),
    ("Slow Consumer", "slow_consumer"),
    ("Maximum Payload Violation", "maximum_payload_violation"),
    ("Invalid ", "invalid_subject"),
    ("Permissions Violation", "permissions_violation"),
];

/// Those with which the server answers a CONNECT, and nothing else.
pub(super) const REFUSALS: [&str; 7] = [
    "authorization_violation",
    "authorization_timeout",
    "authentication_timeout",
    "maximum_connections_exceeded",
    "invalid_client_protocol",
    "tls_required",
    "wrong_port",
];

/// The name of the error whose text is `rest`.
pub(super) fn error_name(rest: &[u8]) -> &'static str {
    let text = rest.strip_prefix(b"'").unwrap_or(rest);
    let begins =
        |name: &str| text.get(..name.len()).is_some_and(|part| part.eq_ignore_ascii_case(name.as_bytes()));
    ERRORS.iter().find(|(known, _)| begins(known)).map_or("other", |(_, name)| name)
}
