//! Two instruments on pseudo-terminals, for the demo: a thermometer and a valve.
//!
//! Prints `thermometer PATH` and `valve PATH`, then answers until it is stopped:
//! `MEAS:TEMP?` with a temperature such as `21.537`, and `VALVE n` with `OK n` or, now and then, `ERR busy`.

use anyhow::{Result, anyhow};
use clap::Parser;
use std::{
    io::{Write as _, stdout},
    thread,
    time::{Duration, Instant},
};
use tracer_tests::instrument::Line;

/// How long the thermometer takes to convert.
const CONVERSION: Duration = Duration::from_millis(2);
/// How long the valve takes to acknowledge.
const ACKNOWLEDGE: Duration = Duration::from_millis(4);

/// Plays a thermometer and a valve on two pseudo-terminals.
#[derive(Parser)]
struct Options {
    /// The valve refuses every such command; 0 for never.
    #[arg(long, default_value_t = 7)]
    refuse_every: u64,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let thermometer = Line::open()?;
    let valve = Line::open()?;
    println!("thermometer {}\nvalve {}", thermometer.path.display(), valve.path.display());
    stdout().flush()?;

    let start = Instant::now();
    let mut noise = 0x2545_f491_u32;
    let measuring = thread::spawn(move || {
        thermometer.serve(|request| {
            thread::sleep(CONVERSION);
            match request {
                "MEAS:TEMP?" => Some(format!("{:.3}", temperature(start.elapsed(), &mut noise))),
                "*IDN?" => Some("EXAMPLE,T100,0042,1.0".to_owned()),
                _ => Some("ERR unknown".to_owned()),
            }
        })
    });
    let mut commands = 0u64;
    valve.serve(|request| {
        thread::sleep(ACKNOWLEDGE);
        let Some(position) = request.strip_prefix("VALVE ") else { return Some("ERR unknown".to_owned()) };
        commands += 1;
        if options.refuse_every > 0 && commands.is_multiple_of(options.refuse_every) {
            return Some("ERR busy".to_owned());
        }
        Some(match position.parse::<f64>() {
            Ok(percent) if (0.0..=100.0).contains(&percent) => format!("OK {position}"),
            _ => "ERR range".to_owned(),
        })
    })?;
    measuring.join().map_err(|_panic| anyhow!("the thermometer stopped"))?
}

/// A room that slowly warms and cools, with a little noise (xorshift), in °C.
fn temperature(since: Duration, noise: &mut u32) -> f64 {
    *noise ^= *noise << 13;
    *noise ^= *noise >> 17;
    *noise ^= *noise << 5;
    21.5 + 1.5 * (since.as_secs_f64() / 7.0).sin() + f64::from(*noise % 100) / 1000.0
}
