//! What drivers call their devices.

use std::path::Path;

use super::facts::Facts;
use super::sysfs::{Level, entries, text};

/// `PORT_*` of serial ports, `include/uapi/linux/serial_core.h` and `serial.h`, where the name says more than "UART".
const UARTS: &[(u32, &str)] = &[
    (1, "8250"),
    (2, "16450"),
    (3, "16550"),
    (4, "16550A"),
    (5, "Cirrus"),
    (6, "16650"),
    (7, "16650V2"),
    (8, "16750"),
    (10, "16C950"),
    (11, "16654"),
    (12, "16850"),
    (13, "RSA"),
    (15, "XScale"),
    (18, "Octeon"),
    (19, "AR7"),
    (20, "U6_16550A"),
    (21, "Tegra"),
    (22, "XR17D15X"),
    (26, "MediaTek"),
    (32, "AMBA"),
];

/// The driver's name for a device: an adapter's name, a chip's label, a card's name. `None` where it has none.
pub(super) fn name(facts: &Facts<'_>) -> Option<String> {
    let own = facts.own()?;
    match own.subsystem.as_str() {
        "i2c-dev" | "video4linux" | "rtc" | "mtd" => own.text("name"),
        "media" => own.text("model"),
        "ptp" => own.text("clock_name"),
        "watchdog" => own.text("identity"),
        "gpio" => label(own),
        "input" => {
            own.text("name").or_else(|| parent(facts)?.text("name")).or_else(|| own.text("device/name"))
        }
        "hidraw" => facts.nearest("hid")?.property("HID_NAME"),
        "sound" => sound_card(facts),
        "spidev" => {
            facts.nearest("spi")?.text("modalias").map(|text| text.trim_start_matches("spi:").to_owned())
        }
        "tty" => uart(own),
        "block" => own.text("loop/backing_file").or_else(|| own.text("dm/name")),
        _ => None,
    }
}

fn parent<'a>(facts: &'a Facts<'_>) -> Option<&'a Level> {
    facts.chain.get(1)
}

/// A GPIO chip's label. The chip's own folder does not have it, the old interface's beside it does: by the chip's
/// parent, whose chips are there in the same order.
fn label(chip: &Level) -> Option<String> {
    let labels = |folder: &Path| -> Vec<String> {
        let chips = entries(&folder.join("gpio")).into_iter().filter(|name| name.starts_with("gpiochip"));
        chips.filter_map(|name| text(&folder.join("gpio").join(name).join("label"))).collect()
    };
    chip.text("label").or_else(|| {
        // A chip without a parent has the old interface's folder below itself.
        let mut found = labels(&chip.path);
        if found.is_empty() {
            found = labels(chip.path.parent()?);
        }
        // Which of several it is cannot be told.
        found.dedup();
        (found.len() == 1).then(|| found.remove(0))
    })
}

/// The long name of a sound card, `/proc/asound/cards`, else its short one:
/// ` 0 [PCH            ]: HDA-Intel - HDA Intel PCH`.
fn sound_card(facts: &Facts<'_>) -> Option<String> {
    let is_card = |level: &&Level| level.subsystem == "sound" && level.name.starts_with("card");
    let card = facts.chain.iter().find(is_card)?;
    let number = card.name.trim_start_matches("card");
    let table = facts.around.sysfs.table("asound/cards");
    let line = table.lines().find(|line| {
        line.split_once('[').is_some_and(|(index, _)| index.trim() == number && line.starts_with(' '))
    });
    let long = line.and_then(|line| line.split_once("]: ")?.1.split_once(" - ")).map(|(_, name)| name.trim());
    long.filter(|name| !name.is_empty()).map(str::to_owned).or_else(|| card.text("id"))
}

/// What kind of UART a serial port is; a port that nothing is behind has none.
fn uart(own: &Level) -> Option<String> {
    let kind: u32 = own.text("type")?.parse().ok()?;
    UARTS.iter().find(|(known, _)| *known == kind).map(|(_, name)| (*name).to_owned())
}
