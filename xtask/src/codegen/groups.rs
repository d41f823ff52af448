//! Which generated file a header's table goes to: one for each family of headers, and `other` for the rest.

/// A file, what is in it, and how the names of its headers start. The first that fits has the header.
pub(super) const GROUPS: &[(&str, &str, &[&str])] = &[
    (
        "graphics",
        "graphics and framebuffers",
        &[
            "drm/",
            "linux/kfd_",
            "linux/fb.h",
            "linux/agpgart",
            "linux/matroxfb",
            "linux/radeonfb",
            "linux/arcfb",
            "linux/omapfb",
            "linux/ivtvfb",
            "linux/dma-",
            "linux/udmabuf",
            "linux/sync_file",
            "misc/habanalabs",
            "video/",
        ],
    ),
    ("sound", "sound", &["sound/", "linux/soundcard"]),
    (
        "video",
        "video, media controllers, television and infrared",
        &[
            "linux/videodev2",
            "linux/v4l2",
            "linux/media.h",
            "linux/dvb/",
            "linux/lirc",
            "linux/cec",
            "linux/ivtv.h",
            "linux/meye",
            "linux/omap3isp",
            "linux/uvcvideo",
            "linux/am437x",
            "linux/ccs",
            "linux/cx18",
            "linux/dw100",
            "linux/xilinx-v4l2",
            "linux/bcm2835-isp",
        ],
    ),
    (
        "terminal",
        "terminals, consoles and modems",
        &[
            "asm-generic/ioctls",
            "linux/kd.h",
            "linux/vt.h",
            "linux/tty",
            "linux/serial",
            "linux/gsmmux",
            "linux/synclink",
            "linux/serio",
        ],
    ),
    (
        "bus",
        "buses, pins and small devices on them",
        &[
            "linux/i2c",
            "linux/spi/",
            "linux/gpio",
            "linux/iio/",
            "linux/counter",
            "linux/fsi",
            "linux/firewire",
            "linux/rtc",
            "linux/pps",
            "linux/ptp",
            "linux/watchdog",
            "linux/rio_",
            "linux/hsi/",
            "linux/comedi",
        ],
    ),
    (
        "input",
        "input devices and HID",
        &["linux/input", "linux/uinput", "linux/hid", "linux/joystick", "linux/rfkill"],
    ),
    ("usb", "USB", &["linux/usb"]),
    (
        "storage",
        "block devices, SCSI, NVMe, discs, tapes and flash",
        &[
            "scsi/",
            "linux/fs.h",
            "linux/blk",
            "linux/hdreg",
            "linux/loop",
            "linux/nbd",
            "linux/raid/",
            "linux/dm-",
            "linux/cdrom",
            "linux/fd.h",
            "linux/nvme",
            "linux/mmc/",
            "linux/mtio",
            "linux/chio",
            "linux/pktcdvd",
            "linux/bcache",
            "linux/cciss",
            "linux/i2o",
            "linux/pr.h",
            "linux/sed-opal",
            "linux/bsg",
            "mtd/",
            "linux/ublk",
            "linux/ndctl",
            "linux/zorro",
        ],
    ),
    (
        "virtual_machine",
        "virtual machines and devices given to them",
        &[
            "linux/kvm",
            "linux/vfio",
            "linux/vhost",
            "linux/vduse",
            "linux/vbox",
            "linux/acrn",
            "linux/nitro",
            "linux/iommu",
            "linux/sev",
            "linux/psp",
            "linux/mshv",
            "linux/virt",
            "linux/vm_",
            "linux/vmcore",
            "linux/fsl_hyp",
            "xen/",
            "asm/sgx",
            "linux/tdx",
            "asm/kvm",
        ],
    ),
    (
        "network",
        "network interfaces, sockets and telephony",
        &[
            "linux/sockios",
            "asm-generic/sockios",
            "linux/if",
            "linux/ppp",
            "linux/wireless",
            "linux/atm",
            "linux/sonet",
            "linux/mroute",
            "linux/x25",
            "linux/capi",
            "linux/isdn",
            "linux/net",
            "rdma/",
        ],
    ),
    (
        "file_system",
        "file systems",
        &[
            "linux/btrfs",
            "linux/f2fs",
            "linux/fuse",
            "linux/auto_",
            "linux/ext",
            "linux/fscrypt",
            "linux/fsverity",
            "linux/msdos",
            "linux/nilfs",
            "linux/reiserfs",
            "linux/udf",
            "linux/coda",
            "linux/cachefiles",
            "linux/nsfs",
            "linux/fsmap",
            "linux/xfs",
        ],
    ),
];

/// The file for what is nowhere else.
pub(super) const OTHER: (&str, &str) = ("other", "everything else");

/// The file for a header.
pub(super) fn of(header: &str) -> &'static str {
    let fits = |starts: &[&str]| starts.iter().any(|start| header.starts_with(start));
    GROUPS.iter().find(|(_, _, starts)| fits(starts)).map_or(OTHER.0, |(name, ..)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_header_has_one_file() {
        for (header, file) in [
            ("linux/usbdevice_fs.h", "usb"),
            ("linux/usb/tmc.h", "usb"),
            ("drm/drm.h", "graphics"),
            ("linux/media.h", "video"),
            ("linux/mei.h", "other"),
        ] {
            assert_eq!(of(header), file, "{header}");
        }
    }
}
