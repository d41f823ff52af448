//! `iotrail doctor`: what this kernel allows, what is missing, what that costs, and the remedy.

use iotrail::host::tls::{Candidate, Found, system_libraries};
use iotrail::host::uevents::Uevents;
use iotrail::kernel::features::{Feature, probe};

use super::ListFormat;
use super::exit::{Failure, print};

/// Say what this machine allows iotrail to do
///
/// Tries each facility of the kernel for a moment and tells what is missing, what its absence costs and what to do
/// about it. Exit status 3 if nothing can be traced.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How to print it.
    #[arg(long, value_enum, default_value_t = ListFormat::Table)]
    format: ListFormat,
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let (mut features, trial) = probe();
    features.push(device_events());
    features.push(tls_libraries());
    match options.format {
        ListFormat::Table => print(&table(&features))?,
        ListFormat::Json => {
            let list: Vec<_> = features
                .iter()
                .map(|feature| {
                    serde_json::json!({
                        "name": feature.name,
                        "available": feature.available,
                        "required": feature.required,
                        "detail": feature.detail,
                        "consequence": feature.consequence,
                        "remedy": feature.remedy,
                    })
                })
                .collect();
            let programs: Vec<_> = trial
                .programs
                .iter()
                .map(|(name, count)| serde_json::json!({ "name": name, "verified_instructions": count }))
                .collect();
            print(&format!("{}\n", serde_json::json!({ "features": list, "programs": programs })))?;
        }
    }
    let missing: Vec<_> = features.iter().filter(|feature| feature.required && !feature.available).collect();
    match missing.first() {
        None => Ok(()),
        Some(first) => Err(Failure::denied(format!("this machine lacks {}: {}", first.name, first.remedy))),
    }
}

/// Whether the kernel says when devices come and go.
pub(super) fn device_events() -> Feature {
    let opened = Uevents::open();
    Feature {
        name: "device events",
        available: opened.is_ok(),
        required: false,
        detail: opened.err().map(|error| error.to_string()).unwrap_or_default(),
        consequence: "devices are looked for twice a second: the first calls on one that was just plugged in are missed",
        remedy: "allow AF_NETLINK sockets, and in a container use the host's network",
    }
}

/// Which TLS libraries of the system would be hooked. Those that programs bring along are found when they run.
fn tls_libraries() -> Feature {
    let found: Vec<_> = system_libraries().into_iter().filter_map(Candidate::search).collect();
    let name = |found: &Found| found.path.file_name().map(|name| name.to_string_lossy().into_owned());
    Feature {
        name: "TLS libraries of the system",
        available: !found.is_empty(),
        required: false,
        detail: found.iter().filter_map(name).collect::<Vec<_>>().join(", "),
        consequence: "none for programs that bring their own: Go, rustls, static OpenSSL; see docs/tls.md",
        remedy: "none is needed where no program uses one",
    }
}

fn table(features: &[Feature]) -> String {
    let mut text = String::new();
    let width = features.iter().map(|feature| feature.name.len()).max().unwrap_or(0);
    for feature in features {
        let mark = match (feature.available, feature.required) {
            (true, _) => "yes",
            (false, true) => "NO ",
            (false, false) => "no ",
        };
        text += &format!("{mark}  {:width$}  {}\n", feature.name, feature.detail);
        if !feature.available {
            text += &format!("     without it: {}\n", feature.consequence);
            text += &format!("     remedy:     {}\n", feature.remedy);
        }
    }
    text
}
