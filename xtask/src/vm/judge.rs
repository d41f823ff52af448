//! Holds what iotrail said in a guest against what the rig's table says.

use super::rig::{Counted, Expected, Rig};
use crate::arch::Arch;
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::Path};

// The one reader of what iotrail writes; the live tests have it too, in a crate that takes long to build.
#[allow(
    unreachable_pub,
    dead_code,
    reason = "written for a library; this is a program that needs a part of it"
)]
#[path = "../../../tests/src/otlp.rs"]
mod otlp;
mod strace;
mod watched;

use otlp::Span;

/// Kinds of spans of a run that are shown when it was not as expected.
const SHOWN: usize = 40;
/// Of the times of spans.
const NS_PER_MS: u64 = 1_000_000;

/// What the guest alone knows: names of nodes, what it counted.
type Facts = BTreeMap<String, String>;

/// What is wrong with what the guest left in `out`; nothing if all is as expected.
///
/// # Errors
/// When something that has to be there is not, or cannot be read.
pub(super) fn judge(rig: &Rig, arch: Arch, series: &str, out: &Path) -> Result<Vec<String>> {
    let facts = facts(&fs::read_to_string(out.join("facts")).unwrap_or_default());
    let mut wrong = Vec::new();
    if !rig.doctor.is_empty() {
        wrong.extend(doctor(rig, &json(&out.join("doctor.json"))?));
    }
    let complaints = fs::read_to_string(out.join("kernel-complaints")).unwrap_or_default();
    let ours = fs::read_to_string(out.join("dmesg")).unwrap_or_default().contains("bpf_prog_");
    for line in complaints.lines() {
        match rig.faults.iter().find(|(fault, _)| !ours && line.contains(fault.as_str())) {
            Some((_, why)) => println!("   the kernel complains: {line}: {why}"),
            None => wrong.push(format!("the kernel complains: {line}")),
        }
    }
    for run in &rig.runs {
        let path = out.join(format!("{run}.jsonl"));
        let spans = if fs::metadata(&path).is_ok_and(|file| file.len() == 0) {
            Vec::new()
        } else {
            otlp::read(&path).with_context(|| format!("run {run}"))?
        };
        let report = json(&out.join(format!("{run}.report.json")))?;
        let mut of_run: Vec<String> = lost(&report);
        for counted in rig.counted.iter().filter(|counted| counted.holds(run, arch, series)) {
            of_run.extend(miscounted(counted, &report, &facts)?);
        }
        of_run.extend(misplaced(&spans));
        for expected in rig.span.iter().filter(|expected| expected.holds(run, arch, series)) {
            of_run.extend(check(expected, &spans, &facts)?);
        }
        for seen in rig.watched.iter().filter(|seen| seen.holds(run, arch, series)) {
            of_run.extend(watched::check(seen, &spans, &facts, out)?);
        }
        if !of_run.is_empty() {
            wrong.extend(of_run.into_iter().map(|what| format!("{run}: {what}")));
            wrong.push(format!("{run}: what there is, {} spans:\n{}", spans.len(), list(&spans)));
        }
    }
    Ok(wrong)
}

fn json(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))
}

