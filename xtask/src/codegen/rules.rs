//! What the headers do not say themselves: decided by hand, for `cargo xtask codegen`.

use std::ops::RangeInclusive;

/// Headers whose commands are plain numbers: how their names start, and what numbers up to 0xffff they may be.
pub(super) const PLAIN: &[(&str, &[&str], RangeInclusive<u32>)] = &[
    ("asm-generic/ioctls.h", &["T", "F"], 0x5400..=0x54ff),
    ("asm-generic/sockios.h", &["SIOC", "FIO"], 0x8900..=0x89ff),
    ("linux/cdrom.h", &["CDROM", "DVD_"], 0x5300..=0x53ff),
    ("linux/fb.h", &["FBIO"], 0x4600..=0x46ff),
    ("linux/hdreg.h", &["HDIO_"], 0x0300..=0x03ff),
    ("linux/i2c-dev.h", &["I2C_"], 0x0700..=0x07ff),
    ("linux/if_bonding.h", &["SIOC"], 0x8900..=0x89ff),
    ("linux/if_bridge.h", &["SIOC"], 0x8900..=0x89ff),
    ("linux/if_tunnel.h", &["SIOC"], 0x8900..=0x89ff),
    ("linux/kd.h", &["GIO_", "PIO_", "KD", "KIOC"], 0x4b00..=0x4bff),
    ("linux/loop.h", &["LOOP_"], 0x4c00..=0x4cff),
    ("linux/lp.h", &["LP"], 0x0600..=0x06ff),
    ("linux/mroute.h", &["SIOC"], 0x8900..=0x89ff),
    ("linux/mroute6.h", &["SIOC"], 0x8900..=0x89ff),
    ("linux/sockios.h", &["SIOC"], 0x8900..=0x8bff),
    ("linux/vt.h", &["VT_"], 0x5600..=0x56ff),
    ("linux/wireless.h", &["SIOC"], 0x8b00..=0x8bff),
    ("linux/x25.h", &["SIOC"], 0x8900..=0x89ff),
    ("scsi/scsi_ioctl.h", &["SCSI_IOCTL_"], 1..=0x53ff),
    ("scsi/sg.h", &["SG_"], 0x2200..=0x22ff),
];

/// Headers that are not looked at, and why.
pub(super) const NOT_READ: &[(&str, &str)] = &[("asm-generic/ioctl.h", "defines how numbers are built")];

/// Macros that look like commands and are none: times, directions, marks of a range, and what only the kernel can compile (the
/// numbers of 32-bit programs, which are here by another way).
pub(super) const IGNORED: &[(&str, &str)] = &[
    ("linux/auto_fs.h", "AUTOFS_IOC_SETTIMEOUT32"),
    ("linux/lp.h", "LP_TIMEOUT_INTERRUPT"),
    ("linux/lp.h", "LP_TIMEOUT_POLLED"),
    ("linux/omap3isp.h", "VIDIOC_OMAP3ISP_STAT_REQ_TIME32"),
    ("linux/soundcard.h", "_SIO"),
    ("linux/soundcard.h", "_SIOR"),
    ("linux/soundcard.h", "_SIOW"),
    ("linux/soundcard.h", "_SIOWR"),
    ("linux/usbdevice_fs.h", "USBDEVFS_BULK32"),
    ("linux/usbdevice_fs.h", "USBDEVFS_CONTROL32"),
    ("linux/usbdevice_fs.h", "USBDEVFS_DISCSIGNAL32"),
    ("linux/usbdevice_fs.h", "USBDEVFS_IOCTL32"),
    ("linux/usbdevice_fs.h", "USBDEVFS_SUBMITURB32"),
    ("linux/wireless.h", "SIOCIWFIRST"),
    ("linux/wireless.h", "SIOCIWFIRSTPRIV"),
    ("linux/wireless.h", "SIOCIWLAST"),
    ("linux/wireless.h", "SIOCIWLASTPRIV"),
    ("scsi/sg.h", "SG_DEFAULT_TIMEOUT"),
    ("scsi/sg.h", "SG_DXFER_FROM_DEV"),
    ("scsi/sg.h", "SG_DXFER_NONE"),
    ("scsi/sg.h", "SG_DXFER_TO_DEV"),
    ("scsi/sg.h", "SG_DXFER_TO_FROM_DEV"),
    ("scsi/sg.h", "SG_FLAG_NO_DXFER"),
    ("sound/asound.h", "__SNDRV_PCM_IOCTL_SYNC_PTR"),
    ("sound/asound.h", "__SNDRV_PCM_IOCTL_SYNC_PTR32"),
    ("sound/asound.h", "__SNDRV_PCM_IOCTL_SYNC_PTR64"),
];

