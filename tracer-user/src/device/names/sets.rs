//! Which headers are about which devices.

use super::generated::{
    bus, file_system, graphics, input, network, other, sound, storage, terminal, usb, video, virtual_machine,
};
use super::table::Header;

/// Headers for a class of devices, or for some drivers of it.
pub(super) struct Set {
    /// As in `Device::class`.
    pub(super) class: &'static str,
    /// Drivers, and kinds of nodes; none for the whole class.
    pub(super) drivers: &'static [&'static str],
    /// In this order: the first that has a command names it.
    pub(super) headers: &'static [&'static Header],
    /// Whether a command that no header has goes by the name of the one with its letter and number.
    pub(super) by_number: bool,
}

const fn class(class: &'static str, headers: &'static [&'static Header]) -> Set {
    Set { class, drivers: &[], headers, by_number: false }
}

const fn driver(
    class: &'static str,
    drivers: &'static [&'static str],
    headers: &'static [&'static Header],
) -> Set {
    Set { class, drivers, headers, by_number: false }
}

/// Devices without a class, by their driver or kind of node.
const fn node(drivers: &'static [&'static str], headers: &'static [&'static Header]) -> Set {
    driver("other", drivers, headers)
}

/// As [`driver`], of graphics: there the kernel goes by the number alone, and structures grow
/// (`drivers/gpu/drm/drm_ioctl.c`).
const fn gpu(drivers: &'static [&'static str], headers: &'static [&'static Header]) -> Set {
    Set { class: "dri", drivers, headers, by_number: true }
}

