//! The options of `iotrail run`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use iotrail::export::Destination;
use iotrail::export::mask::Mask;
use iotrail::export::payload::PayloadPolicy;
use iotrail::pipeline::select::Broker;
use tracer_common::limits::CAPTURE_CALL;

/// Trace until interrupted
///
/// With no selection: every device class and broker port that iotrail knows, on the whole machine, itself excluded.
/// --pid, --comm and COMMAND say whose calls are traced; --device and --broker say which. An event needs both.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Read options from this file first: TOML, a key is an option's name. The command line wins.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Trace this process, its threads and the children that it starts from now on (repeatable).
    #[arg(long, value_name = "PID")]
    pub(super) pid: Vec<u32>,
    /// Trace programs of this name, running ones and later ones (repeatable).
    #[arg(long, value_name = "NAME")]
    pub(super) comm: Vec<String>,
    /// Trace this device (repeatable): a path, a class, usb:VENDOR:PRODUCT, by-id/NAME, id:ID or a driver. One that is
    /// not plugged in yet is waited for. `iotrail devices` lists what there is.
    #[arg(long, value_name = "DEVICE")]
    pub(super) device: Vec<String>,
    /// Hide what tells single pieces of hardware apart: ids, serial numbers and links that hold them. The same device
    /// gets the same hidden id on each run on this host.
    #[arg(long)]
    pub(super) hash_ids: bool,
    /// Trace this broker's connections, its clients' and its own (repeatable): mqtt (port 1883), mqtt:PORT or
    /// mqtt:/SOCKET.
    #[arg(long, value_name = "SYSTEM[:PORT]")]
    pub(super) broker: Vec<Broker>,
    /// Where spans go (repeatable): otlp (honours OTEL_EXPORTER_OTLP_*), file:PATH or - (OTLP/JSON lines), tree, none
    /// (metrics alone). Default: tree.
    #[arg(long, value_name = "DEST")]
    pub(super) export: Vec<Destination>,
    /// What of payloads leaves this host: off (sizes), digest (keyed), head:N (the first N bytes) or full.
    #[arg(long, value_name = "POLICY", default_value = "digest")]
    pub(super) payload: PayloadPolicy,
    /// Hide what this regular expression matches of payloads, and all that is made of it, as *** (repeatable); e.g.
    /// password=\S+
    #[arg(long, value_name = "PATTERN")]
    pub(super) mask: Vec<Mask>,
    /// Payload bytes that are captured of each call, up to 2097152 (65536 on devices); what is cut is always visible.
    /// Default: 4096 on devices, all on connections unless the ring is filling.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=CAPTURE_CALL as i64))]
    pub(super) capture_bytes: Option<u32>,
    /// How long a serial device may take to answer before that is an error: a number with ms, s, m or h.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub(super) reply_timeout: Duration,
    /// End after this time: a number with ms, s, m or h.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(super) duration: Option<Duration>,
    /// Serve metrics and health on this address; `off` serves none.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9464", value_parser = listen)]
    pub(super) listen: Listen,
    /// Do as if the kernel had no BTF: follow descriptors through open, dup and /proc.
    #[arg(long)]
    pub(super) no_btf: bool,
    /// Do not hook TLS libraries: encrypted connections to brokers are only counted.
    #[arg(long)]
    pub(super) no_tls: bool,
    /// Which tracepoints carry the system calls.
    #[arg(long, value_enum, default_value_t = HooksArgument::Auto)]
    pub(super) hooks: HooksArgument,
    /// Size of the ring between kernel and user side, in KiB: a power of two from 64 on.
    #[arg(long, value_name = "KIB", default_value_t = 8192, value_parser = ring)]
    pub(super) ring: u32,
    /// Write what was counted at every stage, lost records included, to this file at the end (JSON).
    #[arg(long, value_name = "FILE")]
    pub(super) report: Option<PathBuf>,
    /// Start this command and trace it and its children; iotrail ends when it does, with its own exit status.
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) command: Vec<String>,
}

const EXAMPLES: &str = "Examples:
  iotrail run                                       everything, as trees
  iotrail run --device /dev/ttyUSB0 --broker mqtt   one serial line and one broker
  iotrail run --export otlp --broker mqtt:18830     to a collector on this host
  iotrail run --payload head:64 -- ./my-sensor      one program, with its payloads";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum HooksArgument {
    /// each; and raw for 32-bit programs, once there is one
    Auto,
    /// raw_tracepoint/sys_enter and sys_exit: every call of every program passes them, 32-bit ones included
    Raw,
    /// As raw, with typed arguments (tp_btf)
    Btf,
    /// One tracepoint pair for each system call: cheapest for programs that are not traced, blind to 32-bit ones
    Each,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listen {
    Off,
    On(SocketAddr),
}

fn listen(text: &str) -> Result<Listen, String> {
    if text == "off" {
        return Ok(Listen::Off);
    }
    text.parse().map(Listen::On).map_err(|_| "use ADDRESS:PORT or off".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("use a number with ms, s, m or h".to_owned()),
    };
    let number: f64 = digits.parse().map_err(|_| "use a number with ms, s, m or h".to_owned())?;
    Duration::try_from_secs_f64(number * unit).map_err(|error| error.to_string())
}

fn ring(text: &str) -> Result<u32, String> {
    let kib: u32 = text.parse().map_err(|_| "use a number".to_owned())?;
    if kib.is_power_of_two() && (64..=1 << 20).contains(&kib) {
        Ok(kib)
    } else {
        Err("use a power of two from 64 to 1048576".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2"), Ok(Duration::from_secs(2)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        for wrong in ["", "x", "5 parsecs", "-1s", "1e400s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rings_are_powers_of_two() {
        assert_eq!(ring("64"), Ok(64));
        assert!(ring("65").is_err() && ring("32").is_err() && ring("0").is_err());
    }
}
