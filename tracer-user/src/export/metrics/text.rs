//! From OpenMetrics to the classic Prometheus text format (version 0.0.4).
//!
//! The differences: the family of a counter is named with its `_total`, there are no exemplars, no `# UNIT`
//! and no `# EOF`.

/// Rewrites OpenMetrics text as classic text.
pub(super) fn classic(open_metrics: &str) -> String {
    let mut out = String::with_capacity(open_metrics.len());
    let mut lines = open_metrics.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("# UNIT ") || line == "# EOF" {
            continue;
        }
        if let Some(help) = line.strip_prefix("# HELP ") {
            // The type follows the help, and says whether the name gets a suffix.
            let counter =
                lines.peek().is_some_and(|line| line.starts_with("# TYPE ") && line.ends_with(" counter"));
            let (name, text) = help.split_once(' ').unwrap_or((help, ""));
            let suffix = if counter { "_total" } else { "" };
            out.extend(["# HELP ", name, suffix, " ", text, "\n"]);
        } else if let Some(name) = line.strip_prefix("# TYPE ").and_then(|line| line.strip_suffix(" counter"))
        {
            out.extend(["# TYPE ", name, "_total counter\n"]);
        } else {
            out.extend([without_exemplar(line), "\n"]);
        }
    }
    out
}

/// A sample's line up to its exemplar. What looks like one within a label's value is none.
fn without_exemplar(line: &str) -> &str {
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'#' if !quoted && at > 0 => return line[..at].trim_end(),
            _ => {}
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::classic;

    #[test]
    fn names_exemplars_and_end() {
        let open = "# HELP a Things.\n# TYPE a counter\n# UNIT a x\na_total{k=\"# {\\\" #\"} 1 # {trace_id=\"0\"} 1.0\n\
                    # HELP b Others.\n# TYPE b gauge\nb 2\n# EOF\n";
        let expected = "# HELP a_total Things.\n# TYPE a_total counter\na_total{k=\"# {\\\" #\"} 1\n\
                        # HELP b Others.\n# TYPE b gauge\nb 2\n";
        assert_eq!(classic(open), expected);
    }
}
