//! Buses whose drivers tell when a transaction begins and ends.

/// A bus. Discriminants are part of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Bus {
    /// `include/trace/events/i2c.h`.
    I2c = 1,
    /// `include/trace/events/smbus.h`.
    Smbus = 2,
    /// `include/trace/events/spi.h`.
    Spi = 3,
    /// `include/trace/events/scsi.h`.
    Scsi = 4,
    /// `drivers/nvme/host/trace.h`.
    Nvme = 5,
    /// `include/trace/events/block.h`.
    Block = 6,
    /// `include/trace/events/vb2.h`.
    V4l2 = 7,
    /// `drivers/usb/host/xhci-trace.h`: other host controllers' drivers do not tell.
    Usb = 8,
}

/// Every bus.
pub const BUSES: [Bus; 8] =
    [Bus::I2c, Bus::Smbus, Bus::Spi, Bus::Scsi, Bus::Nvme, Bus::Block, Bus::V4l2, Bus::Usb];

impl Bus {
    /// The bus with this number on the wire, if there is one.
    #[must_use]
    pub fn from_wire(number: u64) -> Option<Self> {
        BUSES.into_iter().find(|bus| *bus as u64 == number)
    }

    /// The word in span names.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::I2c => "i2c",
            Self::Smbus => "smbus",
            Self::Spi => "spi",
            Self::Scsi => "scsi",
            Self::Nvme => "nvme",
            Self::Block => "block",
            Self::V4l2 => "v4l2",
            Self::Usb => "usb",
        }
    }

    /// What a transaction is called there.
    #[must_use]
    pub const fn transaction(self) -> &'static str {
        match self {
            Self::I2c | Self::Smbus | Self::Usb => "transfer",
            Self::Spi => "message",
            Self::Scsi | Self::Nvme => "command",
            Self::Block => "request",
            Self::V4l2 => "buffer",
        }
    }

    /// Kernel programs and the tracepoints that they belong to: ends first, so that none is missed.
    #[must_use]
    pub const fn hooks(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::I2c => &[("i2c_end", "i2c_result"), ("i2c_begin", "i2c_write"), ("i2c_begin", "i2c_read")],
            Self::Smbus => &[
                ("smbus_end", "smbus_result"),
                ("smbus_begin", "smbus_write"),
                ("smbus_begin", "smbus_read"),
            ],
            Self::Spi => &[("spi_end", "spi_message_done"), ("spi_begin", "spi_message_submit")],
            Self::Scsi => {
                &[("scsi_end", "scsi_dispatch_cmd_done"), ("scsi_begin", "scsi_dispatch_cmd_start")]
            }
            Self::Nvme => &[("nvme_end", "nvme_complete_rq"), ("nvme_begin", "nvme_setup_cmd")],
            Self::Block => &[
                ("block_end", "block_rq_complete"),
                ("block_begin", "block_rq_issue"),
                ("block_merged", "block_rq_merge"),
                ("block_queued", "block_rq_insert"),
            ],
            Self::V4l2 => {
                &[("v4l2_end", "vb2_buf_done"), ("v4l2_begin", "vb2_buf_queue"), ("v4l2_given", "vb2_qbuf")]
            }
            Self::Usb => &[("usb_end", "xhci_urb_giveback"), ("usb_begin", "xhci_urb_enqueue")],
        }
    }
}
