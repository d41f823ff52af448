//! Symbol tables of programs and libraries.

use std::fs::File;

use object::elf::FileHeader64;
use object::read::elf::ElfFile;
use object::{Endianness, Object as _, ObjectSection as _, ObjectSegment as _, ObjectSymbol as _, ReadCache};
use tracer_common::tls::Hook;

use super::{functions, go};

type Elf<'data> = ElfFile<'data, FileHeader64<Endianness>, &'data ReadCache<File>>;

/// Hooks that are made in one file at most: the functions of all libraries, and some forty returns of each of Go's.
const HOOKS: usize = 512;

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
    // Tables of symbols are long; the names alone tell sooner whether there is anything in them.
    let named = |section: &str| {
        let names = elf.section_by_name(section).and_then(|section| section.data().ok());
        names.is_some_and(functions::are_in)
    };
    let (dynamic, all) = (named(".dynstr"), named(".strtab"));
    let symbols = elf.dynamic_symbols().take_while(|_| dynamic).chain(elf.symbols().take_while(|_| all));
    for symbol in symbols {
        if symbol.is_undefined() || symbol.address() == 0 {
            continue;
        }
        let Ok(name) = symbol.name() else { continue };
        let Some((programs, cookie)) = functions::wanted(name) else { continue };
        let Some(offset) = offset(&elf, symbol.address()) else { continue };
        hooks.extend(programs.iter().map(|program| Hook { offset, program: *program, cookie }));
    }
    hooks.extend(of_go(&elf));
    hooks.sort_unstable();
    // A function in both tables, or with two names, is hooked once.
    hooks.dedup_by_key(|hook| (hook.offset, hook.program));
    hooks.truncate(HOOKS);
    Some(hooks)
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
