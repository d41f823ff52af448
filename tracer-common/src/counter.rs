//! What the kernel side counts, per CPU. Index = discriminant; names are label values of the metrics.

/// One counter. Discriminants are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Counter {
    /// Records written to the data ring.
    Data = 0,
    /// Records written to the error and lifecycle ring.
    Lifecycle = 1,
    /// Records lost because the data ring was full.
    DataRingFull = 2,
    /// Records lost because the error and lifecycle ring was full.
    LifecycleRingFull = 3,
    /// Calls lost because too many threads were in a call at once.
    ThreadsFull = 4,
    /// Payloads that could not be read, in whole or in part: the record is there, with its lengths.
    Unreadable = 5,
    /// Segments beyond those followed: the record is there, with its lengths.
    SegmentsCut = 6,
    /// Payloads cut at `--capture-bytes`: the record is there, with its lengths.
    CaptureCut = 7,
    /// Calls on selected descriptors that found nothing (`EAGAIN`): counted, no record.
    WouldBlock = 8,
    /// Records lost because this CPU has no staging buffer.
    NoStage = 9,
    /// Descriptors that could not be followed because too many were (without BTF).
    FdsFull = 11,
    /// Calls by an instruction set that is not followed (x32).
    ForeignAbi = 10,
    /// Calls restarted by the kernel and counted once.
    Restarted = 12,
    /// Bytes written to the data ring.
    DataBytes = 13,
    /// Payload bytes beyond what was captured.
    BytesCut = 14,
    /// Transactions on buses that were not followed because too many were under way.
    BusRequestsFull = 15,
    /// Transactions on buses that were written to the data ring. Apart from the others, since these programs also run in
    /// interrupts, where adding to a number that another program is adding to would lose one of the two.
    Bus = 16,
    /// Transactions on buses that were lost because the data ring was full.
    BusRingFull = 17,
    /// Pieces of packets that were written to the data ring, where calls did not show their bytes.
    Egress = 18,
    /// Packets that were lost in whole or in part because the data ring was full.
    EgressRingFull = 19,
    /// Packets that could not be read.
    EgressUnreadable = 20,
    /// Calls whose packets were not looked at because too many connections' were.
    EgressFull = 21,
    /// Bytes of packets beyond what is copied of one.
    EgressCut = 22,
    /// Requests of io_uring that moved bytes as records show them.
    Uring = 23,
    /// Requests of io_uring that moved bytes which could not be had: the record has their number.
    UringUnseen = 24,
    /// How many bytes these were.
    UringUnseenBytes = 25,
    /// Requests of io_uring that were not followed because too many were under way.
    UringFull = 26,
    /// Calls of TLS libraries whose plaintext was written to the data ring.
    Tls = 27,
    /// Calls of TLS libraries by selected processes on connections that are not selected: nothing was copied.
    TlsForeign = 28,
    /// Calls of TLS libraries whose plaintext was lost because they interrupted another one that was being copied.
    TlsBusy = 29,
    /// Calls on sockets of which less was copied than `--capture-bytes`, because the data ring was filling.
    CaptureShort = 30,
}

/// How many counters there are.
pub const COUNTERS: u32 = 31;

/// Every counter with its name, in discriminant order.
pub const NAMES: [(Counter, &str); COUNTERS as usize] = [
    (Counter::Data, "data"),
    (Counter::Lifecycle, "lifecycle"),
    (Counter::DataRingFull, "data_ring_full"),
    (Counter::LifecycleRingFull, "lifecycle_ring_full"),
    (Counter::ThreadsFull, "threads_full"),
    (Counter::Unreadable, "unreadable"),
    (Counter::SegmentsCut, "segments_cut"),
    (Counter::CaptureCut, "capture_cut"),
    (Counter::WouldBlock, "would_block"),
    (Counter::NoStage, "no_stage"),
    (Counter::ForeignAbi, "foreign_abi"),
    (Counter::FdsFull, "fds_full"),
    (Counter::Restarted, "restarted"),
    (Counter::DataBytes, "data_bytes"),
    (Counter::BytesCut, "bytes_cut"),
    (Counter::BusRequestsFull, "bus_requests_full"),
    (Counter::Bus, "bus"),
    (Counter::BusRingFull, "bus_ring_full"),
    (Counter::Egress, "egress"),
    (Counter::EgressRingFull, "egress_ring_full"),
    (Counter::EgressUnreadable, "egress_unreadable"),
    (Counter::EgressFull, "egress_full"),
    (Counter::EgressCut, "egress_cut"),
    (Counter::Uring, "uring"),
    (Counter::UringUnseen, "uring_unseen"),
    (Counter::UringUnseenBytes, "uring_unseen_bytes"),
    (Counter::UringFull, "uring_full"),
    (Counter::Tls, "tls"),
    (Counter::TlsForeign, "tls_foreign"),
    (Counter::TlsBusy, "tls_busy"),
    (Counter::CaptureShort, "capture_short"),
];
