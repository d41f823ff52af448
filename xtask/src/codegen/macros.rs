//! The macros of a header, from the preprocessor's list of definitions.

use std::collections::BTreeMap;

/// What builds a command's number, `asm-generic/ioctl.h`.
const BUILDERS: [&str; 8] = ["_IO", "_IOR", "_IOW", "_IOWR", "_IOC", "_IOR_BAD", "_IOW_BAD", "_IOWR_BAD"];
/// What may stand beside them in a command's definition.
const DIRECTIONS: [&str; 3] = ["_IOC_NONE", "_IOC_READ", "_IOC_WRITE"];
/// How deep definitions are followed. The deepest real one is 5.
const DEPTH: usize = 12;

/// One macro.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Macro {
    pub(super) name: String,
    /// `None` for a plain one.
    pub(super) parameters: Option<usize>,
    body: String,
    /// In the header that was asked for, not in one that it includes.
    own: bool,
    order: usize,
}

impl Macro {
    /// Whether it stands for another macro instead of a value.
    pub(super) fn is_alias(&self) -> bool {
        let body = self.body.trim_matches(['(', ')']);
        body.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && body.chars().all(is_word)
    }
}

/// All macros that are defined once a header is included.
#[derive(Default)]
pub(super) struct Macros {
    all: BTreeMap<String, Macro>,
}

impl Macros {
    /// Reads the output of `cc -E -dD` for the header at `path`.
    pub(super) fn parse(output: &str, path: &str) -> Self {
        let mut all = BTreeMap::new();
        let mut own = false;
        for (order, line) in output.lines().enumerate() {
            if let Some(marker) = line.strip_prefix("# ") {
                own = marker.split('"').nth(1) == Some(path);
            } else if let Some(definition) = line.strip_prefix("#define ") {
                if let Some(found) = define(definition, own, order) {
                    all.insert(found.name.clone(), found);
                }
            } else if let Some(name) = line.strip_prefix("#undef ") {
                all.remove(name.trim());
            }
        }
        Self { all }
    }

    /// The header's own macros, in their order.
    pub(super) fn own(&self) -> Vec<&Macro> {
        let mut own: Vec<&Macro> = self.all.values().filter(|each| each.own).collect();
        own.sort_by_key(|each| each.order);
        own
    }

    /// Whether its definition builds the number of a command.
    pub(super) fn is_command(&self, each: &Macro) -> bool {
        self.builds(&each.body, DEPTH)
    }

    fn builds(&self, body: &str, depth: usize) -> bool {
        let mut found = false;
        for word in words(body) {
            if word.starts_with("_IOC_") && !DIRECTIONS.contains(&word) {
                // `_IOC_SIZE(COMMAND)` takes a number apart.
                return false;
            }
            if BUILDERS.contains(&word) {
                found = true;
            } else if let Some(inner) = self.all.get(word)
                && depth > 0
                && inner.body != body
            {
                found |= self.builds(&inner.body, depth - 1);
            }
        }
        found
    }
}

/// `NAME body`, `NAME(a, b) body`.
fn define(definition: &str, own: bool, order: usize) -> Option<Macro> {
    let end = definition.find(|c: char| !is_word(c)).unwrap_or(definition.len());
    let (name, rest) = definition.split_at(end);
    let (parameters, body) = match rest.strip_prefix('(') {
        Some(rest) => {
            let (parameters, body) = rest.split_once(')')?;
            (Some(parameters.split(',').filter(|name| !name.trim().is_empty()).count()), body)
        }
        None => (None, rest),
    };
    Some(Macro { name: name.to_owned(), parameters, body: body.trim().to_owned(), own, order })
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !is_word(c)).filter(|word| word.starts_with(|c: char| c.is_alphabetic() || c == '_'))
}

/// Constants of `enum`s that build a command's number: `BINDER_WRITE_READ = _IOWR('b', 1, struct …)`.
pub(super) fn enumerated(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text.lines() {
        let Some((name, value)) = line.split_once('=') else { continue };
        let (name, value) = (name.trim(), value.trim_start());
        let builder = value.split(|c: char| !is_word(c)).next().unwrap_or_default();
        if BUILDERS.contains(&builder) && !name.is_empty() && name.chars().all(is_word) {
            found.push(name.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "\
# 1 \"/i/asm-generic/ioctl.h\" 1
#define _IOC(dir,type,nr,size) (((dir) << 30) | ((nr) << 0))
#define _IOWR(type,nr,size) _IOC(3,(type),(nr),sizeof(size))
#define _IOC_SIZE(nr) (((nr) >> 16) & 16383)
# 5 \"/i/drm.h\" 2
#define BASE 'd'
#define DRM_IOWR(nr,type) _IOWR(BASE,nr,type)
#define VERSION DRM_IOWR(0x00, struct version)
#define GONE DRM_IOWR(1, int)
#undef GONE
#define AGAIN VERSION
#define SIZE _IOC_SIZE(VERSION)
#define LOOP LOOP
#define COUNT 12
";

    #[test]
    fn commands_are_what_builds_a_number_in_the_end() {
        let macros = Macros::parse(LIST, "/i/drm.h");
        let own = macros.own();
        let names: Vec<(&str, Option<usize>)> = own
            .iter()
            .filter(|each| macros.is_command(each))
            .map(|each| (each.name.as_str(), each.parameters))
            .collect();
        assert_eq!(names, [("DRM_IOWR", Some(2)), ("VERSION", None), ("AGAIN", None)]);
        assert_eq!(own.len(), 7, "those of the included header are not its own");
    }

    #[test]
    fn constants_of_enums_are_found_in_the_text() {
        let text = "enum {\n\tA\t= _IOWR('b', 1, struct a),\n B = 7,\n\tC = _IO(1, 2) };\nx.y = _IO(1,2);";
        assert_eq!(enumerated(text), ["A", "C"]);
    }
}
