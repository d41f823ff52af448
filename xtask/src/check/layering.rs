//! Who may see whom inside `tracer-user`, and what the pure layers may not touch.

use super::rust::{self, NamedPath};
use std::path::Path;

/// A module at the top of `tracer-user` and what it may see.
struct Layer {
    name: &'static str,
    /// Modules at the top, and `common` for the crate that both sides of the kernel share.
    sees: &'static [&'static str],
    /// Bytes and time in, events out: no I/O, no clock, no threads, no `async`, no `unsafe`.
    pure: bool,
}

/// In the order of the data's way. Everyone sees itself and `names`.
const LAYERS: &[Layer] = &[
    Layer { name: "names", sees: &[], pure: true },
    Layer { name: "kernel", sees: &["common"], pure: false },
    Layer { name: "model", sees: &["common"], pure: true },
    // What only `/proc`, `/sys` and the clock can tell.
    Layer { name: "host", sees: &["common", "model"], pure: false },
    Layer { name: "decode", sees: &["common", "model"], pure: true },
    Layer { name: "track", sees: &["common", "decode", "model"], pure: true },
    Layer { name: "proto", sees: &["common", "decode", "model", "track"], pure: true },
    Layer { name: "device", sees: &["common", "decode", "model", "track"], pure: true },
    Layer { name: "span", sees: &["common", "decode", "model", "track", "proto", "device"], pure: true },
    Layer {
        name: "causality",
        sees: &["common", "decode", "model", "track", "proto", "device", "span"],
        pure: true,
    },
    Layer { name: "store", sees: &["model"], pure: false },
    Layer { name: "export", sees: &["model"], pure: false },
    Layer { name: "serve", sees: &["model"], pure: false },
    Layer {
        name: "pipeline",
        sees: &[
            "common",
            "kernel",
            "host",
            "model",
            "decode",
            "track",
            "proto",
            "device",
            "span",
            "causality",
            "store",
            "export",
            "serve",
            "config",
        ],
        pure: false,
    },
    // What the command line and the configuration file ask for.
    Layer { name: "config", sees: &["common", "model"], pure: false },
];

/// Modules of the program, as opposed to the library: they see all.
const PROGRAM: [&str; 2] = ["main", "cli"];
/// Crates that pure layers do without: I/O, clocks, threads and what brings them.
const IMPURE_CRATES: [&str; 12] = [
    "tokio", "aya", "libc", "procfs", "tracing", "tonic", "axum", "reqwest", "hyper", "rustix", "nix",
    "btf_rs",
];
/// Parts of the standard library that pure layers do without.
const IMPURE_STD: [&str; 5] = ["fs", "thread", "process", "env", "os"];
/// What they may have of `std::time`.
const PURE_TIME: [&str; 1] = ["Duration"];
/// What they may have of `std::net`.
const PURE_NET: [&str; 7] =
    ["IpAddr", "Ipv4Addr", "Ipv6Addr", "SocketAddr", "SocketAddrV4", "SocketAddrV6", "AddrParseError"];
/// Words that pure layers do without.
const IMPURE_WORDS: [&str; 3] = ["unsafe", "async", "await"];

/// What is wrong in the file `inside` (relative to `tracer-user/src`): line and words.
pub(super) fn breaches(inside: &Path, text: &str) -> Vec<(usize, String)> {
    let module = module(inside);
    let mut wrong = Vec::new();
    let top = match module.first() {
        // lib.rs only lists the modules.
        None => return wrong,
        Some(top) if PROGRAM.contains(&top.as_str()) => return wrong,
        Some(top) => top,
    };
    let Some(layer) = LAYERS.iter().find(|layer| layer.name == top) else {
        wrong.push((1, format!("`{top}` is no layer: say in xtask/src/check/layering.rs what it may see")));
        return wrong;
    };
    for path in rust::paths(&rust::code_only(text)) {
        let seen = seen(&module, &path);
        if let Some(seen) = seen
            && seen != layer.name
            && seen != "names"
            && !layer.sees.contains(&seen.as_str())
            // An item at the crate's root, e.g. a macro, is no layer.
            && (seen == "common" || PROGRAM.contains(&seen.as_str()) || LAYERS.iter().any(|layer| layer.name == seen))
        {
            wrong.push((path.line, format!("`{}` must not see `{seen}`", layer.name)));
        }
        if layer.pure
            && !is_test(&module, &path)
            && let Some(what) = impure(&path)
        {
            wrong.push((path.line, format!("`{}` is pure: no `{what}`", layer.name)));
        }
    }
    wrong
}

/// `proto/mqtt.rs` is the module `proto::mqtt`; `lib.rs` is the root.
fn module(inside: &Path) -> Vec<String> {
    let stem = inside.with_extension("");
    let parts: Vec<String> = stem.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts == ["lib"] { Vec::new() } else { parts }
}

/// The module at the top that a path leads to, or `common`; `None` if it leads out of the crate.
fn seen(module: &[String], path: &NamedPath) -> Option<String> {
    let mut here: Vec<&str> = module.iter().chain(&path.modules).map(String::as_str).collect();
    let mut parts = path.parts.iter().map(String::as_str).peekable();
    match *parts.peek()? {
        "tracer_common" => return Some("common".to_owned()),
        "crate" | "iotrail" => {
            parts.next();
            here.clear();
        }
        "self" | "super" => {
            while let Some(part) = parts.next_if(|part| matches!(*part, "self" | "super")) {
                if part == "super" {
                    here.pop();
                }
            }
        }
        _ => return None,
    }
    let first = here.first().copied().or_else(|| parts.next())?;
    Some(first.to_owned())
}

