//! Bodies that name themselves, so that whoever sees one anywhere knows which message it is.

/// A body of `size` bytes (at least its name's): the name `from-number`, then filling.
pub fn body(from: &str, number: u64, size: usize) -> Vec<u8> {
    let mut body = format!("{from}-{number:06}").into_bytes();
    if size > body.len() {
        body.push(b' ');
        body.resize(size.max(body.len()), b'.');
    }
    body
}

/// The name at the start of a body; empty if there is none.
pub fn head(body: &[u8]) -> String {
    let name = body.split(|byte| *byte == b' ').next().unwrap_or_default();
    String::from_utf8_lossy(&name[..name.len().min(64)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_begins_with_its_name() {
        for size in [0, 8, 9, 10, 5000] {
            let body = body("a", 7, size);
            assert_eq!(body.len(), size.max(8), "{size}");
            assert_eq!(head(&body), "a-000007");
        }
        assert_eq!(head(b""), "");
    }
}
