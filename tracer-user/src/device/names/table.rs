//! What the generated tables are made of.

/// Numbers and their names, sorted by number.
pub(super) type Names = &'static [(u32, &'static str)];

/// The commands of one kernel header.
pub(super) struct Header {
    /// As programs include it.
    #[allow(dead_code, reason = "for tests, and for who reads the tables")]
    pub(super) name: &'static str,
    /// Numbers that 64-bit programs give.
    pub(super) wide: Names,
    /// Numbers that 32-bit programs (i386 and arm, with `time_t` of 32 and 64 bits) give for another name, or that
    /// only they give.
    pub(super) narrow: Names,
    /// Commands whose number depends on a length or an index: value, and the bits that must be as in it.
    pub(super) families: &'static [(u32, u32, &'static str)],
}

impl Header {
    /// The name of `command`, first among those of the program's own kind.
    pub(super) fn find(&self, compat: bool, command: u32) -> Option<&'static str> {
        let (first, second) = if compat { (self.narrow, self.wide) } else { (self.wide, self.narrow) };
        named(first, command).or_else(|| named(second, command)).or_else(|| self.find_family(command))
    }

    /// The name of `command` without its length or index.
    pub(super) fn find_family(&self, command: u32) -> Option<&'static str> {
        let fits = |(value, mask, _): &&(u32, u32, &str)| command & mask == *value;
        self.families.iter().find(fits).map(|(.., name)| *name)
    }

    /// The name of the only command with this letter and number, whatever direction and size it has: for drivers that
    /// look no further, and whose structures grow from kernel to kernel.
    pub(super) fn find_by_number(&self, command: u32) -> Option<&'static str> {
        let alike = |(number, _): &&(u32, &str)| number & 0xffff == command & 0xffff;
        let mut names = self.wide.iter().chain(self.narrow).filter(alike).map(|(_, name)| *name);
        let first = names.next()?;
        names.all(|name| name == first).then_some(first)
    }
}

/// Looks a number up.
pub(super) fn named(names: Names, number: u32) -> Option<&'static str> {
    let place = names.binary_search_by_key(&number, |(number, _)| *number).ok()?;
    names.get(place).map(|(_, name)| *name)
}
