//! `iotrail devices`: the device nodes of this host, what hardware is behind them, and who has them open.

use iotrail::host::devices::{Catalog, Holder, Sysfs, classes, holders, id_key};
use iotrail::model::capture::{DeviceKind, DeviceNumber};
use iotrail::model::device::Device;
use unicode_width::UnicodeWidthStr as _;

use super::ListFormat;
use super::exit::{Failure, print};

/// List the device nodes that iotrail can trace, with their identity and the processes that hold them open
#[derive(clap::Args)]
#[command(after_help = FORMS)]
pub(crate) struct Options {
    /// Only this class (`tty`, `i2c`, …).
    #[arg(long)]
    class: Option<String>,
    /// Also nodes of no class that nobody holds open, memory devices, and in the table idle consoles.
    #[arg(long)]
    all: bool,
    /// Hide what tells single pieces of hardware apart, as `run --hash-ids` does.
    #[arg(long)]
    hash_ids: bool,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = ListFormat::Table)]
    format: ListFormat,
}

const FORMS: &str = "What `run --device` takes of this:
  /dev/ttyUSB0               PATH, or its name below /dev
  tty                        CLASS
  usb:0403:6001              VENDOR:PRODUCT of a USB device: all its nodes
  by-id/usb-FTDI_FT232R-if00 a link
  id:tty:usb:0403:6001:FT123:if00
  ftdi_sio                   DRIVER";

/// Processes that a line of the table names.
const NAMED: usize = 3;

/// A device and who holds it.
struct Row {
    device: Device,
    held: Vec<Holder>,
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let known = classes();
    if let Some(class) = &options.class
        && !known.contains(&class.as_str())
    {
        return Err(Failure::usage(format!(
            "unknown device class `{class}`: use one of {}",
            known.join(", ")
        )));
    }
    let catalog = catalog(options.hash_ids);
    let held = holders(catalog.sysfs());
    let row = |device: Device| {
        let held = held.get(&device.number).cloned().unwrap_or_default();
        Row { device, held }
    };
    let rows: Vec<Row> = catalog
        .list()
        .into_iter()
        .filter(|device| options.class.as_ref().is_none_or(|class| device.class == class))
        .map(row)
        .filter(|row| options.all || row.is_of_interest())
        .collect();
    match options.format {
        ListFormat::Table => print(&table(&rows, options.all)),
        ListFormat::Json => {
            let list: Vec<_> = rows.iter().map(Row::json).collect();
            print(&format!("{}\n", serde_json::Value::from(list)))
        }
    }
}

/// The devices of this host, with their ids hidden if that was asked for.
pub(super) fn catalog(hash_ids: bool) -> Catalog {
    let key = hash_ids.then(|| {
        let (key, why) = id_key();
        if let Some(why) = why {
            tracing::warn!("{why}");
        }
        key
    });
    Catalog::new(Sysfs::default(), key)
}

impl Row {
    /// Whether it is of a known class, or somebody uses it all the same. Memory devices (`null`, `urandom`, …, major 1)
    /// are everybody's.
    fn is_of_interest(&self) -> bool {
        let DeviceNumber { kind, major, .. } = self.device.number;
        let memory = kind == DeviceKind::Char && major == 1;
        self.device.class != "other" || (!self.held.is_empty() && !memory)
    }

    /// A virtual console or one of the terminals' own nodes (`tty`, `console`, `ptmx`) that nobody holds open.
    fn is_idle_console(&self) -> bool {
        let DeviceNumber { kind, major, minor } = self.device.number;
        let console = matches!((major, minor), (4, 0..=63) | (5, 0..=2));
        kind == DeviceKind::Char && console && self.held.is_empty()
    }

    fn json(&self) -> serde_json::Value {
        let Device { number, class, path, id, identity } = &self.device;
        let holders: Vec<_> = self
            .held
            .iter()
            .map(|holder| serde_json::json!({ "pid": holder.pid, "comm": holder.comm, "fds": holder.fds }))
            .collect();
        serde_json::json!({
            "id": **id,
            "path": **path,
            "class": class,
            "driver": identity.driver.as_deref(),
            "bus": identity.bus.as_deref(),
            "address": identity.address.as_deref(),
            "vendor": identity.vendor_id.as_deref(),
            "product": identity.product_id.as_deref(),
            "manufacturer": identity.vendor.as_deref(),
            "model": identity.model.as_deref(),
            "serial": identity.serial.as_deref(),
            "name": identity.name.as_deref(),
            "links": identity.links.iter().map(|link| &**link).collect::<Vec<_>>(),
            "number": format!("{}:{}", number.major, number.minor),
            "kind": if number.kind == DeviceKind::Char { "char" } else { "block" },
            "major": number.major,
            "minor": number.minor,
            "processes": holders,
        })
    }

