//! Go programs: methods of `crypto/tls.Conn`, found in the table of functions that every Go program has, stripped or not.
//!
//! `src/runtime/symtab.go` (`pcHeader`, `_func`) and `src/cmd/link/internal/ld/pcln.go` of Go 1.18 and later, from which
//! on arguments are passed in registers on amd64 and arm64.

use tracer_common::tls::{Hook, Library, Program, cookie};

/// `runtime.go118PCLnTabMagic` and `runtime.go120PCLnTabMagic`.
const MAGICS: [u32; 2] = [0xffff_fff0, 0xffff_fff1];

/// Methods that are hooked, with the bits of their cookie. The NULs keep longer names from being taken for them.
const METHODS: [(&[u8], u64); 2] =
    [(b"\0crypto/tls.(*Conn).Read\0", 0), (b"\0crypto/tls.(*Conn).Write\0", cookie::OUTWARD)];

/// Bytes of a method at most; those of the library have some 2 KiB.
const LONGEST: u64 = 64 * 1024;

/// Entries of a table of functions at most: the greatest programs have some hundred thousand.
const FUNCTIONS: u64 = 1 << 22;

/// A method, by addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Method {
    start: u64,
    end: u64,
    cookie: u64,
}

/// Hooks of the methods in a table of functions. `text`: address of the program's code, where the table does not say it;
/// `code` gives the bytes of a range of addresses, `offset` an address's place in the file.
pub(super) fn hooks(
    table: &[u8],
    text: u64,
    code: impl Fn(u64, u64) -> Option<Vec<u8>>,
    offset: impl Fn(u64) -> Option<u64>,
) -> Vec<Hook> {
    let mut hooks = Vec::new();
    for method in methods(table, text).unwrap_or_default() {
        let Some(bytes) = code(method.start, method.end - method.start) else { continue };
        let returns = returns(&bytes);
        // Without its returns a method would seem to last for ever.
        if returns.is_empty() {
            continue;
        }
        let cookie = method.cookie | (Library::Go as u64) << cookie::LIBRARY_SHIFT;
        let begin = offset(method.start).map(|offset| Hook { offset, program: Program::GoBegin, cookie });
        let ends = returns.iter().filter_map(|at| {
            let offset = offset(method.start + *at as u64)?;
            Some(Hook { offset, program: Program::GoEnd, cookie })
        });
        hooks.extend(begin.into_iter().chain(ends));
    }
    hooks
}

fn methods(table: &[u8], text: u64) -> Option<Vec<Method>> {
    let magic = u32_at(table, 0)?;
    // Two zeros, the smallest instruction, the size of a pointer.
    if !MAGICS.contains(&magic) || table.get(4..6)? != [0, 0] || *table.get(7)? != 8 {
        return None;
    }
    let count = u64_at(table, 8)?;
    let start = match u64_at(table, 24)? {
        0 => text,
        start => start,
    };
    let names = table.get(usize::try_from(u64_at(table, 32)?).ok()?..)?;
    let functions = table.get(usize::try_from(u64_at(table, 64)?).ok()?..)?;
    if count > FUNCTIONS {
        return None;
    }
    let wanted: Vec<(u32, u64)> = METHODS
        .iter()
        .filter_map(|(name, cookie)| {
            let at = memchr::memmem::find(names, name)? + 1;
            Some((u32::try_from(at).ok()?, *cookie))
        })
        .collect();
    if wanted.is_empty() {
        return None;
    }
    let mut methods = Vec::new();
    for index in 0..usize::try_from(count).ok()? {
        // Pairs of the function's distance from the code's start and its description's from the table's; after the last
        // one the code's end.
        let (Some(from), Some(about), Some(to)) = (
            u32_at(functions, 8 * index),
            u32_at(functions, 8 * index + 4),
            u32_at(functions, 8 * index + 8),
        ) else {
            break;
        };
        let name = usize::try_from(about).ok().and_then(|about| u32_at(functions, about + 4));
        let Some((_, cookie)) = wanted.iter().find(|(wanted, _)| Some(*wanted) == name) else { continue };
        let (from, to) = (start + u64::from(from), start + u64::from(to));
        if from < to && to - from <= LONGEST {
            methods.push(Method { start: from, end: to, cookie: *cookie });
        }
        if methods.len() == wanted.len() {
            break;
        }
    }
    Some(methods)
}

