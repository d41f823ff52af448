//! Holds the commands of a program against the calls that strace saw it make, one by one.

use super::{Facts, filled, like, otlp::Span, strace};
use crate::vm::rig::Watched;
use anyhow::{Context as _, Result, ensure};
use std::{collections::BTreeMap, fs, path::Path};

/// How the name of a command's span begins.
const COMMAND: &str = "peripheral.execute ";
/// Calls about the descriptor: they make no span.
const DESCRIPTOR_CALLS: [&str; 7] =
    ["FIONREAD", "TIOCINQ", "FIONBIO", "FIONCLEX", "FIOCLEX", "FIOASYNC", "FIOQSIZE"];
/// Calls that take back what another one gave, and end that one's span.
const REAPING: [&str; 5] = [
    "VIDIOC_DQBUF",
    "USBDEVFS_REAPURB",
    "USBDEVFS_REAPURBNDELAY",
    "USBDEVFS_REAPURB32",
    "USBDEVFS_REAPURBNDELAY32",
];

/// What strace has no names for, `include/uapi/linux/i2c-dev.h`: numbers without type, direction and size, which other
/// drivers use too.
const I2C: [(&str, &str); 4] = [
    ("_IOC(_IOC_NONE, 0x7, 0x3, 0)", "I2C_SLAVE"),
    ("_IOC(_IOC_NONE, 0x7, 0x5, 0)", "I2C_FUNCS"),
    ("_IOC(_IOC_NONE, 0x7, 0x7, 0)", "I2C_RDWR"),
    ("_IOC(_IOC_NONE, 0x7, 0x20, 0)", "I2C_SMBUS"),
];

/// What does not agree.
///
/// # Errors
/// When strace saw nothing, or a text names a fact that there is not.
pub(super) fn check(watched: &Watched, spans: &[Span], facts: &Facts, out: &Path) -> Result<Vec<String>> {
    let Watched { name, path, .. } = watched;
    let file = out.join(format!("{name}.strace"));
    let text = fs::read_to_string(&file).with_context(|| format!("nothing was watched as {name}"))?;
    compare(watched, &text, spans, facts).with_context(|| format!("watched {name} on {path}"))
}

fn compare(watched: &Watched, text: &str, spans: &[Span], facts: &Facts) -> Result<Vec<String>> {
    let Watched { runs: _, only: _, name, path, files, service, class, id, rename, without, refusals } =
        watched;
    let path = filled(path, facts)?;
    let mut files = files.iter().map(|file| filled(file, facts)).collect::<Result<Vec<_>>>()?;
    files.push(path.clone());
    let id = filled(id, facts)?;
    let left_out = |command: &str| without.iter().any(|pattern| like(pattern, command));

    let (calls, threads) = strace::read(text, |file| files.iter().any(|pattern| like(pattern, file)));
    ensure!(!calls.is_empty(), "strace saw no call");
    let of_path = |span: &&Span| {
        span.pid().is_some_and(|pid| threads.contains(&pid))
            && span.attribute("iotrail.device.path") == Some(&path)
            && !span.name.starts_with("bus ")
    };
    let mut of_program: Vec<&Span> = spans.iter().filter(of_path).collect();
    of_program.sort_by_key(|span| span.start);

    let mut wrong = Vec::new();
    for span in &of_program {
        let has = |key| span.attribute(key).unwrap_or("nothing");
        let said = [
            ("service", service.as_str(), span.service.as_str()),
            ("class", class, has("iotrail.device.class")),
            ("id", &id, has("iotrail.device.id")),
        ];
        for (what, meant, is) in said {
            if !like(meant, is) {
                wrong.push(format!("{name}: {what} of {} is {is:?}, not {meant:?}", span.name));
            }
        }
    }
    wrong.sort();
    wrong.dedup();

    let mut is: Vec<Done> = Vec::new();
    for span in of_program {
        let Some(command) = span.name.strip_prefix(COMMAND).filter(|command| !left_out(command)) else {
            continue;
        };
        let error = span.error.clone().unwrap_or_default();
        // What the device itself refused: the call succeeded.
        let error = if refusals.contains(&error) { String::new() } else { error };
        is.push((command.to_owned(), error));
    }
    let mut meant: Vec<Done> = Vec::new();
    for call in &calls {
        let has_span = |name: &String| is.iter().any(|(command, _)| command == name);
        let called = call.names.iter().find(|name| has_span(name)).or(call.names.first());
        let called = called.cloned().unwrap_or_default();
        let of_i2c = I2C.iter().find(|(number, _)| class == "i2c" && *number == called);
        let called = of_i2c.map_or(called, |(_, name)| (*name).to_owned());
        let called = rename.get(&called).cloned().unwrap_or(called);
        if !left_out(&called) && makes_span(&called, &call.error, class) {
            meant.push((called, call.error.clone()));
        }
    }
    let alone = calls.first().is_some_and(|first| calls.iter().all(|call| call.thread == first.thread));
    wrong.extend(differences(&meant, &is).into_iter().map(|what| format!("{name}: {what}")));
    if wrong.is_empty() && alone {
        wrong.extend(disorder(&meant, &is).map(|what| format!("{name}: {what}")));
    }
    Ok(wrong)
}

/// A command and its error, empty if it has none.
type Done = (String, String);