    /// The cells of its line.
    fn cells(&self) -> [String; 7] {
        let Device { class, path, id, identity, .. } = &self.device;
        let words = |parts: &[Option<&str>]| parts.iter().copied().flatten().collect::<Vec<_>>().join(" ");
        let numbers = identity.vendor_id.as_deref().zip(identity.product_id.as_deref());
        let numbers = numbers.map(|(vendor, product)| format!("{vendor}:{product}"));
        let called = identity.model.as_deref().or(identity.name.as_deref());
        [
            (*class).to_owned(),
            path.to_string(),
            words(&[identity.driver.as_deref()]),
            words(&[identity.bus.as_deref(), identity.address.as_deref()]),
            words(&[numbers.as_deref(), called]),
            id.to_string(),
            self.holders(),
        ]
    }

    fn holders(&self) -> String {
        let mut words: Vec<_> =
            self.held.iter().take(NAMED).map(|holder| format!("{}[{}]", holder.comm, holder.pid)).collect();
        if self.held.len() > NAMED {
            words.push(format!("+{}", self.held.len() - NAMED));
        }
        words.join(" ")
    }
}

/// The table: a line for each node, and below it its links. Columns that nothing has are left out.
fn table(rows: &[Row], all: bool) -> String {
    const TITLES: [&str; 7] = ["CLASS", "PATH", "DRIVER", "AT", "DEVICE", "ID", "HELD BY"];
    let (shown, idle): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| all || !row.is_idle_console());
    let lines: Vec<(&Row, [String; 7])> = shown.into_iter().map(|row| (row, row.cells())).collect();
    let width = |column: usize| {
        let widest = lines.iter().map(|(_, cells)| cells[column].width()).max().unwrap_or(0);
        if widest == 0 { 0 } else { widest.max(TITLES[column].width()) }
    };
    let widths: [usize; 7] = std::array::from_fn(width);
    let join = |cells: [&str; 7]| {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(widths).filter(|(_, width)| *width > 0) {
            line += cell;
            line += &" ".repeat(width - cell.width().min(width) + 2);
        }
        format!("{}\n", line.trim_end())
    };
    let mut text = if lines.is_empty() { String::new() } else { join(TITLES) };
    let indent = " ".repeat(widths[0] + 2);
    for (row, cells) in &lines {
        text += &join(cells.each_ref().map(String::as_str));
        for link in &row.device.identity.links {
            text += &format!("{indent}= {link}\n");
        }
    }
    if lines.is_empty() {
        text += "no device nodes of that kind\n";
    }
    if !idle.is_empty() {
        text += &format!("not shown: idle consoles, {} (--all)\n", idle.len());
    }
    text
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use iotrail::model::device::Identity;

    use super::*;

    fn row(device: Device, held: &[(u32, &str)]) -> Row {
        let held =
            held.iter().map(|(pid, comm)| Holder { pid: *pid, comm: (*comm).to_owned(), fds: vec![3, 7] });
        Row { device, held: held.collect() }
    }

    fn rows() -> Vec<Row> {
        let char = |major, minor| DeviceNumber { kind: DeviceKind::Char, major, minor };
        let serial = Device {
            identity: Identity {
                driver: Some("ftdi_sio".into()),
                bus: Some("usb".into()),
                address: Some("1-1.2:1.0".into()),
                vendor_id: Some("0403".into()),
                product_id: Some("6001".into()),
                vendor: Some("FTDI".into()),
                model: Some("FT232R USB UART".into()),
                serial: Some("FT123".into()),
                name: None,
                links: vec!["/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_FT123-if00-port0".into()],
            },
            ..Device::new(char(188, 0), "tty", "/dev/ttyUSB0", "tty:usb:0403:6001:FT123:if00")
        };
        let holders: Vec<_> = (1..=5).map(|pid| (pid, "poll")).collect();
        vec![
            row(Device::new(char(10, 200), "tun", "/dev/net/tun", "tun:net/tun"), &[]),
            row(Device::new(char(4, 1), "tty", "/dev/tty1", "tty:tty1"), &[]),
            row(Device::new(char(4, 2), "tty", "/dev/tty2", "tty:tty2"), &[(9, "agetty")]),
            row(serial, &holders),
        ]
    }

    #[test]
    fn the_table_shows_what_there_is() {
        expect![[r#"
            CLASS  PATH          DRIVER    AT             DEVICE                     ID                            HELD BY
            tun    /dev/net/tun                                                      tun:net/tun
            tty    /dev/tty2                                                         tty:tty2                      agetty[9]
            tty    /dev/ttyUSB0  ftdi_sio  usb 1-1.2:1.0  0403:6001 FT232R USB UART  tty:usb:0403:6001:FT123:if00  poll[1] poll[2] poll[3] +2
                   = /dev/serial/by-id/usb-FTDI_FT232R_USB_UART_FT123-if00-port0
            not shown: idle consoles, 1 (--all)
        "#]]
        .assert_eq(&table(&rows(), false));
        assert_eq!(table(&[], false), "no device nodes of that kind\n");
        assert!(table(&rows(), true).contains("/dev/tty1 "));
    }

    #[test]
    fn json_has_every_fact_and_null_for_what_is_not_known() {
        let list = rows();
        let serial = list[3].json();
        assert_eq!(serial["vendor"], "0403");
        assert_eq!(serial["number"], "188:0");
        assert_eq!(serial["processes"][0], serde_json::json!({ "pid": 1, "comm": "poll", "fds": [3, 7] }));
        assert!(list[0].json()["serial"].is_null());
    }
}
