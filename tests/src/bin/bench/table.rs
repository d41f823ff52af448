//! Medians of what was measured, as a Markdown table.

use serde_json::Value;
use std::collections::BTreeMap;
use tracer_tests::stats::median;

/// Measured values by name, one for each round, of each condition.
pub(crate) type Values = BTreeMap<String, Vec<f64>>;

/// Numbers of a nested object by the names on the way to them.
pub(crate) fn flatten(name: &str, value: &Value, into: &mut serde_json::Map<String, Value>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                let separator = if name.contains(": ") { " " } else { ": " };
                flatten(&format!("{name}{separator}{key}"), value, into);
            }
        }
        Value::Number(_) => drop(into.insert(name.to_owned(), value.clone())),
        _ => {}
    }
}

/// One round's values.
pub(crate) fn add(values: &mut Values, measured: &Value) {
    for (name, value) in measured.as_object().into_iter().flatten() {
        if let Some(value) = value.as_f64() {
            values.entry(name.clone()).or_default().push(value);
        }
    }
}

/// Medians; behind each, what it is of the first condition's.
pub(crate) fn table(unit: &str, results: &[(String, Values)]) -> String {
    let mut names: Vec<&String> = results.iter().flat_map(|(_, values)| values.keys()).collect();
    names.sort();
    names.dedup();
    let mut lines = vec![
        format!(
            "| {unit} | {} |",
            results.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" | ")
        ),
        format!("| --- |{}", " --- |".repeat(results.len())),
    ];
    for name in names {
        let medians = || results.iter().map(|(_, values)| values.get(name).and_then(|values| median(values)));
        let first = medians().next().flatten();
        let cells = medians().enumerate().map(|(at, value)| match (value, first) {
            (None, _) => String::new(),
            (Some(value), Some(first)) if at > 0 && first > 0.0 => {
                format!("{:.0} ({:+.0}, ×{:.2})", whole(value), whole(value - first), value / first)
            }
            (Some(value), _) => format!("{:.0}", whole(value)),
        });
        lines.push(format!("| {name} | {} |", cells.collect::<Vec<_>>().join(" | ")));
    }
    lines.join("\n") + "\n"
}

/// Rounded; nothing has no sign, though a sum of no numbers is -0.
fn whole(value: f64) -> f64 {
    let rounded = value.round();
    if rounded == 0.0 { 0.0 } else { rounded }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_medians_differences_and_gaps() {
        let values = |pairs: &[(&str, &[f64])]| -> Values {
            pairs.iter().map(|(name, values)| ((*name).to_owned(), values.to_vec())).collect()
        };
        let results = [
            ("nothing".to_owned(), values(&[("read", &[100.0, 90.0, 110.0])])),
            ("x".to_owned(), values(&[("read", &[150.0]), ("lost", &[-0.0])])),
            ("y".to_owned(), values(&[])),
        ];
        assert_eq!(
            table("ns", &results),
            "| ns | nothing | x | y |\n| --- | --- | --- | --- |\n| lost |  | 0 |  |\n\
             | read | 100 | 150 (+50, ×1.50) |  |\n"
        );
    }

    #[test]
    fn nested_numbers_keep_their_names() {
        let mut flat = serde_json::Map::new();
        flatten("r", &serde_json::json!({"a": 1, "b": {"c": 2.5}, "d": null}), &mut flat);
        assert_eq!(Value::Object(flat), serde_json::json!({"r: a": 1, "r: b c": 2.5}));
    }
}
