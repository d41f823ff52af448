//! `iotrail devices`: the device nodes of this host.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use iotrail::host::devices;
use iotrail::model::command::Device;

use super::ListFormat;
use super::exit::{Failure, print};

/// List the device nodes that iotrail can trace
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only this class (`tty`, `i2c`, …).
    #[arg(long)]
    class: Option<String>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = ListFormat::Table)]
    format: ListFormat,
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let known = devices::classes();
    if let Some(class) = &options.class
        && !known.contains(&class.as_str())
    {
        return Err(Failure::usage(format!(
            "unknown device class `{class}`: use one of {}",
            known.join(", ")
        )));
    }
    let mut paths = Vec::new();
    nodes(Path::new("/dev"), &mut paths);
    let mut found: Vec<Device> = paths
        .iter()
        .filter_map(|path| {
            Some(Device { path: path.to_str()?.into(), ..devices::describe(devices::node_number(path)?) })
        })
        .filter(|device| match &options.class {
            Some(class) => device.class == class,
            None => known.contains(&device.class),
        })
        .collect();
    found.sort_by(|a, b| (a.class, &a.path).cmp(&(b.class, &b.path)));
    match options.format {
        ListFormat::Table => {
            let width = found.iter().map(|device| device.path.len()).max().unwrap_or(4);
            let mut text = format!("{:8}  {:width$}  {:>8}  ID\n", "CLASS", "PATH", "NUMBER");
            for Device { number, class, path, id } in &found {
                let number = format!("{}:{}", number.major, number.minor);
                // Writing to memory does not fail.
                let _ = writeln!(text, "{class:8}  {path:width$}  {number:>8}  {id}");
            }
            print(&text)
        }
        ListFormat::Json => {
            let list: Vec<_> = found
                .iter()
                .map(|device| {
                    serde_json::json!({
                        "class": device.class, "path": *device.path, "id": *device.id,
                        "major": device.number.major, "minor": device.number.minor,
                    })
                })
                .collect();
            print(&format!("{}\n", serde_json::Value::from(list)))
        }
    }
}

/// Device nodes below a folder; links are other names of them and left out.
fn nodes(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => nodes(&entry.path(), out),
            Ok(kind) if !kind.is_symlink() && !kind.is_file() => out.push(entry.path()),
            _ => {}
        }
    }
}
