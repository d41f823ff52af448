//! Traces as trees, for people at a terminal.
//!
//! [`render`] is pure: spans in, text out. `book` decides when a trace is complete.

pub(crate) mod book;
mod text;

use std::fmt::Write;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use unicode_width::UnicodeWidthStr;

use self::text::{clean, cut, duration, pad, size};
use super::otlp::evidence;
use crate::model::command::Status;
use crate::model::ids::{SpanId, TraceId};
use crate::model::span::{Edge, Owner, Span, Subject};

/// How a tree looks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// Columns there are; `None`: as many as it takes.
    pub width: Option<usize>,
    /// Whether to use colours.
    pub colour: bool,
}

impl Look {
    /// What suits standard output: the terminal's width, and colours unless `NO_COLOR` is set; for a pipe or
    /// file neither.
    #[must_use]
    pub fn of_stdout() -> Self {
        use std::io::IsTerminal;
        if !std::io::stdout().is_terminal() {
            return Self::default();
        }
        let width = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { width, colour: !set("NO_COLOR") && !dumb }
    }

    fn paint(self, style: &str, text: &str) -> String {
        if self.colour && !text.is_empty() { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

// Styles: parameters of "select graphic rendition" (ECMA-48, 8.3.117).
const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "1;31";
const CYAN: &str = "36";

/// One line before it is aligned.
struct Row<'a> {
    span: &'a Span,
    /// The lines of the tree.
    branch: String,
    name: String,
    detail: String,
    who: String,
    took: String,
    error: String,
    why: String,
}

/// The spans of one trace as a tree, a line each after a headline. `hidden`: how many more there are.
#[must_use]
pub fn render(spans: &[Arc<Span>], hidden: usize, look: Look) -> String {
    let mut rows = rows(spans);
    let mut out = headline(spans, look);
    let (mut columns, mut tail) = columns(&rows);
    if let Some(width) = look.width {
        if total(columns, tail) > width {
            // The mark says that it is a device; the command says more than that.
            for row in &mut rows {
                for prefix in ["peripheral.execute ", "peripheral.event "] {
                    row.name = row.name.strip_prefix(prefix).unwrap_or(&row.name).to_owned();
                }
            }
            (columns, tail) = self::columns(&rows);
        }
        shrink(&mut columns, tail, width);
    }
    for row in &rows {
        line(row, columns, look, &mut out);
    }
    if hidden > 0 {
        let more = format!("   … and {hidden} more spans");
        out.push_str(&look.paint(DIM, &more));
        out.push('\n');
    }
    out
}

/// Columns between columns.
const GAP: usize = 2;
/// Columns of the mark before a name, with its space.
const MARK: usize = 2;

/// Widths of name (with branch and mark), detail, owner and duration, and of what follows them.
fn columns(rows: &[Row<'_>]) -> ([usize; 4], usize) {
    let widest = |text: fn(&Row<'_>) -> usize| rows.iter().map(text).max().unwrap_or(0);
    let columns = [
        widest(|row| row.branch.width() + MARK + row.name.width()),
        widest(|row| row.detail.width()),
        widest(|row| row.who.width()),
        widest(|row| row.took.width()),
    ];
    let tail = widest(|row| {
        let gap = if row.error.is_empty() || row.why.is_empty() { 0 } else { GAP };
        row.error.width() + gap + row.why.width()
    });
    (columns, tail)
}

/// Width of the longest line.
fn total(columns: [usize; 4], tail: usize) -> usize {
    columns.iter().map(|column| if *column > 0 { column + GAP } else { 0 }).sum::<usize>() + tail
}

/// Makes the columns narrower until a line fits, the widest kind of text first, as far as it stays readable.
fn shrink(columns: &mut [usize; 4], tail: usize, width: usize) {
    /// Narrowest useful width of name, detail and owner.
    const LEAST: [usize; 3] = [32, 10, 10];
    let mut excess = total(*columns, tail).saturating_sub(width);
    for (column, least) in columns.iter_mut().zip(LEAST) {
        let give = column.saturating_sub(least).min(excess);
        *column -= give;
        excess -= give;
    }
}

fn line(row: &Row<'_>, columns: [usize; 4], look: Look, out: &mut String) {
    let [name, detail, who, took] = columns;
    let failed = row.span.status.is_error();
    let (mark, style) = match &row.span.subject {
        _ if failed => ("✗", RED),
        Subject::Device { .. } => ("●", CYAN),
        _ => ("·", DIM),
    };
    let branch = row.branch.width() + MARK;
    let label = pad(&cut(&row.name, name.saturating_sub(branch)), name.saturating_sub(branch));
    let label = if failed { look.paint(RED, &label) } else { label };
    let mut used = branch.max(name);
    let _ = write!(out, "{}{} {label}", look.paint(DIM, &row.branch), look.paint(style, mark));
    for (text, width) in [(&row.detail, detail), (&row.who, who)] {
        if width > 0 {
            let _ = write!(out, "  {}", pad(&cut(text, width), width));
            used += GAP + width;
        }
    }
    let blanks = " ".repeat(took.saturating_sub(row.took.width()));
    let _ = write!(out, "  {blanks}{}", look.paint(BOLD, &row.took));
    used += GAP + took;

    let mut room = look.width.map_or(usize::MAX, |width| width.saturating_sub(used));
    for (text, style) in [(&row.error, RED), (&row.why, DIM)] {
        if !text.is_empty() && room > GAP + 1 {
            let text = cut(text, room - GAP);
            room = room.saturating_sub(GAP + text.width());
            let _ = write!(out, "  {}", look.paint(style, &text));
        }
    }
    out.push('\n');
}

fn headline(spans: &[Arc<Span>], look: Look) -> String {
    let mut services: Vec<String> = Vec::new();
    for span in by_start(spans) {
        let service = clean(service(&span.owner)).into_owned();
        if !services.contains(&service) {
            services.push(service);
        }
    }
    let start = spans.iter().map(|span| span.at.start).min().unwrap_or_default();
    let end = spans.iter().map(|span| span.at.end).max().unwrap_or_default();
    let errors = spans.iter().filter(|span| span.status.is_error()).count();
    let errors = match errors {
        0 => String::new(),
        1 => "  1 error".to_owned(),
        many => format!("  {many} errors"),
    };
    let trace = spans.first().map(|span| short(span.trace)).unwrap_or_default();
    let fixed =
        "trace ".len() + trace.width() + GAP + GAP + duration(end.since(start)).width() + errors.width();
    let room = look.width.map_or(usize::MAX, |width| width.saturating_sub(fixed).max(8));
    format!(
        "{}  {}  {}{}\n",
        look.paint(BOLD, &format!("trace {trace}")),
        cut(&services.join(" → "), room),
        look.paint(BOLD, &duration(end.since(start))),
        look.paint(RED, &errors),
    )
}

/// The beginning of a trace's id, enough to tell it from others on the screen.
fn short(trace: TraceId) -> String {
    let mut text = trace.to_string();
    text.truncate(8);
    text.push('…');
    text
}

fn by_start(spans: &[Arc<Span>]) -> Vec<&Span> {
    let mut sorted: Vec<_> = spans.iter().map(Arc::as_ref).collect();
    sorted.sort_by_key(|span| (span.at.start, span.id));
    sorted
}

/// The spans as rows, each below its parent. A span whose parent is not here is a root.
fn rows(spans: &[Arc<Span>]) -> Vec<Row<'_>> {
    let sorted = by_start(spans);
    let here: HashSet<SpanId> = sorted.iter().map(|span| span.id).collect();
    let mut children: HashMap<SpanId, Vec<&Span>> = HashMap::new();
    let mut roots = Vec::new();
    for span in &sorted {
        let parent = span.parent.as_ref().filter(|edge| edge.trace == span.trace && edge.span != span.id);
        match parent.filter(|edge| here.contains(&edge.span)) {
            Some(edge) => children.entry(edge.span).or_default().push(span),
            None => roots.push(*span),
        }
    }
    let mut rows = Vec::new();
    // Each list of children is taken once, so that spans which are each other's parents come to an end.
    below(roots, "", &mut children, &mut rows);
    // What is left are spans in a circle: shown all the same.
    for span in sorted {
        if let Some(left) = children.remove(&span.id) {
            below(left, "", &mut children, &mut rows);
        }
    }
    rows
}

fn below<'a>(
    siblings: Vec<&'a Span>,
    indent: &str,
    children: &mut HashMap<SpanId, Vec<&'a Span>>,
    rows: &mut Vec<Row<'a>>,
) {
    let last = siblings.len().saturating_sub(1);
    for (place, span) in siblings.into_iter().enumerate() {
        let (corner, stem) = if place == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        rows.push(row(span, format!("{indent}{corner}")));
        if let Some(own) = children.remove(&span.id) {
            below(own, &format!("{indent}{stem}"), children, rows);
        }
    }
}

fn row(span: &Span, branch: String) -> Row<'_> {
    let detail = match &span.subject {
        Subject::Device { device, .. } => clean(&device.path).into_owned(),
        Subject::Publish(message) => size(message.body_size),
        _ => String::new(),
    };
    let who = match &span.owner {
        Owner::Process(process) => format!("{}[{}]", clean(&process.service_name), process.key.pid),
        Owner::Remote { name, address } => format!("{} {}", clean(name), clean(address)),
    };
    let error = match &span.status {
        Status::Ok => String::new(),
        Status::Error { kind, message } if message.is_empty() => clean(kind).into_owned(),
        Status::Error { kind, message } => format!("{}: {}", clean(kind), clean(message)),
    };
    Row {
        span,
        branch,
        name: clean(&span.name).into_owned(),
        detail,
        who,
        took: duration(span.at.nanos()),
        error,
        why: why(span),
    }
}

/// What ties a span to its cause and to others.
fn why(span: &Span) -> String {
    let claim = |edge: &Edge| format!("{} {:.2}", evidence(edge), edge.confidence);
    let mut parts = Vec::new();
    match &span.parent {
        Some(edge) if edge.trace == span.trace => parts.push(claim(edge)),
        Some(edge) => parts.push(format!("from {} {}", short(edge.trace), claim(edge))),
        None if span.remote_parent.is_some() => parts.push("traceparent".to_owned()),
        None => {}
    }
    // The weakest link is what one has to know.
    let weakest = span.links.iter().min_by(|one, other| one.confidence.total_cmp(&other.confidence));
    if let Some(weakest) = weakest {
        parts.push(match span.links.len() {
            1 => format!("link {}", claim(weakest)),
            many => format!("{many} links ≥ {}", claim(weakest)),
        });
    }
    parts.join(", ")
}

fn service(owner: &Owner) -> &str {
    match owner {
        Owner::Process(process) => &process.service_name,
        Owner::Remote { name, address: _ } => name,
    }
}

#[cfg(test)]
mod tests;