/// Whether a call makes a span of its own.
fn makes_span(command: &str, error: &str, class: &str) -> bool {
    let is_isatty = matches!(command, "TCGETS" | "TCGETS2") && matches!(error, "ENOTTY" | "EINVAL");
    let found_nothing = error == "EAGAIN";
    let reaps = REAPING.contains(&command) && error.is_empty();
    !(DESCRIPTOR_CALLS.contains(&command) || found_nothing || reaps || is_isatty && class != "tty")
}

/// Of which there are more or fewer than there should be.
fn differences(meant: &[Done], is: &[Done]) -> Vec<String> {
    let mut counts: BTreeMap<&Done, (usize, usize)> = BTreeMap::new();
    for done in meant {
        counts.entry(done).or_default().0 += 1;
    }
    for done in is {
        counts.entry(done).or_default().1 += 1;
    }
    let different = counts.into_iter().filter(|(_, (calls, spans))| calls != spans);
    different
        .map(|(done, (calls, spans))| format!("{}: {calls} in strace, {spans} spans", shown(done)))
        .collect()
}

/// The first that is not where it should be.
fn disorder(meant: &[Done], is: &[Done]) -> Option<String> {
    let place = meant.iter().zip(is).position(|(meant, is)| meant != is)?;
    let (meant, is) = (meant.get(place)?, is.get(place)?);
    Some(format!("number {}: {}, where strace saw {}", place + 1, shown(is), shown(meant)))
}

fn shown((command, error): &Done) -> String {
    if error.is_empty() { command.clone() } else { format!("{command} ({error})") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const TEXT: &str = "\
7 ioctl(1</dev/video0>, TCGETS, 0x1) = -1 ENOTTY (Inappropriate ioctl for device)
7 ioctl(3</dev/video0>, VIDIOC_QBUF, {}) = 0
7 ioctl(3</dev/video0>, VIDIOC_DQBUF, {}) = -1 EAGAIN (Resource temporarily unavailable)
7 ioctl(3</dev/video0>, VIDIOC_DQBUF, {}) = 0
7 ioctl(3</dev/video0>, VIDIOC_G_CTRL, {}) = -1 EINVAL (Invalid argument)
7 ioctl(3</dev/video0>, MMTIMER_GETRES or VIDIOC_S_FMT, {}) = 0
7 ioctl(3</dev/video1>, VIDIOC_S_FMT, {}) = 0
7 read(3</dev/video0>, \"\", 4) = 0
";

    fn span(start: u64, name: &str, error: &str) -> Span {
        let attributes = [
            ("iotrail.device.path", "/dev/video0"),
            ("iotrail.device.class", "video"),
            ("iotrail.device.id", "video:a"),
        ];
        Span {
            name: name.to_owned(),
            start,
            service: "cam".to_owned(),
            error: (!error.is_empty()).then(|| error.to_owned()),
            resource: Arc::new([("process.pid".to_owned(), "7".to_owned())].into()),
            attributes: attributes.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            ..Span::default()
        }
    }

    fn spans() -> Vec<Span> {
        vec![
            span(1, "peripheral.execute VIDIOC_QBUF", ""),
            span(2, "peripheral.execute VIDIOC_G_CTRL", "EINVAL"),
            span(3, "peripheral.execute VIDIOC_S_FMT", ""),
            span(2, "bus v4l2 buffer", ""),
            span(4, "peripheral.event frame", ""),
        ]
    }

    fn judged(watched: &str, spans: &[Span]) -> Vec<String> {
        let base = "name = 'n'\npath = '{node}'\nservice = 'cam'\nclass = 'video'\nid = 'video:*'\n";
        let watched = toml::from_str(&format!("{base}{watched}")).unwrap();
        let facts = [("node".to_owned(), "/dev/video0".to_owned())].into();
        compare(&watched, TEXT, spans, &facts).unwrap()
    }

    #[test]
    fn a_span_for_each_call_that_makes_one() {
        assert_eq!(judged("without = ['read']", &spans()), [] as [&str; 0]);
        assert_eq!(judged("", &spans()), ["n: read: 1 in strace, 0 spans"]);
        assert_eq!(
            judged("rename = { read = 'VIDIOC_QBUF' }", &spans()),
            ["n: VIDIOC_QBUF: 2 in strace, 1 spans"]
        );
    }

    #[test]
    fn a_span_too_many_or_too_few_of_another_error_or_place_is_wrong() {
        let changed = |change: &dyn Fn(&mut Vec<Span>)| {
            let mut spans = spans();
            change(&mut spans);
            judged("without = ['read']", &spans).len()
        };
        assert_eq!(changed(&|spans| drop(spans.remove(0))), 1);
        assert_eq!(changed(&|spans| spans.push(span(9, "peripheral.execute X", ""))), 1);
        assert_eq!(changed(&|spans| spans[1].error = None), 2);
        assert_eq!(changed(&|spans| spans[1].start = 9), 1);
        assert_eq!(changed(&|spans| spans[1].service = "x".to_owned()), 1);
        assert_eq!(changed(&|spans| drop(spans[1].attributes.remove("iotrail.device.id"))), 1);
        // Another process' spans are not this one's.
        assert_eq!(changed(&|spans| spans[1].resource = Arc::default()), 1);
    }

    #[test]
    fn what_the_device_refuses_is_no_failed_call() {
        let mut spans = spans();
        spans[2].error = Some("CHECK_CONDITION".to_owned());
        assert_eq!(judged("without = ['read']", &spans).len(), 2);
        assert_eq!(judged("without = ['read']\nrefusals = ['CHECK_CONDITION']", &spans), [] as [&str; 0]);
    }
}