/// `NAME=VALUE` lines.
fn facts(text: &str) -> Facts {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What one expectation does not find.
fn check(expected: &Expected, spans: &[Span], facts: &Facts) -> Result<Vec<String>> {
    if expected.services.is_empty() {
        return Ok(check_of(expected, None, spans, facts)?.into_iter().collect());
    }
    let mut wrong = Vec::new();
    for service in &expected.services {
        wrong.extend(check_of(expected, Some(service), spans, facts)?);
    }
    Ok(wrong)
}

/// What one expectation does not find among the spans of a service; among all, without one.
fn check_of(
    expected: &Expected,
    service: Option<&str>,
    spans: &[Span],
    facts: &Facts,
) -> Result<Option<String>> {
    let Expected { runs: _, only: _, services: _, name, error, attributes, lasting_ms, count, at_least } =
        expected;
    let fill = |text: &Option<String>| text.as_ref().map(|text| filled(text, facts)).transpose();
    let (name, error) = (fill(name)?, fill(error)?);
    let attributes = attributes
        .iter()
        .map(|(key, value)| Ok((key.as_str(), filled(value, facts)?)))
        .collect::<Result<Vec<_>>>()?;
    let found = spans
        .iter()
        .filter(|span| match &name {
            Some(name) => like(name, &span.name),
            // What a driver did on its bus is no command.
            None => !span.name.starts_with("bus "),
        })
        .filter(|span| service.is_none_or(|service| like(service, &span.service)))
        .filter(|span| error.as_ref().is_none_or(|error| like_error(error, span.error.as_deref())))
        .filter(|span| {
            attributes.iter().all(|(key, value)| span.attribute(key).is_some_and(|is| like(value, is)))
        })
        .filter(|span| span.end.saturating_sub(span.start) / NS_PER_MS >= *lasting_ms)
        .count();
    let (right, wanted) = match (fill(count)?, fill(at_least)?) {
        (Some(count), _) => {
            let count = sum(&count)?;
            (found == count, count.to_string())
        }
        (None, Some(least)) => {
            let least = sum(&least)?;
            (found >= least, format!("{least} or more"))
        }
        (None, None) => bail!("a [[span]] without a count"),
    };
    if right {
        return Ok(None);
    }
    let mut what = vec![name.unwrap_or_else(|| "spans of any name".to_owned())];
    what.extend(service.map(|service| format!("of {service}")));
    what.extend(error.map(|error| match error.as_str() {
        "" => "without error".to_owned(),
        error => format!("with error {error}"),
    }));
    if *lasting_ms != 0 {
        what.push(format!("lasting {lasting_ms} ms or longer"));
    }
    what.extend(attributes.iter().map(|(key, value)| format!("{key} = {value:?}")));
    Ok(Some(format!("{}: {found}, not {wanted}", what.join(", "))))
}

/// Whether a span's error, if it has one, is what is meant; nothing means none.
fn like_error(meant: &str, error: Option<&str>) -> bool {
    match error {
        None => meant.is_empty(),
        Some(error) => !meant.is_empty() && like(meant, error),
    }
}

/// The text with the facts it names.
fn filled(text: &str, facts: &Facts) -> Result<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').with_context(|| format!("`{text}` has no `}}`"))?;
        out.push_str(before);
        out.push_str(facts.get(name).with_context(|| format!("the guest did not say the fact `{name}`"))?);
        rest = after;
    }
    Ok(out + rest)
}

