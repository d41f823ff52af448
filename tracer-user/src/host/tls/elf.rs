//! Symbol tables of programs and libraries.

use std::fs::File;

use object::elf::FileHeader64;
use object::read::elf::ElfFile;
use object::{Endianness, Object as _, ObjectSection as _, ObjectSegment as _, ReadCache};
use tracer_common::tls::{Hook, Program};

use super::{functions, go};

type Elf<'data> = ElfFile<'data, FileHeader64<Endianness>, &'data ReadCache<File>>;

/// Hooks that are made in one file at most: the functions of all libraries, and some forty returns of each of Go's.
const HOOKS: usize = 512;

/// Bytes of an entry of a table of symbols.
const SYMBOL: usize = 24;

/// Where the functions of TLS libraries are in an ELF file of this architecture. `None`: it is none.
#[must_use]
pub fn hooks(file: &File) -> Option<Vec<Hook>> {
    // The library needs a file of its own, since it moves in it.
    let cache = ReadCache::new(file.try_clone().ok()?);
    let elf = Elf::parse(&cache).ok()?;
    let native = if cfg!(target_arch = "aarch64") {
        object::Architecture::Aarch64
    } else {
        object::Architecture::X86_64
    };
    if elf.architecture() != native {
        return None;
    }
    let mut hooks = Vec::new();
    for (table, names) in [(".dynsym", ".dynstr"), (".symtab", ".strtab")] {
        let data = |name: &str| elf.section_by_name(name).and_then(|section| section.data().ok());
        let (Some(table), Some(names)) = (data(table), data(names)) else { continue };
        // Tables of symbols are long; the names alone tell sooner whether there is anything in them.
        if functions::are_in(names) {
            for (address, programs, cookie) in functions_in(table, names) {
                let Some(offset) = offset(&elf, address) else { continue };
                hooks.extend(programs.iter().map(|program| Hook { offset, program: *program, cookie }));
            }
        }
    }
    hooks.extend(of_go(&elf));
    hooks.sort_unstable();
    // A function in both tables, or with two names, is hooked once.
    hooks.dedup_by_key(|hook| (hook.offset, hook.program));
    hooks.truncate(HOOKS);
    Some(hooks)
}

/// The functions of a table of symbols that are to be hooked, with their addresses: `Elf64_Sym`, gABI chapter 4. Not by the
/// library's iterator, which goes to the file for every name.
fn functions_in<'a>(
    table: &'a [u8],
    names: &'a [u8],
) -> impl Iterator<Item = (u64, &'static [Program], u64)> + 'a {
    table.chunks_exact(SYMBOL).filter_map(|symbol| {
        let (name, rest) = symbol.split_first_chunk()?;
        let (address, _size) = rest.get(4..)?.split_first_chunk()?;
        let address = u64::from_le_bytes(*address);
        let name = names.get(usize::try_from(u32::from_le_bytes(*name)).ok()?..)?;
        // Undefined ones have no address.
        if address == 0 || !functions::may_be(name) {
            return None;
        }
        let name = std::str::from_utf8(name.get(..memchr::memchr(0, name)?)?).ok()?;
        let (programs, cookie) = functions::wanted(name)?;
        Some((address, programs, cookie))
    })
}

/// Hooks of a Go program.
fn of_go(elf: &Elf<'_>) -> Vec<Hook> {
    let table = elf.section_by_name(".gopclntab").or_else(|| elf.section_by_name(".data.rel.ro.gopclntab"));
    let Some(table) = table.and_then(|section| section.data().ok()) else { return Vec::new() };
    let text = elf.section_by_name(".text").map_or(0, |section| section.address());
    let code = |address: u64, length: u64| {
        let segment = elf.segments().find(|segment| {
            address.checked_sub(segment.address()).is_some_and(|into| into < segment.file_range().1)
        })?;
        segment.data_range(address, length).ok()?.map(<[u8]>::to_vec)
    };
    go::hooks(table, text, code, |address| offset(elf, address))
}

/// The place in the file of an address.
fn offset(elf: &Elf<'_>, address: u64) -> Option<u64> {
    elf.segments().find_map(|segment| {
        let into = address.checked_sub(segment.address())?;
        let (start, size) = segment.file_range();
        (into < size).then_some(start + into)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry: place of the name, kind and section, address, size.
    fn symbol(name: u32, address: u64) -> Vec<u8> {
        let mut bytes = name.to_le_bytes().to_vec();
        bytes.extend([0x12, 0, 1, 0]);
        bytes.extend(address.to_le_bytes());
        bytes.extend(64_u64.to_le_bytes());
        bytes
    }

    #[test]
    fn symbols_are_read_and_undefined_ones_are_not() {
        let names = b"\0SSL_write\0main\0SSL_read\0";
        let table = [symbol(1, 0x40), symbol(11, 0x80), symbol(16, 0), symbol(999, 0x90)].concat();
        let found: Vec<u64> = functions_in(&table, names).map(|(address, ..)| address).collect();
        assert_eq!(found, [0x40]);
        assert_eq!(functions_in(&table[..30], &names[..5]).count(), 0, "cut");
    }
}