/// All sets. What a driver has in particular comes before what its class has.
pub(super) static SETS: &[Set] = &[
    // The line disciplines' are the program's too: PPP, GSM 07.10, SLIP.
    class(
        "tty",
        &[
            &terminal::ASM_GENERIC_IOCTLS,
            &terminal::LINUX_GSMMUX,
            &network::LINUX_PPP_IOCTL,
            &network::LINUX_SOCKIOS,
        ],
    ),
    driver("tty", &["tty", "console"], &[&terminal::LINUX_KD, &terminal::LINUX_VT]),
    driver("tty", &["ttySL", "synclink", "synclink_gt", "synclink_cs"], &[&terminal::LINUX_SYNCLINK]),
    class("i2c", &[&bus::LINUX_I2C_DEV]),
    class("spi", &[&bus::LINUX_SPI_SPIDEV]),
    class("gpio", &[&bus::LINUX_GPIO]),
    class("hid", &[&input::LINUX_HIDRAW]),
    driver("hid", &["hiddev"], &[&input::LINUX_HIDDEV]),
    class("input", &[&input::LINUX_INPUT]),
    driver("input", &["js"], &[&input::LINUX_JOYSTICK]),
    driver("input", &["uinput"], &[&input::LINUX_UINPUT]),
    class("usb", &[&usb::LINUX_USBDEVICE_FS]),
    class("video", &[&video::LINUX_VIDEODEV2, &video::LINUX_V4L2_SUBDEV]),
    driver(
        "video",
        &["v4l-subdev"],
        &[&video::LINUX_V4L2_SUBDEV, &video::LINUX_VIDEODEV2, &video::LINUX_OMAP3ISP],
    ),
    driver("video", &["uvcvideo"], &[&video::LINUX_UVCVIDEO]),
    driver("video", &["ivtv"], &[&video::LINUX_IVTV]),
    driver("video", &["meye"], &[&video::LINUX_MEYE]),
    driver("video", &["omap3isp"], &[&video::LINUX_OMAP3ISP]),
    driver("video", &["vpfe"], &[&video::LINUX_AM437X_VPFE]),
    class("media", &[&video::LINUX_MEDIA]),
    class("sound", &[&sound::SOUND_ASOUND, &sound::SOUND_ASEQUENCER, &sound::SOUND_COMPRESS_OFFLOAD]),
    driver(
        "sound",
        &["dsp", "adsp", "audio", "mixer", "sequencer", "music", "midi", "dmmidi"],
        &[&sound::LINUX_SOUNDCARD],
    ),
    driver("sound", &["snd_emu10k1"], &[&sound::SOUND_EMU10K1]),
    driver("sound", &["snd_hdsp"], &[&sound::SOUND_HDSP]),
    driver("sound", &["snd_hdspm"], &[&sound::SOUND_HDSPM]),
    driver("sound", &["snd_sb16", "snd_sbawe", "sb16", "sbawe"], &[&sound::SOUND_SB16_CSP]),
    driver("sound", &["snd_usb_us122l", "snd-usb-us122l"], &[&sound::SOUND_USB_STREAM]),
    driver(
        "sound",
        &[
            "snd_bebob",
            "snd_dice",
            "snd-dice",
            "snd_fireworks",
            "snd_oxfw",
            "snd-firewire-digi00x",
            "snd_motu",
        ],
        &[&sound::SOUND_FIREWIRE],
    ),
    class(
        "block",
        &[
            &storage::LINUX_FS,
            &storage::LINUX_HDREG,
            &storage::LINUX_BLKPG,
            &storage::LINUX_BLKZONED,
            &storage::SCSI_SG,
            &storage::SCSI_SCSI_IOCTL,
            &storage::LINUX_PR,
            &storage::LINUX_SED_OPAL,
            // `eject` asks discs of every kind.
            &storage::LINUX_CDROM,
        ],
    ),
    driver("block", &["loop"], &[&storage::LINUX_LOOP]),
    driver("block", &["nbd"], &[&storage::LINUX_NBD]),
    driver("block", &["md"], &[&storage::LINUX_RAID_MD_U]),
    driver("block", &["sr", "scd", "cdrom"], &[&storage::LINUX_CDROM]),
    driver("block", &["fd", "floppy"], &[&storage::LINUX_FD]),
    driver("block", &["mmcblk", "mmc"], &[&storage::LINUX_MMC_IOCTL]),
    driver("block", &["nvme"], &[&storage::LINUX_NVME_IOCTL]),
    driver("block", &["pktcdvd"], &[&storage::LINUX_PKTCDVD, &storage::LINUX_CDROM]),
    driver("block", &["cciss"], &[&storage::LINUX_CCISS_IOCTL]),
    class("scsi", &[&storage::SCSI_SG, &storage::SCSI_SCSI_IOCTL, &storage::LINUX_FS]),
    class("nvme", &[&storage::LINUX_NVME_IOCTL, &storage::LINUX_FS]),
    class("watchdog", &[&bus::LINUX_WATCHDOG]),
    class("rtc", &[&bus::LINUX_RTC]),
    class("tun", &[&network::LINUX_IF_TUN, &network::LINUX_SOCKIOS]),
    class("mtd", &[&storage::MTD_MTD_ABI]),
    class("ptp", &[&bus::LINUX_PTP_CLOCK]),
    class("fuse", &[&file_system::LINUX_FUSE]),
    class("kvm", &[&virtual_machine::LINUX_KVM]),
    class("vhost", &[&virtual_machine::LINUX_VHOST]),
    gpu(&[], &[&graphics::DRM_DRM]),
    gpu(&["amdgpu"], &[&graphics::DRM_AMDGPU_DRM]),
    gpu(&["etnaviv"], &[&graphics::DRM_ETNAVIV_DRM]),
    gpu(&["exynos", "exynos-drm"], &[&graphics::DRM_EXYNOS_DRM]),
    gpu(&["i810"], &[&graphics::DRM_I810_DRM]),
    gpu(&["i915"], &[&graphics::DRM_I915_DRM]),
    gpu(&["lima"], &[&graphics::DRM_LIMA_DRM]),
    gpu(&["mga"], &[&graphics::DRM_MGA_DRM]),
    gpu(&["msm", "msm_dpu", "msm_mdp", "adreno"], &[&graphics::DRM_MSM_DRM]),
    gpu(&["nouveau"], &[&graphics::DRM_NOUVEAU_DRM]),
    gpu(&["omapdrm", "omap"], &[&graphics::DRM_OMAP_DRM]),
    gpu(&["panfrost"], &[&graphics::DRM_PANFROST_DRM]),
    gpu(&["qxl"], &[&graphics::DRM_QXL_DRM]),
    gpu(&["r128"], &[&graphics::DRM_R128_DRM]),
    gpu(&["radeon"], &[&graphics::DRM_RADEON_DRM]),
    gpu(&["savage"], &[&graphics::DRM_SAVAGE_DRM]),
    gpu(&["sis"], &[&graphics::DRM_SIS_DRM]),
    gpu(&["tegra", "drm", "tegra-drm"], &[&graphics::DRM_TEGRA_DRM]),
    gpu(&["v3d"], &[&graphics::DRM_V3D_DRM]),
    gpu(&["vc4", "vc4-drm", "vc4_drm"], &[&graphics::DRM_VC4_DRM]),
    gpu(&["vgem"], &[&graphics::DRM_VGEM_DRM]),
    gpu(&["via"], &[&graphics::DRM_VIA_DRM]),
    gpu(&["virtio_gpu", "virtio-gpu"], &[&graphics::DRM_VIRTGPU_DRM]),
    class("accel", &[&graphics::DRM_DRM]),
    driver("accel", &["habanalabs"], &[&graphics::MISC_HABANALABS]),
    node(&["uinput"], &[&input::LINUX_UINPUT]),
    node(&["hiddev"], &[&input::LINUX_HIDDEV]),
    node(&["rfkill"], &[&input::LINUX_RFKILL]),
    node(
        &["tty", "console", "vcs", "vcsa", "vcsu"],
        &[&terminal::ASM_GENERIC_IOCTLS, &terminal::LINUX_KD, &terminal::LINUX_VT],
    ),
    node(&["ppp"], &[&network::LINUX_PPP_IOCTL]),
    node(&["capi"], &[&network::LINUX_CAPI]),
    node(&["vfio"], &[&virtual_machine::LINUX_VFIO]),
    node(&["kvm"], &[&virtual_machine::LINUX_KVM]),
    node(&["vhost-net", "vhost-vsock", "vhost-scsi", "vhost-vdpa"], &[&virtual_machine::LINUX_VHOST]),
    node(&["vduse", "control"], &[&virtual_machine::LINUX_VDUSE, &storage::LINUX_DM_IOCTL]),
    node(&["vsock"], &[&virtual_machine::LINUX_VM_SOCKETS]),
    node(&["vboxguest", "vboxuser"], &[&virtual_machine::LINUX_VBOXGUEST]),
    node(&["sev"], &[&virtual_machine::LINUX_PSP_SEV]),
    node(&["sev-guest"], &[&virtual_machine::LINUX_SEV_GUEST]),
    node(&["sgx_enclave", "sgx_provision", "sgx_vepc"], &[&virtual_machine::ASM_SGX]),
    node(&["nitro_enclaves"], &[&virtual_machine::LINUX_NITRO_ENCLAVES]),
    node(&["acrn_hsm"], &[&virtual_machine::LINUX_ACRN]),
    node(&["evtchn"], &[&virtual_machine::XEN_EVTCHN]),
    node(&["gntdev"], &[&virtual_machine::XEN_GNTDEV]),
    node(&["gntalloc"], &[&virtual_machine::XEN_GNTALLOC]),
    node(&["loop-control"], &[&storage::LINUX_LOOP]),
    node(&["st", "nst"], &[&storage::LINUX_MTIO]),
    node(&["sch", "changer"], &[&storage::LINUX_CHIO]),
    node(&["ubi", "ubi_ctrl"], &[&storage::MTD_UBI_USER]),
    node(&["ndctl", "nmem"], &[&storage::LINUX_NDCTL]),
    node(&["pktcdvd"], &[&storage::LINUX_PKTCDVD]),
    node(&["btrfs-control"], &[&file_system::LINUX_BTRFS]),
    node(&["autofs"], &[&file_system::LINUX_AUTO_DEV_IOCTL, &file_system::LINUX_AUTO_FS]),
    node(&["cachefiles"], &[&file_system::LINUX_CACHEFILES]),
    node(&["cuse"], &[&file_system::LINUX_FUSE]),
    node(&["fb"], &[&graphics::LINUX_FB]),
    node(&["kfd"], &[&graphics::LINUX_KFD_IOCTL]),
    node(&["agpgart"], &[&graphics::LINUX_AGPGART]),
    node(&["udmabuf"], &[&graphics::LINUX_UDMABUF]),
    node(&["dma_heap", "system", "reserved", "linux,cma"], &[&graphics::LINUX_DMA_HEAP]),
    node(&["hl", "hl_controlD"], &[&graphics::MISC_HABANALABS]),
    node(&["cec"], &[&video::LINUX_CEC]),
    node(&["lirc"], &[&video::LINUX_LIRC]),
    node(&["frontend"], &[&video::LINUX_DVB_FRONTEND]),
    node(&["demux", "dvr"], &[&video::LINUX_DVB_DMX]),
    node(&["ca"], &[&video::LINUX_DVB_CA]),
    node(&["net"], &[&video::LINUX_DVB_NET]),
    node(&["audio"], &[&video::LINUX_DVB_AUDIO]),
    node(&["video"], &[&video::LINUX_DVB_VIDEO]),
    node(&["osd"], &[&video::LINUX_DVB_OSD]),
    node(&["iio:device"], &[&bus::LINUX_IIO_EVENTS, &bus::LINUX_IIO_BUFFER]),
    node(&["counter"], &[&bus::LINUX_COUNTER]),
    node(&["pps"], &[&bus::LINUX_PPS]),
    node(&["fw"], &[&bus::LINUX_FIREWIRE_CDEV]),
    node(&["comedi"], &[&bus::LINUX_COMEDI]),
    node(&["scom", "cfam"], &[&bus::LINUX_FSI]),
    node(&["usbtmc"], &[&usb::LINUX_USB_TMC]),
    node(&["cdc-wdm"], &[&usb::LINUX_USB_CDC_WDM]),
    node(&["g_printer"], &[&usb::LINUX_USB_G_PRINTER]),
    node(&["raw-gadget"], &[&usb::LINUX_USB_RAW_GADGET]),
    node(&["lp", "usblp"], &[&other::LINUX_LP]),
    node(&["parport"], &[&other::LINUX_PPDEV]),
    node(&["random", "urandom"], &[&other::LINUX_RANDOM]),
    node(&["vtpmx"], &[&other::LINUX_VTPM_PROXY]),
    node(&["hpet"], &[&other::LINUX_HPET]),
    node(&["nvram"], &[&other::LINUX_NVRAM]),
    node(&["mei"], &[&other::LINUX_MEI]),
    node(&["ipmi", "ipmidev"], &[&other::LINUX_IPMI]),
    node(&["ipmi-bt-host"], &[&other::LINUX_BT_BMC]),
    node(&["ipmi-kcs", "ipmi-ssif-host"], &[&other::LINUX_IPMI_BMC]),
    node(&["snapshot"], &[&other::LINUX_SUSPEND_IOCTLS]),
    node(&["binder", "hwbinder", "vndbinder"], &[&other::LINUX_ANDROID_BINDER]),
    node(&["binder-control"], &[&other::LINUX_ANDROID_BINDERFS]),
    node(&["userfaultfd"], &[&other::LINUX_USERFAULTFD]),
    node(&["tee", "teepriv"], &[&other::LINUX_TEE]),
    node(&["rpmsg", "rpmsg_ctrl"], &[&other::LINUX_RPMSG]),
    node(&["switchtec"], &[&other::LINUX_SWITCHTEC_IOCTL]),
    node(&["msr"], &[&other::ASM_MSR]),
    node(&["mcelog"], &[&other::ASM_MCE]),
    node(&["isst_interface"], &[&other::LINUX_ISST_IF]),
    node(&["hsmp"], &[&other::ASM_AMD_HSMP]),
    node(&["dfl-fme.", "dfl-port.", "dfl-fme", "dfl-port"], &[&other::LINUX_FPGA_DFL]),
    node(&["sonypi"], &[&other::LINUX_SONYPI]),
    node(&["toshiba"], &[&other::LINUX_TOSHIBA]),
    node(&["apm_bios"], &[&other::LINUX_APM_BIOS]),
];
