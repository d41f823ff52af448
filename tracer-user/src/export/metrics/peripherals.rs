//! What spans of devices feed besides their counts and durations: errors by kind, bytes, the time of the last command,
//! events, and the time on the bus.

use std::sync::Arc;

use super::gauges::{Gauges, Level};
use super::series::{Distributions, Durations, Exemplar, Families, Labels, Total, Totals, device_histogram};
use crate::model::command::Status;
use crate::model::errno;
use crate::model::payload::Payload;
use crate::model::span::{Span, SpanKind, Subject};
use crate::names::metric;

/// The families.
pub(super) struct Peripherals {
    errors: Totals,
    events: Totals,
    read: Totals,
    written: Totals,
    last: Gauges,
    bus: Distributions,
}

/// Those of spans with the same labels, that need more of a span than its duration.
pub(super) struct Fed {
    read: Total,
    written: Total,
    /// None for events.
    last: Option<Level>,
    /// The command failed in the kernel, not in the device: without an answer, nothing has moved.
    refused: bool,
    unsolicited: bool,
}

impl Peripherals {
    pub(super) fn new(make: &mut Families<'_>) -> Self {
        Self {
            errors: make.totals(metric::PERIPHERAL_COMMAND_ERRORS, "Device commands that failed, by kind"),
            events: make.totals(metric::PERIPHERAL_EVENT, "Events that devices sent unasked"),
            read: make.totals(metric::PERIPHERAL_READ_BYTES, "Bytes from devices to programs"),
            written: make.totals(metric::PERIPHERAL_WRITTEN_BYTES, "Bytes from programs to devices"),
            last: Gauges::new(
                make,
                metric::PERIPHERAL_LAST_COMMAND,
                "When the last device command ended, Unix time",
            ),
            bus: make.durations(
                metric::PERIPHERAL_BUS_DURATION,
                "Duration of drivers' transactions on their buses",
                device_histogram,
            ),
        }
    }

    /// The metrics of this span: what counts spans goes into `totals`, what measures them into `durations`.
    pub(super) fn series(
        &mut self,
        span: &Span,
        totals: &mut Vec<Total>,
        durations: &mut Vec<Durations>,
    ) -> Option<Fed> {
        let Subject::Device { device, command, unsolicited } = &span.subject else { return None };
        let status: Arc<str> = if span.status.is_error() { "error" } else { "ok" }.into();
        if !unsolicited && span.kind == SpanKind::Internal {
            // `bus {bus} {what}`
            let bus = span.name.strip_prefix("bus ")?.split(' ').next()?;
            let path = ("device", Arc::clone(&device.path));
            durations.push(self.bus.of(vec![path, ("bus", bus.into()), ("status", status)]));
            return None;
        }
        let place = |key: &'static str| -> Labels {
            vec![
                ("device", Arc::clone(&device.path)),
                ("class", device.class.into()),
                (key, command.as_ref().into()),
            ]
        };
        let with = |mut labels: Labels, key: &'static str, value: Arc<str>| {
            labels.push((key, value));
            labels
        };
        let mut refused = false;
        if *unsolicited {
            totals.push(self.events.of(with(place("event"), "status", status)));
        } else if let Status::Error { kind, message: _ } = &span.status {
            refused = errno::is_name(kind);
            totals.push(self.errors.of(with(place("command"), "error_type", kind.as_ref().into())));
        }
        Some(Fed {
            read: self.read.of(place("command")),
            written: self.written.of(place("command")),
            last: (!unsolicited).then(|| self.last.of(place("command"))),
            refused,
            unsolicited: *unsolicited,
        })
    }
}

impl Fed {
    /// Counts a span.
    pub(super) fn observe(&self, span: &Span) {
        let size = |payload: &Option<Payload>| payload.as_ref().map_or(0, |payload| payload.size);
        let (asked, answered) = (size(&span.payload), size(&span.reply));
        // The bytes of an event are the device's.
        let (read, written) = if self.unsolicited { (asked, 0) } else { (answered, asked) };
        let exemplar = Exemplar { trace: span.trace, span: span.id };
        for (total, bytes) in [(&self.read, read), (&self.written, written)] {
            if bytes > 0 && !(self.refused && span.reply.is_none()) {
                total.inc_by(bytes, Some(exemplar), None);
            }
        }
        if let Some(last) = &self.last {
            let end = span.at.end.0 as f64 / 1e9;
            // Spans come nearly in order.
            if end > last.get() {
                last.set(end);
            }
        }
    }
}
