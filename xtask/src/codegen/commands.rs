//! The commands of one header: which macros they are, and their numbers.

use super::{
    compiler::{self, ARM64, Abi, Compiler, NARROW, Values, WIDE},
    headers::File,
    macros::{self, Macro, Macros},
    rules,
};
use std::collections::BTreeMap;

/// A command whose number depends on a length or an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Family {
    pub(super) name: String,
    pub(super) value: u32,
    /// Bits that are the same in all its numbers.
    pub(super) mask: u32,
}

/// What a header says.
#[derive(Debug, Default)]
pub(super) struct Header {
    pub(super) name: String,
    /// Numbers and names in 64-bit programs, one name for each number.
    pub(super) wide: BTreeMap<u32, String>,
    /// Numbers that 32-bit programs have and 64-bit ones have not, or for something else.
    pub(super) narrow: BTreeMap<u32, String>,
    pub(super) families: Vec<Family>,
    pub(super) problems: Vec<String>,
    pub(super) aliases: Vec<String>,
}

impl Header {
    pub(super) fn is_empty(&self) -> bool {
        self.wide.is_empty() && self.narrow.is_empty() && self.families.is_empty()
    }
}

/// Reads a header; what cannot be read is among its problems.
pub(super) fn read(compiler: &Compiler, file: &File) -> Header {
    let mut header = Header { name: file.name.clone(), ..Header::default() };
    let plain = rules::PLAIN.iter().find(|(name, ..)| *name == file.name);
    // Whoever builds numbers names a builder, or a macro that is called after one.
    let builds = ["_IO", "DRM_IO", "IOWR"].iter().any(|sign| file.text.contains(sign));
    if plain.is_none() && !builds || rules::NOT_READ.iter().any(|(name, _)| *name == file.name) {
        return header;
    }
    let macros = match find(compiler, file) {
        Ok(macros) => macros,
        Err(why) => {
            header.problems.push(format!("{}: {why}", file.name));
            return header;
        }
    };
    let own = macros.own();
    let commands: Vec<&&Macro> = own.iter().filter(|each| macros.is_command(each)).collect();
    let mut names: Vec<String> = Vec::new();
    for each in &own {
        let is_plain = plain.is_some_and(|(_, starts, _)| starts.iter().any(|s| each.name.starts_with(s)));
        let ignored = rules::IGNORED.contains(&(file.name.as_str(), each.name.as_str()));
        if each.parameters.is_none() && !ignored && (is_plain || macros.is_command(each)) {
            names.push(each.name.clone());
        }
    }
    names.extend(macros::enumerated(&file.text));
    names.dedup();
    if !names.is_empty() {
        header.numbers(compiler, file, &names, plain.map(|(_, _, range)| range));
    }
    for each in commands.iter().filter(|each| each.parameters.is_some()) {
        header.family(compiler, file, each);
    }
    header
}

impl Header {
    /// The numbers of plain macros.
    fn numbers(
        &mut self,
        compiler: &Compiler,
        file: &File,
        names: &[String],
        range: Option<&std::ops::RangeInclusive<u32>>,
    ) {
        let wide = evaluate(compiler, file, names, WIDE);
        let differs = rules::BY_ARCHITECTURE.contains(&file.name.as_str());
        let arm64 = if differs { evaluate(compiler, file, names, ARM64) } else { Values::default() };
        // What has no value in 64-bit programs has none in others.
        let valued: Vec<String> =
            names.iter().filter(|name| wide.values.contains_key(*name)).cloned().collect();
        let abis: &[Abi] = if compiler.narrow { &NARROW } else { &[] };
        let narrow: Vec<Values> = abis.iter().map(|abi| evaluate(compiler, file, &valued, *abi)).collect();
        let inside = |value: &u32| range.is_none_or(|range| range.contains(value) || *value > 0xffff);
        for values in [&wide].into_iter().chain(&narrow) {
            for (name, why) in values.failed.iter().filter(|(name, _)| !arm64.values.contains_key(*name)) {
                self.problems.push(format!("{}: {name}: {why}", self.name));
            }
        }
        // Names by number, in the header's order.
        let by_number = |values: &Values| {
            let mut all: BTreeMap<u32, Vec<String>> = BTreeMap::new();
            for name in names {
                if let Some(number) = values.values.get(name).filter(|number| inside(number)) {
                    all.entry(*number).or_default().push(name.clone());
                }
            }
            all
        };
        for (number, names) in by_number(&wide) {
            let winner = self.winner(names);
            self.wide.insert(number, winner);
        }
        for (number, names) in by_number(&arm64) {
            if !self.wide.contains_key(&number) {
                let winner = self.winner(names);
                self.wide.insert(number, winner);
            }
        }
        for values in &narrow {
            for (number, names) in by_number(values) {
                let before = self.narrow.get(&number).or_else(|| self.wide.get(&number));
                if before.is_some_and(|name| names.contains(name)) {
                    continue;
                }
                let names = self.narrow.get(&number).cloned().into_iter().chain(names).collect();
                let winner = self.winner(names);
                self.narrow.insert(number, winner);
            }
        }
    }