/// Where a function's return instructions are, in bytes from its start.
fn returns(code: &[u8]) -> Vec<usize> {
    if cfg!(target_arch = "aarch64") { returns_arm64(code) } else { returns_amd64(code) }
}

/// `RET` of arm64 has one form in compiled code, and instructions have one length: ARM ARM, C6.2.
fn returns_arm64(code: &[u8]) -> Vec<usize> {
    const RET: [u8; 4] = 0xd65f_03c0_u32.to_le_bytes();
    code.chunks_exact(4).enumerate().filter(|(_, word)| *word == RET).map(|(index, _)| 4 * index).collect()
}

fn returns_amd64(code: &[u8]) -> Vec<usize> {
    let decoder = iced_x86::Decoder::new(64, code, iced_x86::DecoderOptions::NONE);
    decoder
        .into_iter()
        .filter(|instruction| instruction.mnemonic() == iced_x86::Mnemonic::Ret)
        .filter_map(|instruction| usize::try_from(instruction.ip()).ok())
        .collect()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table with these functions, each 16 bytes long.
    fn table(names: &[&str], start: u64) -> Vec<u8> {
        let mut all = vec![0];
        let mut places = Vec::new();
        for name in names {
            places.push(all.len() as u32);
            all.extend(name.bytes().chain([0]));
        }
        let (header, count) = (72, names.len());
        let functions = header + all.len();
        let mut bytes = 0xffff_fff1_u32.to_le_bytes().to_vec();
        bytes.extend([0, 0, 1, 8]);
        for word in [count as u64, 0, start, header as u64, 0, 0, 0, functions as u64] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(all);
        let about = 8 * count + 4;
        for index in 0..count {
            bytes.extend((16 * index as u32).to_le_bytes());
            bytes.extend(((about + 8 * index) as u32).to_le_bytes());
        }
        bytes.extend((16 * count as u32).to_le_bytes());
        for (index, place) in places.iter().enumerate() {
            bytes.extend((16 * index as u32).to_le_bytes());
            bytes.extend(place.to_le_bytes());
        }
        bytes
    }

    const NAMES: [&str; 4] =
        ["crypto/tls.(*Conn).ReadFrom", "main.main", "crypto/tls.(*Conn).Write", "crypto/tls.(*Conn).Read"];

    #[test]
    fn methods_are_found_by_their_whole_name() {
        let found = methods(&table(&NAMES, 0x1000), 0).expect("a table");
        assert_eq!(
            found,
            [
                Method { start: 0x1020, end: 0x1030, cookie: cookie::OUTWARD },
                Method { start: 0x1030, end: 0x1040, cookie: 0 },
            ]
        );
        let moved = methods(&table(&NAMES, 0), 0x7000).expect("a table");
        assert_eq!(moved[0].start, 0x7020, "the code's place is told by the file");
    }

    #[test]
    fn anything_else_is_no_table() {
        let whole = table(&NAMES, 0x1000);
        for length in 0..whole.len() {
            let _ = methods(&whole[..length], 0);
        }
        assert_eq!(methods(&[0xff; 200], 0), None);
        let mut many = whole;
        many[8..16].fill(0xff);
        assert_eq!(methods(&many, 0), None);
    }

    #[test]
    fn returns_are_instructions_and_not_bytes() {
        // mov eax, 0xc3c3c3c3; ret; add rsp, 8; pop rbp; ret
        let code = [0xb8, 0xc3, 0xc3, 0xc3, 0xc3, 0xc3, 0x48, 0x83, 0xc4, 0x08, 0x5d, 0xc3];
        assert_eq!(returns_amd64(&code), [5, 11]);
        let arm = [0xc0, 0x03, 0x5f, 0xd6, 0, 0, 0, 0, 0xc0, 0x03, 0x5f, 0xd6];
        assert_eq!(returns_arm64(&arm), [0, 8]);
    }
}
