//! Just enough of Rust's syntax to find the paths that a file names: no types, no macros expanded.
//!
//! A full parser would cost more to compile than all the rest of `xtask`.

/// A path such as `std::fs::read`, with what is around it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NamedPath {
    /// From 1.
    pub(super) line: usize,
    /// Its parts; a group in a `use` makes one path for each of its members, a glob ends one with `*`.
    pub(super) parts: Vec<String>,
    /// Inline modules around it, outermost first.
    pub(super) modules: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    PathSeparator,
    Other(char),
}

/// The text with comments and the insides of strings and characters blanked; every line stays where it is.
pub(super) fn code_only(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut previous = ' ';
    while let Some(next) = rest.chars().next() {
        let length = match next {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => string(rest),
            'r' | 'b' | 'c' if !is_word(previous) => prefixed_string(rest).unwrap_or(0),
            '\'' => character(rest),
            _ => 0,
        };
        if length == 0 {
            out.push(next);
            rest = rest.get(next.len_utf8()..).unwrap_or_default();
            previous = next;
        } else {
            let (gone, left) = rest.split_at(length);
            out.extend(gone.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = left;
            previous = ' ';
        }
    }
    out
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Length of a block comment; they nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Length of an ordinary string that starts with its quote.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Length of a string with a prefix (`r`, `b`, `c`, `br`, `cr`, `#`s), if it is one.
fn prefixed_string(text: &str) -> Option<usize> {
    let letters = text.find(|c| !matches!(c, 'r' | 'b' | 'c'))?;
    let raw = text.get(..letters)?.contains('r');
    let after = text.get(letters..)?;
    let hashes = after.find(|c| c != '#')?;
    let quoted = after.get(hashes..)?;
    if !quoted.starts_with('"') || letters > 2 || (hashes > 0 && !raw) {
        return None;
    }
    if !raw {
        return Some(letters + string(quoted));
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let inside = quoted.get(1..)?;
    let length = inside.find(&end).map_or(inside.len(), |at| at + end.len());
    Some(letters + hashes + 1 + length)
}

/// Length of a character literal; 0 for a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            // What is escaped may itself be a quote.
            chars.next();
            chars.find(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 1)
        }
        Some(_) => chars.next().filter(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 1),
        None => 0,
    }
}

fn tokens(code: &str) -> Vec<(usize, Token)> {
    let mut tokens = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let mut rest = line;
        while let Some(next) = rest.chars().next() {
            let length = if is_word(next) {
                let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                tokens.push((number + 1, Token::Word(rest.get(..length).unwrap_or_default().to_owned())));
                length
            } else if rest.starts_with("::") {
                tokens.push((number + 1, Token::PathSeparator));
                2
            } else {
                if !next.is_whitespace() {
                    tokens.push((number + 1, Token::Other(next)));
                }
                next.len_utf8()
            };
            rest = rest.get(length..).unwrap_or_default();
        }
    }
    tokens
}

/// Every path in code that [`code_only`] has cleaned; a single word is one too.
pub(super) fn paths(code: &str) -> Vec<NamedPath> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    // Open braces; those of an inline module have its name.
    let mut braces: Vec<Option<String>> = Vec::new();
    let mut at = 0;
    while let Some((_, token)) = tokens.get(at) {
        let word = |at: usize| match tokens.get(at) {
            Some((_, Token::Word(word))) => Some(word.as_str()),
            _ => None,
        };
        match token {
            Token::Word(keyword) if keyword == "mod" => {
                if let (Some(name), Some((_, Token::Other('{')))) = (word(at + 1), tokens.get(at + 2)) {
                    braces.push(Some(name.to_owned()));
                    at += 2;
                }
                at += 1;
            }
            Token::Word(_) => {
                let start = found.len();
                at = path(&tokens, at, &mut Vec::new(), &mut found);
                let modules: Vec<String> = braces.iter().flatten().cloned().collect();
                for path in found.iter_mut().skip(start) {
                    path.modules.clone_from(&modules);
                }
            }
            Token::PathSeparator => {
                // `::name` at the start of a path; after one it was eaten there.
                at += 1;
            }
            Token::Other(other) => {
                match other {
                    '{' => braces.push(None),
                    '}' => drop(braces.pop()),
                    _ => {}
                }
                at += 1;
            }
        }
    }
    found
}

