//! libFuzzer's program: one target, named by `IOTRAIL_FUZZ_TARGET`. Started by `cargo xtask fuzz`.
#![no_main]

use std::sync::OnceLock;

use tracer_fuzz::Target;

static TARGET: OnceLock<Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(
    init: {
        let name = std::env::var("IOTRAIL_FUZZ_TARGET").unwrap_or_default();
        let names = tracer_fuzz::targets().map(|target| target.to_string()).collect::<Vec<_>>().join(" ");
        if name.is_empty() {
            println!("{names}");
            std::process::exit(0);
        }
        let target = tracer_fuzz::targets().find(|target| target.to_string() == name);
        let target = target.unwrap_or_else(|| panic!("no target `{name}`: {names}"));
        TARGET.get_or_init(|| target);
    },
    |data: &[u8]| {
        if let Some(target) = TARGET.get() {
            target.run(data);
        }
    }
);
