//! Names of numbers inside the arguments: input events, video controls, SCSI's operation codes.

use super::{
    commands,
    compiler::{Compiler, WIDE},
    headers::Installed,
    macros::Macro,
};
use anyhow::{Context as _, Result, anyhow};
use std::collections::BTreeMap;

/// A table of such names.
pub(super) struct Kind {
    /// The generated file.
    pub(super) file: &'static str,
    /// The table in it.
    pub(super) table: &'static str,
    pub(super) what: &'static str,
    pub(super) header: &'static str,
    choice: Choice,
}

/// Which macros of the header it is.
enum Choice {
    /// Those that start with one of these.
    Starts(&'static [&'static str]),
    /// Those from one to another, in the header's order.
    Between(&'static str, &'static str),
}

const CODES: &str = "linux/input-event-codes.h";

/// All tables. The file of each has a `//!` in `render`.
pub(super) const KINDS: &[Kind] = &[
    input("TYPES", "event types", CODES, &["EV_"]),
    input("SYNCHRONISATIONS", "synchronisation events", CODES, &["SYN_"]),
    input("KEYS", "keys and buttons", CODES, &["KEY_", "BTN_"]),
    input("RELATIVE", "relative axes", CODES, &["REL_"]),
    input("ABSOLUTE", "absolute axes", CODES, &["ABS_"]),
    input("SWITCHES", "switches", CODES, &["SW_"]),
    input("MISCELLANEOUS", "miscellaneous events", CODES, &["MSC_"]),
    input("LIGHTS", "lights", CODES, &["LED_"]),
    input("REPEATS", "settings of repetition", CODES, &["REP_"]),
    input("SOUNDS", "sounds", CODES, &["SND_"]),
    input("PROPERTIES", "properties of input devices", CODES, &["INPUT_PROP_"]),
    input("FORCES", "force feedback effects", "linux/input.h", &["FF_"]),
    input("FORCE_STATES", "states of force feedback effects", "linux/input.h", &["FF_STATUS_"]),
    input("BUSES", "buses of input devices", "linux/input.h", &["BUS_"]),
    Kind {
        file: "v4l2_controls",
        table: "CONTROLS",
        what: "video controls",
        header: "linux/v4l2-controls.h",
        choice: Choice::Starts(&["V4L2_CID_"]),
    },
    Kind {
        file: "scsi_opcodes",
        table: "SCSI",
        what: "operation codes of SCSI",
        header: "scsi/scsi.h",
        choice: Choice::Between("TEST_UNIT_READY", "WRITE_LONG_2"),
    },
    Kind {
        file: "scsi_opcodes",
        table: "DISCS",
        what: "operation codes of disc drives",
        header: "linux/cdrom.h",
        choice: Choice::Starts(&["GPCMD_"]),
    },
];

const fn input(
    table: &'static str,
    what: &'static str,
    header: &'static str,
    starts: &'static [&'static str],
) -> Kind {
    Kind { file: "input_codes", table, what, header, choice: Choice::Starts(starts) }
}

/// Ends of names that mark a range.
const MARKS: [&str; 4] = ["_MAX", "_CNT", "_BASE", "_LASTP1"];

/// Names that mark a range, or start a group whose first member has a name of its own.
const NOT_NAMES: [&str; 17] = [
    "BTN_DIGI",
    "BTN_GAMEPAD",
    "BTN_JOYSTICK",
    "BTN_MISC",
    "BTN_MOUSE",
    "BTN_TRIGGER_HAPPY",
    "BTN_WHEEL",
    "EV_VERSION",
    "FF_EFFECT_MAX",
    "FF_EFFECT_MIN",
    "FF_MAX_EFFECTS",
    "FF_STATUS_MAX",
    "FF_WAVEFORM_MAX",
    "FF_WAVEFORM_MIN",
    "KEY_MIN_INTERESTING",
    "V4L2_CID_BASE",
    "V4L2_CID_PRIVATE_BASE",
];

/// Of two names for one number, the one that is kept where neither is defined by the other.
const WINNERS: [&str; 2] = ["GPCMD_PLAY_AUDIO_TI", "PRE_FETCH"];

/// A table as the headers have it.
pub(super) struct Constants {
    pub(super) kind: &'static Kind,
    pub(super) names: BTreeMap<u32, String>,
}

impl Constants {
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }
}

/// Reads one table.
pub(super) fn read(
    compiler: &Compiler,
    installed: &Installed,
    kind: &'static Kind,
    problems: &mut Vec<String>,
    shared: &mut Vec<String>,
) -> Result<Constants> {
    let file = installed.headers.iter().find(|file| file.name == kind.header);
    let file = file.with_context(|| format!("{} is not installed", kind.header))?;
    let macros = commands::find(compiler, file).map_err(|why| anyhow!("{}: {why}", kind.header))?;
    let chosen: Vec<&Macro> = kind.choice.of(&macros.own());
    let names: Vec<String> = chosen.iter().map(|each| each.name.clone()).collect();
    let values = commands::evaluate(compiler, file, &names, WIDE);
    for (name, why) in &values.failed {
        problems.push(format!("{}: {name}: {why}", kind.header));
    }
    let mut names: BTreeMap<u32, String> = BTreeMap::new();
    // Those with a number of their own before those that stand for another name.
    let (own, aliases): (Vec<&Macro>, Vec<&Macro>) = chosen.into_iter().partition(|each| !each.is_alias());
    for (each, alias) in own.iter().map(|each| (each, false)).chain(aliases.iter().map(|each| (each, true))) {
        let Some(value) = values.values.get(&each.name) else { continue };
        let Some(before) = names.get(value).cloned() else {
            names.insert(*value, each.name.clone());
            continue;
        };
        let decided = WINNERS.iter().any(|winner| *winner == before || *winner == each.name);
        let turn = WINNERS.contains(&each.name.as_str());
        let (winner, loser) = if turn { (each.name.clone(), before) } else { (before, each.name.clone()) };
        let how = if alias || decided { "by rule" } else { "undecided: the first" };
        shared.push(format!("{}: {winner} over {loser}, {how}", kind.header));
        names.insert(*value, winner);
    }
    Ok(Constants { kind, names })
}

impl Choice {
    fn of<'a>(&self, own: &[&'a Macro]) -> Vec<&'a Macro> {
        let is_name = |each: &&&Macro| {
            each.parameters.is_none()
                && !NOT_NAMES.contains(&each.name.as_str())
                && !MARKS.iter().any(|mark| each.name.ends_with(mark))
        };
        match self {
            Self::Starts(starts) => own
                .iter()
                .filter(|each| starts.iter().any(|start| each.name.starts_with(start)))
                .filter(is_name)
                // `FF_STATUS_*` is a table of its own.
                .filter(|each| starts.contains(&"FF_STATUS_") || !each.name.starts_with("FF_STATUS_"))
                .copied()
                .collect(),
            Self::Between(first, last) => {
                let place = |name: &str| own.iter().position(|each| each.name == name);
                match (place(first), place(last)) {
                    (Some(first), Some(last)) if first <= last => {
                        own[first..=last].iter().filter(is_name).copied().collect()
                    }
                    _ => Vec::new(),
                }
            }
        }
    }
}
