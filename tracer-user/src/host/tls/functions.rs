//! The functions that are hooked, by their names in symbol tables.

use tracer_common::tls::cookie::{
    COUNT_BEHIND, INDIRECT, LIBRARY_SHIFT, OUTWARD, PAIR, SEGMENTS, UNSEEN, WIDE,
};
use tracer_common::tls::{Library, Program};

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
    // Without the end of the name before: linkers let a name be the end of a longer one.
    let has = |name: &[u8]| memchr::memmem::find(names, name).is_some();
    has(b"SSL_read\0") || has(b"gnutls_record_recv\0") || has(b"23take_received_plaintext")
}

/// The kernel programs that a function is to be hooked with, and its cookie.
pub(super) fn wanted(name: &str) -> Option<(&'static [Program], u64)> {
    let cookie = |library: Library, bits: u64| bits | (library as u64) << LIBRARY_SHIFT;
    if let Some((_, library, bits)) = FUNCTIONS.iter().find(|(known, ..)| *known == name) {
        return Some((&[Program::Begin, Program::End], cookie(*library, *bits)));
    }
    let mangled = name.starts_with("_ZN") || name.starts_with("_R");
    if !mangled || !name.contains("rustls") {
        return None;
    }
    if let Some(bits) = rustls_write(name) {
        let bits = bits | OUTWARD | PAIR | INDIRECT;
        return Some((&[Program::Begin, Program::End], cookie(Library::Rustls, bits)));
    }
    is_rustls_read(name).then(|| (&[Program::Given][..], cookie(Library::Rustls, 0)))
}

/// `write` and `write_vectored` of `<rustls::conn::connection::Writer as std::io::Write>`, mangled in the older way or the
/// newer, with the bits that tell them apart. The plaintext is their argument.
fn rustls_write(name: &str) -> Option<u64> {
    let is = |legacy: &str, newer: &str| {
        (name.contains("rustls..conn")
            && name.contains("Writer$u20$as$u20$std..io..Write$GT$")
            && name.contains(legacy))
            || (name.contains("6rustls4conn") && name.contains("6Writer") && name.ends_with(newer))
    };
    if is("$GT$5write17h", "5Write5write") {
        return Some(0);
    }
    is("$GT$14write_vectored17h", "5Write14write_vectored").then_some(SEGMENTS)
}

/// `rustls::common_state::CommonState::take_received_plaintext` (`conn` before 0.21): what a record held, before the
/// program asks for it. The functions that programs ask by are too small to be found in optimised programs.
fn is_rustls_read(name: &str) -> bool {
    name.contains("11CommonState23take_received_plaintext17h")
        || (name.contains("6rustls") && name.ends_with("23take_received_plaintext"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_found_by_their_whole_name() {
        let (programs, bits) = wanted("SSL_write_ex").expect("hooked");
        assert_eq!(programs, [Program::Begin, Program::End]);
        assert_eq!(bits, OUTWARD | COUNT_BEHIND | 1 << LIBRARY_SHIFT);
        for other in ["SSL_peek", "SSL_read_early_data", "my_SSL_read", "SSL_write_", "", "rustls"] {
            assert_eq!(wanted(other), None, "{other}");
        }
    }

    #[test]
    fn functions_of_rustls_are_found_in_either_mangling() {
        let write = [
            "_ZN67_$LT$rustls..conn..connection..Writer$u20$as$u20$std..io..Write$GT$5write17h1c0125c3178f3924E",
            "_RNvXs0_NtNtNtCsabc_6rustls4conn10connectionNtB5_6WriterNtNtCsdef_3std2io5Write5write",
        ];
        for name in write {
            let (programs, bits) = wanted(name).expect(name);
            assert_eq!((programs.len(), bits >> LIBRARY_SHIFT), (2, Library::Rustls as u64));
            assert_eq!(bits & (OUTWARD | PAIR | INDIRECT), OUTWARD | PAIR | INDIRECT);
        }
        let vectored =
            "_ZN67_$LT$rustls..conn..connection..Writer$u20$as$u20$std..io..Write$GT$14write_vectored17h8E";
        assert_eq!(wanted(vectored).map(|(_, bits)| bits & SEGMENTS), Some(SEGMENTS));
        let read = [
            "_ZN6rustls12common_state11CommonState23take_received_plaintext17h9b0e726254905628E",
            "_RNvMNtCsabc_6rustls12common_stateNtB2_11CommonState23take_received_plaintext",
        ];
        for name in read {
            assert_eq!(wanted(name), Some((&[Program::Given][..], 3 << LIBRARY_SHIFT)), "{name}");
        }
        let flush = "_ZN67_$LT$rustls..conn..connection..Writer$u20$as$u20$std..io..Write$GT$5flush17hbdafE";
        assert_eq!(wanted(flush), None);
    }
}
