//! Devices that come and go while tracing: the kernel side's filter follows them at once, the analysis is told.

use std::io;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::device;
use crate::host::clock;
use crate::host::devices::{self, Catalog, Pattern, Row, Rows, number_of_row, row};
use crate::host::uevents::{Census, Change, Uevents};
use crate::kernel::selection::DeviceFilter;
use crate::model::capture::DeviceNumber;

/// How often paths and links are looked at again, and where the kernel says nothing, all devices: those who make links
/// do it some 0.1 s after the device came.
const LOOK: Duration = Duration::from_millis(500);

/// Notices that may wait for the analysis, which takes them every few milliseconds.
const NOTICES: usize = 4096;

const MESSAGES: Token = Token(0);
const WAKE: Token = Token(1);

/// What the analysis is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A number was given to a device.
    Came(DeviceNumber),
    /// A device was taken away at this time, `CLOCK_MONOTONIC` in ns.
    Went(DeviceNumber, u64),
    /// These are selected now.
    Selected(Rows),
}

/// What follows the devices. Dropping it ends it.
pub struct Hotplug {
    notices: Receiver<Notice>,
    stop: Arc<AtomicBool>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Hotplug {
    /// Starts following: `selected` is what the kernel side was told of `patterns` when it was loaded.
    ///
    /// # Errors
    /// No thread or no descriptor is left.
    pub fn start(
        patterns: Vec<Pattern>,
        selected: Rows,
        catalog: Catalog,
        filter: DeviceFilter,
    ) -> io::Result<Self> {
        let (sender, notices) = sync_channel(NOTICES);
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let source = Source::open(&catalog);
        if let Source::Kernel(uevents, _) = &source {
            poll.registry().register(&mut SourceFd(&uevents.as_raw_fd()), MESSAGES, Interest::READABLE)?;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let watch = Watch { patterns, selected, catalog, filter, sender, full: false };
        let told = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("hotplug".to_owned())
            .spawn(move || watch.run(poll, source, &told))?;
        Ok(Self { notices, stop, waker, thread: Some(thread) })
    }

    /// The next notice, if there is one.
    pub fn next(&self) -> Option<Notice> {
        self.notices.try_recv().ok()
    }
}

impl Drop for Hotplug {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Without a wake-up it notices a little later.
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Who says that a device came or went.
enum Source {
    /// The kernel; what there was, in case it says too much at once.
    Kernel(Uevents, Census),
    /// Nobody: what there was, to be compared.
    Nobody(Census),
}

impl Source {
    fn open(catalog: &Catalog) -> Self {
        let uevents = Uevents::open();
        let census = Census::new(catalog.sysfs());
        match uevents {
            Ok(uevents) => Self::Kernel(uevents, census),
            Err(error) => {
                tracing::warn!(
                    "the kernel does not say when devices come and go ({error}); looking every {} ms instead",
                    LOOK.as_millis()
                );
                Self::Nobody(census)
            }
        }
    }

    fn changes(&mut self, catalog: &Catalog, out: &mut Vec<Change>) {
        match self {
            Self::Kernel(uevents, census) => {
                if uevents.read(out) {
                    tracing::debug!("messages of devices were lost; comparing instead");
                    out.push(Change::Other);
                    census.changes(catalog.sysfs(), out);
                } else if !out.is_empty() {
                    *census = Census::new(catalog.sysfs());
                }
            }
            Self::Nobody(census) => census.changes(catalog.sysfs(), out),
        }
    }
}

/// The thread's own things.
struct Watch {
    patterns: Vec<Pattern>,
    selected: Rows,
    catalog: Catalog,
    filter: DeviceFilter,
    sender: SyncSender<Notice>,
    /// The filter has no room; said once.
    full: bool,
}

impl Watch {
    fn run(mut self, mut poll: Poll, mut source: Source, stop: &AtomicBool) {
        let looks = matches!(source, Source::Nobody(_)) || self.patterns.iter().any(Pattern::is_a_path);
        let mut events = Events::with_capacity(2);
        let mut changes = Vec::new();
        // What came while the kernel side was loaded.
        self.select();
        while !stop.load(Ordering::Relaxed) {
            if poll.poll(&mut events, looks.then_some(LOOK)).is_err() {
                events.clear();
            }
            let at = clock::monotonic_ns();
            source.changes(&self.catalog, &mut changes);
            if !changes.is_empty() || (looks && events.is_empty()) {
                // First the filter: the program that waits for the device uses it at once.
                for change in &changes {
                    if let Change::Came(number) = change {
                        self.admit(*number);
                    }
                }
                self.select();
            }
            for change in changes.drain(..) {
                let notice = match change {
                    Change::Came(number) => Notice::Came(number),
                    Change::Went(number) => Notice::Went(number, at),
                    Change::Other => continue,
                };
                if !self.tell(notice) {
                    return;
                }
            }
        }
    }

    /// Selects a device that came, if it is meant by what it is: finding that out takes less than a millisecond, to go
    /// through all devices takes a hundred times that.
    fn admit(&mut self, number: DeviceNumber) {
        let device = self.catalog.describe_plainly(number);
        if self.patterns.iter().any(|pattern| pattern.fits(&device, &self.catalog)) {
            // What fails here fails in `select` again, and is said there.
            let _ = self.filter.add(row(number), device::family(device.class));
        }
    }

    /// Tells the analysis; `false` if it is over.
    fn tell(&self, notice: Notice) -> bool {
        match self.sender.try_send(notice) {
            Ok(()) => true,
            // It will see the number's new device at the next open, and failures in the calls themselves.
            Err(TrySendError::Full(notice)) => {
                tracing::warn!("the analysis did not take {notice:?} in time");
                true
            }
            Err(TrySendError::Disconnected(_)) => false,
        }
    }

    /// Brings the filter up to date.
    fn select(&mut self) {
        let (now, _) = devices::resolve(&self.patterns, &self.catalog);
        // One that is unplugged stays: what still has it open fails, and that is to be seen; and it may come back. One
        // whose number another device has by now goes.
        let went: Vec<Row> = self
            .selected
            .keys()
            .filter(|row| !now.contains_key(row) && self.is_taken(**row))
            .copied()
            .collect();
        for row in &went {
            self.filter.remove(*row);
            self.selected.remove(row);
        }
        for (row, bytes) in devices::block_sizes(self.catalog.sysfs()) {
            // Without room the length of some commands' data stays unknown.
            let _ = self.filter.block(row, bytes);
        }
        let mut came = Vec::new();
        for (row, class) in now {
            // The same number may be of another class by now.
            if self.selected.get(&row) == Some(&class) {
                continue;
            }
            match self.filter.add(row, device::family(class)) {
                Ok(()) => {
                    self.selected.insert(row, class);
                    came.push(row);
                }
                Err(error) => self.say_full(&error),
            }
        }
        if came.is_empty() && went.is_empty() {
            return;
        }
        for number in came.into_iter().filter_map(number_of_row) {
            let device = self.catalog.describe(number);
            tracing::info!(id = &*device.id, "{} came and is traced", device.path);
        }
        self.tell(Notice::Selected(self.selected.clone()));
    }

    fn say_full(&mut self, error: &dyn std::error::Error) {
        if !std::mem::replace(&mut self.full, true) {
            tracing::warn!("a device that came cannot be selected, there are too many: {error}");
        }
    }

    /// Whether a number is a device's now.
    fn is_taken(&self, row: Row) -> bool {
        number_of_row(row).is_some_and(|number| self.catalog.stamp(number) != 0)
    }
}
