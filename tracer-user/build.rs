//! Puts the kernel programs into the binary.
//!
//! `cargo xtask build` compiles them first. Without them (a plain `cargo check`) the binary builds all the same and
//! says at start what is missing.
use std::path::PathBuf;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-env-changed=IOTRAIL_BPF_OBJECT");
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let object = env::var_os("IOTRAIL_BPF_OBJECT")
        .map_or_else(|| manifest.join("../target/bpf/iotrail.bpf.o"), PathBuf::from);
    println!("cargo::rerun-if-changed={}", object.display());
    let bytes = fs::read(&object).unwrap_or_default();
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("iotrail.bpf.o");
    if let Err(error) = fs::write(&out, bytes) {
        println!("cargo::error=cannot write {}: {error}", out.display());
    }
}