/// Headers whose numbers are made of the sizes of structures that arm64 has in another size than amd64.
pub(super) const BY_ARCHITECTURE: &[&str] = &["linux/kvm.h"];

/// The most that a length may be: 14 bits.
const LENGTH: u32 = 0x3fff;

/// Commands over a length or an index: the most that each argument may be.
pub(super) const FAMILIES: &[(&str, &str, &[u32])] = &[
    ("linux/hiddev.h", "HIDIOCGNAME", &[LENGTH]),
    ("linux/hiddev.h", "HIDIOCGPHYS", &[LENGTH]),
    ("linux/hidraw.h", "HIDIOCGFEATURE", &[LENGTH]),
    ("linux/hidraw.h", "HIDIOCGINPUT", &[LENGTH]),
    ("linux/hidraw.h", "HIDIOCGOUTPUT", &[LENGTH]),
    ("linux/hidraw.h", "HIDIOCGRAWNAME", &[LENGTH]),
    ("linux/hidraw.h", "HIDIOCGRAWPHYS", &[LENGTH]),
    ("linux/hidraw.h", "HIDIOCGRAWUNIQ", &[LENGTH]),
    ("linux/hidraw.h", "HIDIOCSFEATURE", &[LENGTH]),
    ("linux/hidraw.h", "HIDIOCSINPUT", &[LENGTH]),
    ("linux/hidraw.h", "HIDIOCSOUTPUT", &[LENGTH]),
    ("linux/input.h", "EVIOCGABS", &[0x3f]),
    ("linux/input.h", "EVIOCGBIT", &[0x1f, LENGTH]),
    ("linux/input.h", "EVIOCGKEY", &[LENGTH]),
    ("linux/input.h", "EVIOCGLED", &[LENGTH]),
    ("linux/input.h", "EVIOCGMTSLOTS", &[LENGTH]),
    ("linux/input.h", "EVIOCGNAME", &[LENGTH]),
    ("linux/input.h", "EVIOCGPHYS", &[LENGTH]),
    ("linux/input.h", "EVIOCGPROP", &[LENGTH]),
    ("linux/input.h", "EVIOCGSND", &[LENGTH]),
    ("linux/input.h", "EVIOCGSW", &[LENGTH]),
    ("linux/input.h", "EVIOCGUNIQ", &[LENGTH]),
    ("linux/input.h", "EVIOCSABS", &[0x3f]),
    ("linux/joystick.h", "JSIOCGNAME", &[LENGTH]),
    // Of 32 bytes each: more than 511 transfers do not fit into the number.
    ("linux/spi/spidev.h", "SPI_IOC_MESSAGE", &[511]),
    ("linux/uinput.h", "UI_GET_SYSNAME", &[LENGTH]),
    ("linux/usbdevice_fs.h", "USBDEVFS_CONNINFO_EX", &[LENGTH]),
    ("linux/vboxguest.h", "VBG_IOCTL_HGCM_CALL_32", &[LENGTH]),
    ("linux/vboxguest.h", "VBG_IOCTL_HGCM_CALL_64", &[LENGTH]),
    ("linux/vboxguest.h", "VBG_IOCTL_LOG", &[LENGTH]),
    ("linux/vboxguest.h", "VBG_IOCTL_VMMDEV_REQUEST", &[LENGTH]),
];

