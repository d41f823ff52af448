//! The functions that are hooked, by their names in symbol tables.

use tracer_common::tls::Library;
use tracer_common::tls::cookie::{COUNT_BEHIND, LIBRARY_SHIFT, OUTWARD, UNSEEN, WIDE};

/// Names of C functions with the bits of their cookie. `openssl/ssl.h`, `gnutls/gnutls.h`.
const FUNCTIONS: &[(&str, Library, u64)] = &[
    ("SSL_read", Library::Openssl, 0),
    ("SSL_read_ex", Library::Openssl, COUNT_BEHIND),
    ("SSL_write", Library::Openssl, OUTWARD),
    ("SSL_write_ex", Library::Openssl, OUTWARD | COUNT_BEHIND),
    // SSL *, int fd, off_t offset, size_t size, int flags.
    ("SSL_sendfile", Library::Openssl, OUTWARD | WIDE | UNSEEN),
    ("gnutls_record_recv", Library::Gnutls, WIDE),
    ("gnutls_record_recv_seq", Library::Gnutls, WIDE),
    ("gnutls_record_send", Library::Gnutls, OUTWARD | WIDE),
    ("gnutls_record_send2", Library::Gnutls, OUTWARD | WIDE),
];

/// Whether a table of names may have one of them.
pub(super) fn are_in(names: &[u8]) -> bool {
    let has = |name: &[u8]| memchr::memmem::find(names, name).is_some();
    has(b"\0SSL_read\0") || has(b"\0gnutls_record_recv\0")
}

/// The cookie of a C function that is to be hooked.
pub(super) fn cookie(name: &str) -> Option<u64> {
    let (_, library, bits) = FUNCTIONS.iter().find(|(known, ..)| *known == name)?;
    Some(bits | (*library as u64) << LIBRARY_SHIFT)
}