/// Whether `text` is what `pattern` says, where `*` stands for anything.
fn like(pattern: &str, text: &str) -> bool {
    let Some((start, mut pattern)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    while let Some((part, after)) = pattern.split_once('*') {
        let Some(at) = text.find(part) else { return false };
        text = text.get(at + part.len()..).unwrap_or_default();
        pattern = after;
    }
    text.ends_with(pattern)
}

/// Times on a bus that do not lie within the command that they are of.
fn misplaced(spans: &[Span]) -> Vec<String> {
    let by_id: BTreeMap<&str, &Span> = spans.iter().map(|span| (span.id.as_str(), span)).collect();
    let mut wrong: Vec<String> = Vec::new();
    for bus in spans.iter().filter(|span| span.name.starts_with("bus ")) {
        match bus.parent.as_deref().and_then(|parent| by_id.get(parent)) {
            None => wrong.push(format!("{} belongs to no command", bus.name)),
            Some(command) if bus.start < command.start || bus.end > command.end => {
                wrong.push(format!("{} is not within {}", bus.name, command.name));
            }
            Some(_) => {}
        }
    }
    wrong.sort();
    wrong.dedup();
    wrong
}

/// What a report counts otherwise; nothing counted is 0.
fn miscounted(counted: &Counted, report: &Value, facts: &Facts) -> Result<Option<String>> {
    let name = &counted.name;
    let is = report.get("counts").and_then(|counts| counts.get(name)).and_then(Value::as_u64).unwrap_or(0);
    let wanted = sum(&filled(&counted.count, facts)?)?;
    Ok((is != wanted as u64).then(|| format!("{name} is {is} instead of {wanted}")))
}

/// `1` or `1 + 2`.
fn sum(text: &str) -> Result<usize> {
    let terms = text.split('+').map(|term| term.trim().parse::<usize>());
    terms.sum::<Result<usize, _>>().with_context(|| format!("`{text}` is no number"))
}

/// What a run's report says was lost, at whatever stage.
fn lost(report: &Value) -> Vec<String> {
    let Some(stages) = report.get("stages").and_then(Value::as_array).filter(|stages| !stages.is_empty())
    else {
        return vec!["its report has no stages".to_owned()];
    };
    let mut lost = Vec::new();
    for stage in stages {
        let dropped = stage.get("dropped").and_then(Value::as_object);
        for (reason, count) in dropped.into_iter().flatten() {
            if count.as_u64() != Some(0) {
                let stage = stage.get("stage").and_then(Value::as_str).unwrap_or("?");
                lost.push(format!("{stage} lost {count} ({reason})"));
            }
        }
    }
    lost
}

/// What `iotrail doctor` does not find, of what has to be there.
fn doctor(rig: &Rig, doctor: &Value) -> Vec<String> {
    let list = |key: &str| doctor.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let features = list("features");
    let mut wrong = Vec::new();
    for name in &rig.doctor {
        let feature =
            features.iter().find(|feature| feature.get("name").and_then(Value::as_str) == Some(name));
        match feature.and_then(|feature| feature.get("available")?.as_bool()) {
            Some(true) => {}
            Some(false) => {
                let detail = feature.and_then(|feature| feature.get("detail")?.as_str()).unwrap_or_default();
                wrong.push(format!("doctor: not available: {name}: {detail}"));
            }
            None => wrong.push(format!("doctor: knows no feature {name}")),
        }
    }
    let programs = list("programs");
    let verified = |program: &Value| program.get("verified_instructions").and_then(Value::as_u64);
    if programs.is_empty() || programs.iter().any(|program| verified(program).is_none_or(|count| count == 0))
    {
        wrong.push("doctor: programs without a number of verified instructions".to_owned());
    }
    wrong
}

/// What there is, alike ones together.
fn list(spans: &[Span]) -> String {
    let mut alike: BTreeMap<String, usize> = BTreeMap::new();
    for span in spans {
        let path = span.attribute("iotrail.device.path").unwrap_or_default();
        let error = span.error.as_ref().map(|error| format!(" ✗ {error}")).unwrap_or_default();
        *alike.entry(format!("{}: {}{error} {path}", span.service, span.name)).or_default() += 1;
    }
    let mut lines: Vec<String> =
        alike.iter().take(SHOWN).map(|(what, count)| format!("    {count:>6} × {what}")).collect();
    if alike.len() > SHOWN {
        lines.push("      …".to_owned());
    }
    lines.join("\n")
}

/// As [`judge`], for a caller that wants one answer.
///
/// # Errors
/// When anything is not as expected.
pub(super) fn pass(rig: &Rig, arch: Arch, series: &str, out: &Path) -> Result<()> {
    let wrong = judge(rig, arch, series, out)?;
    ensure!(wrong.is_empty(), "{}", wrong.join("\n    "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(name: &str, error: Option<&str>, path: &str) -> Span {
        Span {
            name: name.to_owned(),
            start: 1,
            end: 5_000_001,
            error: error.map(str::to_owned),
            attributes: [("iotrail.device.path".to_owned(), path.to_owned())].into(),
            ..Span::default()
        }
    }

    fn expected(text: &str) -> Expected {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn counts_the_spans_that_are_meant() {
        let spans = [
            span("peripheral.execute TCGETS", None, "/dev/pts/1"),
            span("peripheral.execute TCGETS", Some("EIO"), "/dev/pts/1"),
            span("peripheral.execute read", None, "/dev/pts/2"),
        ];
        let facts = facts("line=/dev/pts/1\nn=2\n");
        for right in [
            "name = 'peripheral.execute TCGETS'\ncount = '{n}'",
            "name = 'peripheral.execute TCGETS'\nerror = ''\ncount = '1'",
            "error = 'EIO'\ncount = '1'",
            "count = '3'",
            "count = '{n} + 1'",
            "at_least = '2'",
            "attributes = { 'iotrail.device.path' = '{line}' }\ncount = '2'",
            "attributes = { 'iotrail.device.path' = '/dev/*/2' }\ncount = '1'",
            "attributes = { 'iotrail.device.id' = '*' }\ncount = '0'",
            "lasting_ms = 5\ncount = '3'",
            "lasting_ms = 6\ncount = '0'",
        ] {
            assert_eq!(check(&expected(right), &spans, &facts).unwrap(), [] as [&str; 0], "{right}");
        }
        for wrong in
            ["count = '2'", "at_least = '4'", "error = 'EPERM'\ncount = '1'", "services = ['x']\ncount = '3'"]
        {
            assert!(check(&expected(wrong), &spans, &facts).unwrap().len() == 1, "{wrong}");
        }
        assert!(check(&expected("name = '{nothing}'\ncount = '0'"), &spans, &facts).is_err());
    }

    #[test]
    fn time_on_a_bus_lies_within_its_command() {
        let of = |name: &str, id: &str, parent: Option<&str>, start, end| Span {
            id: id.to_owned(),
            parent: parent.map(str::to_owned),
            start,
            end,
            ..span(name, None, "/dev/x")
        };
        let command = of("peripheral.execute X", "1", None, 10, 20);
        let judged = |bus: Span| misplaced(&[bus, command.clone()]);
        assert_eq!(judged(of("bus i2c transfer", "2", Some("1"), 10, 20)), [] as [&str; 0]);
        for bus in [
            of("bus i2c transfer", "2", Some("1"), 10, 21),
            of("bus i2c transfer", "2", Some("1"), 9, 20),
            of("bus i2c transfer", "2", Some("3"), 10, 20),
            of("bus i2c transfer", "2", None, 10, 20),
        ] {
            assert_eq!(judged(bus).len(), 1);
        }
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text) in
            [("a", "a"), ("a*", "a"), ("*", ""), ("a*c", "abc"), ("*b*", "abc"), ("a*b*c", "aXbYc")]
        {
            assert!(like(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("a", "ab"), ("a*", "b"), ("a*c", "ab"), ("*b*", "ac"), ("", "a")] {
            assert!(!like(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_report_has_to_count_right() {
        let report: Value = serde_json::from_str("{\"counts\":{\"publishes\":12}}").unwrap();
        let facts = facts("n=6\n");
        let check = |name: &str, count: &str| {
            let text = format!("name = '{name}'\ncount = '{count}'");
            miscounted(&toml::from_str(&text).unwrap(), &report, &facts).unwrap()
        };
        assert_eq!(check("publishes", "{n} + {n}"), None);
        assert_eq!(check("tls.unplaced", "0"), None);
        assert_eq!(check("publishes", "{n}").as_deref(), Some("publishes is 12 instead of 6"));
    }

    #[test]
    fn losses_and_missing_features_are_wrong() {
        let report = |dropped: &str| {
            let text = format!("{{\"stages\":[{{\"stage\":\"kernel\",\"dropped\":{dropped}}}]}}");
            lost(&serde_json::from_str(&text).unwrap())
        };
        assert_eq!(report("{}"), [] as [&str; 0]);
        assert_eq!(report("{\"ring_full\":0}"), [] as [&str; 0]);
        assert_eq!(report("{\"ring_full\":3}"), ["kernel lost 3 (ring_full)"]);
        assert_eq!(lost(&Value::Null).len(), 1);
        let rig = Rig { doctor: vec!["btf".to_owned()], ..Rig::default() };
        let found = |available: bool| {
            let text = format!(
                "{{\"features\":[{{\"name\":\"btf\",\"available\":{available}}}],\"programs\":[{{\"verified_instructions\":9}}]}}"
            );
            doctor(&rig, &serde_json::from_str(&text).unwrap()).len()
        };
        assert_eq!((found(true), found(false)), (0, 1));
        assert_eq!(doctor(&rig, &Value::Null).len(), 2);
    }
}
