//! Leaves out of the kernel programs' object what only debuggers read.
//!
//! The compiler's debug information becomes BTF when the programs are linked, and is of no use afterwards. It is half
//! of the object, which is embedded in the program and read when it starts, so it would be resident for as long as it runs.

use anyhow::{Context as _, Result};
use object::{
    build::elf::{Builder, SectionData},
    elf::SHT_STRTAB,
};

/// What the names of such sections begin with, and those of their relocations.
const NAMES: [&[u8]; 2] = [b".debug_", b".rel.debug_"];

/// `object` without debug information.
pub(super) fn strip(object: &[u8]) -> Result<Vec<u8>> {
    let mut elf = Builder::read(object).context("the kernel programs' object is no ELF file")?;
    for section in &mut elf.sections {
        section.delete |= NAMES.iter().any(|name| section.name.starts_with(name));
    }
    elf.delete_orphans();
    // LLVM has one table for the names of sections and symbols, the writer wants two.
    if !elf.sections.iter().any(|section| matches!(section.data, SectionData::SectionString)) {
        let names = elf.sections.add();
        names.name = b".shstrtab"[..].into();
        names.sh_type = SHT_STRTAB;
        names.sh_addralign = 1;
        names.data = SectionData::SectionString;
    }
    let mut stripped = Vec::new();
    elf.write(&mut stripped).context("cannot write the kernel programs' object")?;
    Ok(stripped)
}
