//! Reads spans back from OTLP JSON lines, one `ExportTraceServiceRequest` a line, as iotrail and the collector's file exporter
//! write them.

use anyhow::{Context as _, Result};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
    sync::Arc,
};

/// OTLP's number of a failed status.
const STATUS_ERROR: u64 = 2;

/// A span with what its resource says of the service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Trace id, hex.
    pub trace: String,
    /// Span id, hex.
    pub id: String,
    /// Parent's span id, hex.
    pub parent: Option<String>,
    /// `service.name` of its resource.
    pub service: String,
    /// All attributes of its resource, values as text.
    pub resource: Arc<BTreeMap<String, String>>,
    /// Name.
    pub name: String,
    /// Start on the wall clock, ns.
    pub start: u64,
    /// End on the wall clock, ns.
    pub end: u64,
    /// `error.type`, or what else is known, of a span whose status is Error.
    pub error: Option<String>,
    /// Attributes, values as text.
    pub attributes: BTreeMap<String, String>,
}

impl Span {
    /// An attribute's value.
    pub fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes.get(key).map(String::as_str)
    }

    /// `process.pid` of its resource: none if only the broker saw it.
    pub fn pid(&self) -> Option<u32> {
        self.resource.get("process.pid")?.parse().ok()
    }
}

/// All spans of a file.
///
/// # Errors
/// When it cannot be read, or a line is not what it should be; the error names the line.
pub fn read(path: &Path) -> Result<Vec<Span>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut spans = Vec::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.with_context(|| format!("cannot read {}", path.display()))?;
        if !line.trim().is_empty() {
            spans.append(&mut parse(&line).with_context(|| format!("{}:{}", path.display(), number + 1))?);
        }
    }
    Ok(spans)
}

/// The spans of one line.
///
/// # Errors
/// When it is not JSON, or a span lacks what every span has.
pub fn parse(line: &str) -> Result<Vec<Span>> {
    let request: Value = serde_json::from_str(line).context("no JSON")?;
    let mut spans = Vec::new();
    for resource in list(&request, "resourceSpans") {
        let of = Arc::new(resource.get("resource").map(attributes).unwrap_or_default());
        for scope in list(resource, "scopeSpans") {
            for span in list(scope, "spans") {
                spans.push(one(span, &of)?);
            }
        }
    }
    Ok(spans)
}

fn one(span: &Value, resource: &Arc<BTreeMap<String, String>>) -> Result<Span> {
    let text = |key: &str| span.get(key).and_then(Value::as_str).map(str::to_owned);
    let time = |key: &str| span.get(key).and_then(number).with_context(|| format!("a span without {key}"));
    let attributes = attributes(span);
    let status = span.get("status");
    let failed = status
        .and_then(|status| status.get("code"))
        .is_some_and(|code| number(code) == Some(STATUS_ERROR) || code.as_str() == Some("STATUS_CODE_ERROR"));
    let error = failed.then(|| {
        let message = status.and_then(|status| status.get("message")).and_then(Value::as_str);
        attributes.get("error.type").map(String::as_str).or(message).unwrap_or("error").to_owned()
    });
    Ok(Span {
        trace: text("traceId").context("a span without traceId")?,
        id: text("spanId").context("a span without spanId")?,
        parent: text("parentSpanId").filter(|parent| !parent.is_empty()),
        service: resource.get("service.name").cloned().unwrap_or_default(),
        resource: Arc::clone(resource),
        name: text("name").context("a span without name")?,
        start: time("startTimeUnixNano")?,
        end: time("endTimeUnixNano")?,
        error,
        attributes,
    })
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// OTLP JSON writes 64-bit numbers as text, but readers must take both.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn attributes(of: &Value) -> BTreeMap<String, String> {
    list(of, "attributes")
        .iter()
        .filter_map(|pair| {
            let key = pair.get("key")?.as_str()?;
            let (_kind, value) = pair.get("value")?.as_object()?.iter().next()?;
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            Some((key.to_owned(), text))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_ways_to_write_numbers() {
        let line = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"s"}}]},
            "scopeSpans":[{"spans":[
            {"traceId":"0a","spanId":"01","parentSpanId":"","name":"n","startTimeUnixNano":"18446744073709551615",
             "endTimeUnixNano":2,"attributes":[{"key":"k","value":{"intValue":"5"}},{"key":"d","value":{"doubleValue":0.5}}],
             "status":{"code":2}},
            {"traceId":"0a","spanId":"02","parentSpanId":"01","name":"m","startTimeUnixNano":1,"endTimeUnixNano":2,
             "attributes":[{"key":"error.type","value":{"stringValue":"EIO"}}],"status":{"code":"STATUS_CODE_ERROR"}}]}]}]}"#;
        let spans = parse(&line.replace('\n', " ")).unwrap();
        let [first, second] = spans.as_slice() else { panic!("{spans:?}") };
        assert_eq!((first.start, first.end, first.parent.as_deref()), (u64::MAX, 2, None));
        assert_eq!((first.attribute("k"), first.attribute("d")), (Some("5"), Some("0.5")));
        assert_eq!((first.error.as_deref(), second.error.as_deref()), (Some("error"), Some("EIO")));
        assert_eq!((second.service.as_str(), second.parent.as_deref()), ("s", Some("01")));
    }

    #[test]
    fn a_span_without_times_is_an_error() {
        let line =
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0a","spanId":"01","name":"n"}]}]}]}"#;
        assert!(parse(line).unwrap_err().to_string().contains("startTimeUnixNano"));
        assert!(parse("{").is_err());
    }
}