/// Tests may read files of examples and use what they like of the standard library.
fn is_test(module: &[String], path: &NamedPath) -> bool {
    module.iter().chain(&path.modules).any(|name| name == "tests" || name.ends_with("_tests"))
}

fn impure(path: &NamedPath) -> Option<String> {
    let parts: Vec<&str> = path.parts.iter().map(String::as_str).collect();
    let bad = match parts.as_slice() {
        [word] => IMPURE_WORDS.contains(word),
        ["std" | "core" | "alloc", "time", rest @ ..] => {
            !matches!(rest, [first, ..] if PURE_TIME.contains(first))
        }
        ["std" | "core" | "alloc", "net", rest @ ..] => {
            !matches!(rest, [first, ..] if PURE_NET.contains(first))
        }
        ["std", part, ..] => IMPURE_STD.contains(part),
        [first, ..] => IMPURE_CRATES.contains(first),
        [] => false,
    };
    bad.then(|| parts.join("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(file: &str, text: &str) -> Vec<String> {
        breaches(Path::new(file), text).into_iter().map(|(line, what)| format!("{line}: {what}")).collect()
    }

    #[test]
    fn a_wrong_import_is_a_breach() {
        for (file, text, expected) in [
            ("proto/mqtt.rs", "use crate::device::Device;", "1: `proto` must not see `device`"),
            ("device.rs", "\nuse crate::{model, proto::Frame};", "2: `device` must not see `proto`"),
            ("device/tty.rs", "fn f() { super::super::kernel::x() }", "1: `device` must not see `kernel`"),
            ("model.rs", "use super::span;", "1: `model` must not see `span`"),
            (
                "model/op.rs",
                "mod tests { use super::super::super::track; }",
                "1: `model` must not see `track`",
            ),
            ("track/stream.rs", "use crate::span::*;", "1: `track` must not see `span`"),
            ("span.rs", "use crate::causality::Edge;", "1: `span` must not see `causality`"),
            ("causality.rs", "use crate::pipeline;", "1: `causality` must not see `pipeline`"),
            ("export/otlp.rs", "use crate::span::Builder;", "1: `export` must not see `span`"),
            ("export/otlp.rs", "use tracer_common::call::Call;", "1: `export` must not see `common`"),
            ("serve.rs", "use crate::export;", "1: `serve` must not see `export`"),
            ("store.rs", "use iotrail::track;", "1: `store` must not see `track`"),
            ("kernel/ring.rs", "use crate::model::time::At;", "1: `kernel` must not see `model`"),
            ("pipeline.rs", "use crate::cli;", "1: `pipeline` must not see `cli`"),
            ("names.rs", "use crate::model;", "1: `names` must not see `model`"),
            ("new.rs", "", "1: `new` is no layer: say in xtask/src/check/layering.rs what it may see"),
        ] {
            assert_eq!(wrong(file, text), [expected], "{file}: {text}");
        }
    }

    #[test]
    fn what_is_impure_is_a_breach_in_a_pure_layer_only() {
        for text in [
            "use std::fs;",
            "use std::net::TcpStream;",
            "use std::net;",
            "use std::{thread, net::IpAddr};",
            "let t = std::time::Instant::now();",
            "use std::time::{Duration, SystemTime};",
            "use std::time::*;",
            "use std::process::Command;",
            "use tokio::sync::mpsc;",
            "let x = libc::EIO;",
            "tracing::debug!(x);",
            "unsafe { x }",
            "async fn f() {}",
        ] {
            for file in [
                "model/op.rs",
                "track.rs",
                "proto/mqtt.rs",
                "device.rs",
                "span.rs",
                "causality.rs",
                "decode.rs",
            ] {
                assert_eq!(wrong(file, text).len(), 1, "{file}: {text}: {:?}", wrong(file, text));
            }
            for file in ["kernel.rs", "pipeline.rs", "export.rs", "main.rs"] {
                assert_eq!(wrong(file, text), [] as [&str; 0], "{file}: {text}");
            }
        }
    }

    #[test]
    fn what_the_rules_allow_is_no_breach() {
        for (file, text) in [
            ("lib.rs", "pub mod kernel; pub use pipeline::run;"),
            ("main.rs", "use iotrail::pipeline;"),
            ("cli.rs", "use iotrail::{config, pipeline};"),
            ("proto.rs", "use crate::{model::op::Op, names, track::Stream}; use tracer_common::call;"),
            ("proto/mqtt.rs", "use super::Outcome; use self::packets; mod packets { use super::Outcome; }"),
            ("causality/link.rs", "use crate::{span, proto, device, track, decode};"),
            ("serve/health.rs", "use crate::{model, names}; use std::fs; async fn f() { unsafe {} }"),
            ("span.rs", "use std::time::Duration; use std::net::{IpAddr, SocketAddr};"),
            ("span.rs", "// use crate::kernel;\nlet s = \"std::fs crate::pipeline\"; let async_ = 1;"),
            ("model/ids.rs", "mod tests { use std::fs; use super::*; }"),
            ("proto/mqtt/tests.rs", "use std::fs; use super::super::Outcome;"),
            ("track.rs", "crate::some_macro!(x);"),
        ] {
            assert_eq!(wrong(file, text), [] as [&str; 0], "{file}: {text}");
        }
    }
}