/// Macros with arguments that help to define commands and are none themselves.
pub(super) const HELPERS: &[(&str, &str)] = &[
    ("drm/drm.h", "DRM_IO"),
    ("drm/drm.h", "DRM_IOR"),
    ("drm/drm.h", "DRM_IOW"),
    ("drm/drm.h", "DRM_IOWR"),
    ("linux/hsi/cs-protocol.h", "CS_IO"),
    ("linux/hsi/cs-protocol.h", "CS_IOR"),
    ("linux/hsi/cs-protocol.h", "CS_IOW"),
    ("linux/hsi/cs-protocol.h", "CS_IOWR"),
    ("linux/hsi/hsi_char.h", "HSC_IO"),
    ("linux/hsi/hsi_char.h", "HSC_IOR"),
    ("linux/hsi/hsi_char.h", "HSC_IOW"),
    ("linux/hsi/hsi_char.h", "HSC_IOWR"),
    ("linux/kfd_ioctl.h", "AMDKFD_IO"),
    ("linux/kfd_ioctl.h", "AMDKFD_IOR"),
    ("linux/kfd_ioctl.h", "AMDKFD_IOW"),
    ("linux/kfd_ioctl.h", "AMDKFD_IOWR"),
    ("linux/omapfb.h", "OMAP_IO"),
    ("linux/omapfb.h", "OMAP_IOR"),
    ("linux/omapfb.h", "OMAP_IOW"),
    ("linux/omapfb.h", "OMAP_IOWR"),
    ("linux/seccomp.h", "SECCOMP_IO"),
    ("linux/seccomp.h", "SECCOMP_IOR"),
    ("linux/seccomp.h", "SECCOMP_IOW"),
    ("linux/seccomp.h", "SECCOMP_IOWR"),
    // Each of their commands has a name of its own.
    ("linux/soundcard.h", "MIXER_READ"),
    ("linux/soundcard.h", "MIXER_WRITE"),
    // One of the two above it, as the program has 32 or 64 bits.
    ("linux/vboxguest.h", "VBG_IOCTL_HGCM_CALL"),
];

/// Of the names that one header has for one number, the one that is kept: what programs of today write, and on
/// `/dev/vfio/vfio` what a container takes, since the descriptors of groups and devices behind it are no device files.
pub(super) const WINNERS: &[(&str, &str)] = &[
    ("asm-generic/ioctls.h", "FIONREAD"),
    ("linux/cdrom.h", "CDROM_GET_MCN"),
    ("linux/dma-buf.h", "DMA_BUF_SET_NAME"),
    ("linux/fd.h", "FDDEFPRM"),
    ("linux/fd.h", "FDGETPRM"),
    ("linux/fd.h", "FDSETPRM"),
    ("linux/hdreg.h", "HDIO_DRIVE_TASK"),
    ("linux/kvm.h", "KVM_ASSIGN_IRQ"),
    ("linux/kvm.h", "KVM_DEBUG_GUEST"),
    ("linux/kvm.h", "KVM_GET_ONE_REG"),
    ("linux/kvm.h", "KVM_TRACE_DISABLE"),
    ("linux/kvm.h", "KVM_TRACE_ENABLE"),
    ("linux/kvm.h", "KVM_TRACE_PAUSE"),
    ("linux/lp.h", "LPSETTIMEOUT"),
    ("linux/ppp-ioctl.h", "PPPIOCGIDLE"),
    ("linux/soundcard.h", "SNDCTL_DSP_CHANNELS"),
    ("linux/soundcard.h", "SNDCTL_DSP_GETCAPS"),
    ("linux/soundcard.h", "SNDCTL_DSP_GETFMTS"),
    ("linux/soundcard.h", "SNDCTL_DSP_GETIPTR"),
    ("linux/soundcard.h", "SNDCTL_DSP_GETISPACE"),
    ("linux/soundcard.h", "SNDCTL_DSP_GETOPTR"),
    ("linux/soundcard.h", "SNDCTL_DSP_GETOSPACE"),
    ("linux/soundcard.h", "SNDCTL_DSP_GETTRIGGER"),
    ("linux/soundcard.h", "SNDCTL_DSP_MAPINBUF"),
    ("linux/soundcard.h", "SNDCTL_DSP_MAPOUTBUF"),
    ("linux/soundcard.h", "SNDCTL_DSP_NONBLOCK"),
    ("linux/soundcard.h", "SNDCTL_DSP_POST"),
    ("linux/soundcard.h", "SNDCTL_DSP_RESET"),
    ("linux/soundcard.h", "SNDCTL_DSP_SETFMT"),
    ("linux/soundcard.h", "SNDCTL_DSP_SETFRAGMENT"),
    ("linux/soundcard.h", "SNDCTL_DSP_SETSYNCRO"),
    ("linux/soundcard.h", "SNDCTL_DSP_SETTRIGGER"),
    ("linux/soundcard.h", "SNDCTL_DSP_SPEED"),
    ("linux/soundcard.h", "SNDCTL_DSP_SUBDIVIDE"),
    ("linux/soundcard.h", "SNDCTL_DSP_SYNC"),
    ("linux/soundcard.h", "SOUND_MIXER_READ_MUTE"),
    ("linux/soundcard.h", "SOUND_MIXER_WRITE_MUTE"),
    ("linux/vfio.h", "VFIO_IOMMU_DIRTY_PAGES"),
    ("linux/vfio.h", "VFIO_IOMMU_DISABLE"),
    ("linux/vfio.h", "VFIO_IOMMU_ENABLE"),
    ("linux/vfio.h", "VFIO_IOMMU_GET_INFO"),
    ("linux/vfio.h", "VFIO_IOMMU_MAP_DMA"),
    ("linux/vfio.h", "VFIO_IOMMU_UNMAP_DMA"),
    ("sound/asound.h", "SNDRV_TIMER_IOCTL_TREAD"),
];