    /// The one of the names for one number that is kept.
    fn winner(&mut self, mut names: Vec<String>) -> String {
        let decided = names.iter().position(|name| {
            rules::WINNERS.iter().any(|(header, winner)| *header == self.name && winner == name)
        });
        let winner = names.remove(decided.unwrap_or(0));
        for loser in names {
            let how = if decided.is_some() { "by rule" } else { "undecided: the first" };
            let line = format!("{}: {winner} over {loser}, {how}", self.name);
            if !self.aliases.contains(&line) {
                self.aliases.push(line);
            }
        }
        winner
    }

    /// A macro over a length or an index.
    fn family(&mut self, compiler: &Compiler, file: &File, each: &Macro) {
        let Some(parameters) = rules::FAMILIES
            .iter()
            .find_map(|(header, name, most)| (*header == file.name && *name == each.name).then_some(*most))
        else {
            if !rules::HELPERS.contains(&(file.name.as_str(), each.name.as_str())) {
                self.problems.push(format!(
                    "{}: {} takes arguments, and no rule says which they may be",
                    self.name, each.name
                ));
            }
            return;
        };
        // Every bit of every argument by itself, then all of them.
        let mut calls = vec![parameters.iter().map(|_| 0).collect::<Vec<u32>>()];
        for (place, most) in parameters.iter().enumerate() {
            for bit in (0..32).map(|bit| 1_u32 << bit).filter(|bit| bit <= most) {
                let mut arguments = vec![0; parameters.len()];
                arguments[place] = bit;
                calls.push(arguments);
            }
        }
        calls.push(parameters.to_vec());
        let calls: Vec<String> = calls
            .iter()
            .map(|arguments| {
                let arguments: Vec<String> = arguments.iter().map(u32::to_string).collect();
                format!("{}({})", each.name, arguments.join(","))
            })
            .collect();
        let values = evaluate(compiler, file, &calls, WIDE);
        if let Some((call, why)) = values.failed.first_key_value() {
            self.problems.push(format!("{}: {call}: {why}", self.name));
            return;
        }
        let first = values.values.values().next().copied().unwrap_or(0);
        let varying = values.values.values().fold(0, |bits, value| bits | value ^ first);
        self.families.push(Family { name: each.name.clone(), value: first & !varying, mask: !varying });
    }
}

/// The macros that are defined with the header included, with as little else as it takes.
pub(super) fn find(compiler: &Compiler, file: &File) -> Result<Macros, String> {
    let mut why = String::new();
    for prelude in rules::preludes(&file.name) {
        match compiler.macros(&source(file, &prelude), &file.path) {
            Ok(macros) => return Ok(macros),
            Err(err) => why = compiler::reason(&err.to_string()),
        }
    }
    Err(why)
}

/// Values of expressions with the header included; for those that fail so, with more before it.
pub(super) fn evaluate(compiler: &Compiler, file: &File, expressions: &[String], abi: Abi) -> Values {
    let mut all = Values::default();
    let mut left = expressions.to_vec();
    let mut last = String::new();
    for prelude in rules::preludes(&file.name) {
        last = source(file, &prelude);
        let values = compiler.evaluate(&last, &left, abi);
        all.values.extend(values.values);
        left.retain(|each| values.failed.contains_key(each));
        all.failed.extend(values.failed);
        if left.is_empty() {
            break;
        }
    }
    // A broken one may have taken its neighbours with it.
    if expressions.len() > 1 {
        for each in &left {
            let alone = compiler.evaluate(&last, std::slice::from_ref(each), abi);
            all.values.extend(alone.values);
            all.failed.extend(alone.failed);
        }
    }
    all.failed.retain(|each, _| !all.values.contains_key(each));
    all
}

fn source(file: &File, prelude: &str) -> String {
    format!("{prelude}#include \"{}\"\n", file.path.display())
}