/// Follows a path from the word at `at`; returns where it ends.
fn path(
    tokens: &[(usize, Token)],
    mut at: usize,
    prefix: &mut Vec<String>,
    found: &mut Vec<NamedPath>,
) -> usize {
    let before = prefix.len();
    let mut line = 0;
    loop {
        match tokens.get(at) {
            Some((here, Token::Word(word))) => {
                line = *here;
                prefix.push(word.clone());
                at += 1;
            }
            Some((here, Token::Other('*'))) => {
                line = *here;
                prefix.push("*".to_owned());
                at += 1;
            }
            Some((_, Token::Other('{'))) => {
                at = group(tokens, at + 1, prefix, found);
                prefix.truncate(before);
                return at;
            }
            _ => break,
        }
        match tokens.get(at) {
            // A turbofish ends the path: what is in it is read as paths of its own.
            Some((_, Token::PathSeparator))
                if !matches!(tokens.get(at + 1), Some((_, Token::Other('<')))) =>
            {
                at += 1
            }
            _ => break,
        }
    }
    found.push(NamedPath { line, parts: prefix.clone(), modules: Vec::new() });
    prefix.truncate(before);
    at
}

/// The members of a `{…}` in a `use`; returns where it ends.
fn group(
    tokens: &[(usize, Token)],
    mut at: usize,
    prefix: &mut Vec<String>,
    found: &mut Vec<NamedPath>,
) -> usize {
    loop {
        match tokens.get(at) {
            None => return at,
            Some((_, Token::Other('}'))) => return at + 1,
            // The name that follows `as` is a new one, not a path.
            Some((_, Token::Word(word))) if word == "as" => at += 2,
            Some((_, Token::Word(_) | Token::Other('*'))) => at = path(tokens, at, prefix, found),
            Some(_) => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Vec<String> {
        paths(&code_only(text))
            .into_iter()
            .map(|path| path.parts.join("::"))
            .filter(|path| path.contains("::"))
            .collect()
    }

    #[test]
    fn comments_strings_and_characters_are_no_code() {
        for text in [
            "// std::fs\n",
            "/* std::fs /* std::fs */ std::fs */",
            "\"std::fs \\\" std::fs\"",
            "r#\"std::fs \" std::fs\"#",
            "b\"std::fs\" br\"std::fs\" c\"std::fs\"",
            "'\"' // std::fs",
            "'\\'' // std::fs",
            "//! crate::kernel",
        ] {
            assert_eq!(named(text), [] as [&str; 0], "{text}");
        }
    }

    #[test]
    fn code_beside_them_is() {
        for text in [
            "'\"'; std::fs",
            "fn f<'a>(x: &'a str) { std::fs }",
            "\"\\\\\"; std::fs",
            "r\"\\\"; std::fs",
            "br#\"\"#; std::fs",
            "'\\u{41}'; std::fs",
            "number::r#\"x\"#; std::fs",
        ] {
            assert!(named(text).contains(&"std::fs".to_owned()), "{text}: {:?}", named(text));
        }
        assert_eq!(code_only("a /* \n */ \"\n\" b").lines().count(), 3);
    }

    #[test]
    fn groups_make_a_path_for_each_member() {
        assert_eq!(
            named("use std::{fs, net::{IpAddr, TcpStream as Stream}, io::*};\nuse crate::{\n    model,\n};"),
            ["std::fs", "std::net::IpAddr", "std::net::TcpStream", "std::io::*", "crate::model"]
        );
        assert_eq!(named("Vec::<std::fs::File>::new()"), ["std::fs::File"]);
        assert_eq!(named("x = ::std::fs::read(y)?"), ["std::fs::read"]);
    }

    #[test]
    fn paths_know_their_modules() {
        let found = paths("mod a { fn f() { x::y } mod b { z::w } } v::u");
        let modules = |name: &str| {
            let path = found.iter().find(|path| path.parts.join("::") == name);
            path.map(|path| path.modules.join("::"))
        };
        assert_eq!(modules("x::y").as_deref(), Some("a"));
        assert_eq!(modules("z::w").as_deref(), Some("a::b"));
        assert_eq!(modules("v::u").as_deref(), Some(""));
    }
}