/// What headers need before them that they do not include themselves.
const NEEDS: &[(&str, &[&str])] = &[
    ("asm-generic/ioctls.h", &["asm/termbits.h", "linux/serial.h"]),
    ("linux/atm_eni.h", &["linux/atmdev.h"]),
    ("linux/atm_he.h", &["linux/atmdev.h"]),
    ("linux/atm_nicstar.h", &["linux/atmdev.h"]),
    ("linux/atm_zatm.h", &["linux/atmdev.h"]),
    ("linux/coda.h", &["stddef.h", "sys/types.h"]),
    ("linux/fs.h", &["linux/fiemap.h", "linux/blktrace_api.h"]),
    ("linux/ivtvfb.h", &["linux/videodev2.h"]),
    ("linux/meye.h", &["linux/videodev2.h"]),
    ("linux/ppp-ioctl.h", &["linux/filter.h"]),
    ("linux/raid/md_u.h", &["linux/major.h"]),
    ("linux/sonet.h", &["linux/atmioc.h"]),
    ("misc/xilinx_sdfec.h", &["stdbool.h"]),
];

/// What only headers have that are not installed: the numbers are made of the sizes.
const TYPES: &[(&str, &str)] = &[
    // include/xen/interface/xen.h, include/xen/interface/grant_table.h
    ("xen/evtchn.h", "typedef __u16 domid_t;\n"),
    ("xen/gntdev.h", "typedef __u16 domid_t;\ntypedef __u32 grant_ref_t;\n"),
];

/// What is included before a header, least first: the next one is for what had no value with the one before.
pub(super) fn preludes(header: &str) -> Vec<String> {
    const COMMON: [&str; 7] =
        ["stddef.h", "stdint.h", "sys/types.h", "sys/time.h", "sys/socket.h", "sys/ioctl.h", "linux/types.h"];
    let include =
        |names: &[&str]| names.iter().map(|name| format!("#include <{name}>\n")).collect::<String>();
    let needs =
        NEEDS.iter().find(|(name, _)| *name == header).map_or(String::new(), |(_, needs)| include(needs));
    let types = TYPES.iter().find(|(name, _)| *name == header).map_or("", |(_, types)| types);
    let own = format!("{}{needs}{types}", include(&["linux/types.h", "linux/ioctl.h"]));
    vec![own.clone(), format!("{}{own}", include(&COMMON))]
}
