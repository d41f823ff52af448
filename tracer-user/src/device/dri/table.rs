//! The commands of the core, `include/uapi/drm/drm.h`, and of its modes, `drm_mode.h`. But for the oldest, their
//! structures are the same for 32-bit programs.

use super::texts::{UNIQUE, VERSION, unique, version};
use crate::device::class::Row;
use crate::device::fields::{As, Fields, choice, fields, flags, hex, long_at, u64_at};
use crate::device::ioc::{Args, Argument, Nested, io, ior, iow, iowr, no_args, u32_at};
use crate::model::command::Value;
use tracer_common::recipe::Recipe;

/// What the program gives, then what the driver answers.
fn both(argument: &Argument<'_>, given: Fields<'_>, answered: Fields<'_>, args: &mut Args) {
    fields(argument.given, given, args);
    fields(argument.answered, answered, args);
}

/// Only what the program gives.
fn given(argument: &Argument<'_>, of: Fields<'_>, args: &mut Args) {
    fields(argument.given, of, args);
}

const HANDLE: Fields<'_> = &[("handle", 0, As::Number)];

pub(super) static TABLE: &[Row] = &[
    Row::new(iowr(b'd', 0x00, 64), "DRM_IOCTL_VERSION", version).any_size().follow(&VERSION),
    Row::new(iowr(b'd', 0x01, 16), "DRM_IOCTL_GET_UNIQUE", unique).any_size().follow(&UNIQUE),
    Row::new(ior(b'd', 0x02, 4), "DRM_IOCTL_GET_MAGIC", |argument, args| {
        both(argument, &[], &[("magic", 0, As::Number)], args);
    }),
    Row::new(iowr(b'd', 0x07, 16), "DRM_IOCTL_SET_VERSION", |argument, args| {
        const VERSION: Fields<'_> = &[
            ("interface_major", 0, As::Int),
            ("interface_minor", 4, As::Int),
            ("driver_major", 8, As::Int),
            ("driver_minor", 12, As::Int),
        ];
        given(argument, VERSION, args);
    }),
    Row::new(iow(b'd', 0x09, 8), "DRM_IOCTL_GEM_CLOSE", |argument, args| given(argument, HANDLE, args)),
    Row::new(iowr(b'd', 0x0a, 8), "DRM_IOCTL_GEM_FLINK", |argument, args| {
        both(argument, HANDLE, &[("name", 4, As::Number)], args);
    }),
    Row::new(iowr(b'd', 0x0b, 16), "DRM_IOCTL_GEM_OPEN", |argument, args| {
        both(argument, &[("name", 0, As::Number)], &[("handle", 4, As::Number), ("size", 8, As::Long)], args);
    }),
    Row::new(iowr(b'd', 0x0c, 16), "DRM_IOCTL_GET_CAP", |argument, args| {
        args.extend(u64_at(argument.given, 0).map(|number| ("capability", choice(number, CAPABILITIES))));
        args.extend(long_at(argument.answered, 8).map(|value| ("value", value)));
    }),
    Row::new(iow(b'd', 0x0d, 16), "DRM_IOCTL_SET_CLIENT_CAP", |argument, args| {
        const CLIENT: &[&str] = &[
            "",
            "STEREO_3D",
            "UNIVERSAL_PLANES",
            "ATOMIC",
            "ASPECT_RATIO",
            "WRITEBACK_CONNECTORS",
            "CURSOR_PLANE_HOTSPOT",
        ];
        args.extend(u64_at(argument.given, 0).map(|number| ("capability", choice(number, CLIENT))));
        args.extend(long_at(argument.given, 8).map(|value| ("value", value)));
    }),
    Row::new(iow(b'd', 0x11, 4), "DRM_IOCTL_AUTH_MAGIC", |argument, args| {
        given(argument, &[("magic", 0, As::Number)], args);
    }),
    Row::new(io(b'd', 0x1e), "DRM_IOCTL_SET_MASTER", no_args),
    Row::new(io(b'd', 0x1f), "DRM_IOCTL_DROP_MASTER", no_args),
    Row::new(iowr(b'd', 0x2d, 12), "DRM_IOCTL_PRIME_HANDLE_TO_FD", |argument, args| {
        both(argument, &[("handle", 0, As::Number), ("flags", 4, As::Hex)], &[("fd", 8, As::Int)], args);
    }),
    Row::new(iowr(b'd', 0x2e, 12), "DRM_IOCTL_PRIME_FD_TO_HANDLE", |argument, args| {
        both(argument, &[("fd", 8, As::Int)], HANDLE, args);
    }),
    // A union with a `long` in it.
    Row::new(iowr(b'd', 0x3a, 24), "DRM_IOCTL_WAIT_VBLANK", wait_vblank).any_size(),
    Row::new(iowr(b'd', 0x3b, 24), "DRM_IOCTL_CRTC_GET_SEQUENCE", |argument, args| {
        const SEQUENCE: Fields<'_> =
            &[("active", 4, As::Number), ("sequence", 8, As::Long), ("timestamp_ns", 16, As::Long)];
        both(argument, CRTC, SEQUENCE, args);
    }),
    Row::new(iowr(b'd', 0x3c, 24), "DRM_IOCTL_CRTC_QUEUE_SEQUENCE", |argument, args| {
        given(argument, &[("crtc", 0, As::Number), ("flags", 4, As::Hex), ("sequence", 8, As::Long)], args);
    }),
    Row::new(iowr(b'd', 0xa0, 64), "DRM_IOCTL_MODE_GETRESOURCES", |argument, args| {
        const RESOURCES: Fields<'_> = &[
            ("framebuffers", 32, As::Number),
            ("crtcs", 36, As::Number),
            ("connectors", 40, As::Number),
            ("encoders", 44, As::Number),
            ("max_width", 52, As::Number),
            ("max_height", 60, As::Number),
        ];
        both(argument, &[], RESOURCES, args);
    }),
    Row::new(iowr(b'd', 0xa1, 104), "DRM_IOCTL_MODE_GETCRTC", |argument, args| {
        given(argument, &[("crtc", 12, As::Number)], args);
        crtc(argument.answered, args);
    }),
    Row::new(iowr(b'd', 0xa2, 104), "DRM_IOCTL_MODE_SETCRTC", |argument, args| {
        given(argument, &[("crtc", 12, As::Number), ("connectors", 8, As::Number)], args);
        crtc(argument.given, args);
    }),
    Row::new(iowr(b'd', 0xa3, 28), "DRM_IOCTL_MODE_CURSOR", |argument, args| given(argument, CURSOR, args)),
    Row::new(iowr(b'd', 0xbb, 36), "DRM_IOCTL_MODE_CURSOR2", |argument, args| given(argument, CURSOR, args)),
    Row::new(iowr(b'd', 0xa4, 32), "DRM_IOCTL_MODE_GETGAMMA", |argument, args| given(argument, CRTC, args)),
    Row::new(iowr(b'd', 0xa5, 32), "DRM_IOCTL_MODE_SETGAMMA", |argument, args| given(argument, CRTC, args)),
    Row::new(iowr(b'd', 0xa6, 20), "DRM_IOCTL_MODE_GETENCODER", |argument, args| {
        given(argument, &[("encoder", 0, As::Number)], args);
        const TYPES: &[&str] = &["NONE", "DAC", "TMDS", "LVDS", "TVDAC", "VIRTUAL", "DSI", "DPMST", "DPI"];
        args.extend(u32_at(argument.answered, 4).map(|kind| ("type", choice(kind.into(), TYPES))));
        both(argument, &[], &[("crtc", 8, As::Number)], args);
    }),
    Row::new(iowr(b'd', 0xa7, 80), "DRM_IOCTL_MODE_GETCONNECTOR", connector),
    Row::new(iowr(b'd', 0xaa, 64), "DRM_IOCTL_MODE_GETPROPERTY", |argument, args| {
        both(argument, &[("property", 16, As::Number)], &[("name", 24, As::Text(32))], args);
    }),
    Row::new(iowr(b'd', 0xab, 16), "DRM_IOCTL_MODE_SETPROPERTY", |argument, args| {
        given(
            argument,
            &[("property", 8, As::Number), ("connector", 12, As::Number), ("value", 0, As::Long)],
            args,
        );
    }),
    Row::new(iowr(b'd', 0xac, 16), "DRM_IOCTL_MODE_GETPROPBLOB", |argument, args| {
        both(argument, &[("blob", 0, As::Number)], &[("length", 4, As::Number)], args);
    }),
    Row::new(iowr(b'd', 0xad, 28), "DRM_IOCTL_MODE_GETFB", |argument, args| {
        both(argument, &[("framebuffer", 0, As::Number)], FRAMEBUFFER, args);
    }),
    Row::new(iowr(b'd', 0xae, 28), "DRM_IOCTL_MODE_ADDFB", |argument, args| {
        both(argument, FRAMEBUFFER, &[("framebuffer", 0, As::Number)], args);
    }),
    Row::new(iowr(b'd', 0xaf, 4), "DRM_IOCTL_MODE_RMFB", |argument, args| {
        given(argument, &[("framebuffer", 0, As::Number)], args);
    }),
    Row::new(iowr(b'd', 0xb0, 24), "DRM_IOCTL_MODE_PAGE_FLIP", |argument, args| {
        given(argument, &[("crtc", 0, As::Number), ("framebuffer", 4, As::Number)], args);
        args.extend(u32_at(argument.given, 8).map(|set| ("flags", flags(set.into(), FLIP))));
    }),
    Row::new(iowr(b'd', 0xb1, 24), "DRM_IOCTL_MODE_DIRTYFB", |argument, args| {
        given(
            argument,
            &[("framebuffer", 0, As::Number), ("flags", 4, As::Hex), ("clips", 12, As::Number)],
            args,
        );
    }),
    Row::new(iowr(b'd', 0xb2, 32), "DRM_IOCTL_MODE_CREATE_DUMB", |argument, args| {
        const ASKED: Fields<'_> =
            &[("width", 4, As::Number), ("height", 0, As::Number), ("bpp", 8, As::Number)];
        const MADE: Fields<'_> =
            &[("handle", 16, As::Number), ("pitch", 20, As::Number), ("size", 24, As::Long)];
        both(argument, ASKED, MADE, args);
    }),
    Row::new(iowr(b'd', 0xb3, 16), "DRM_IOCTL_MODE_MAP_DUMB", |argument, args| {
        both(argument, HANDLE, &[("offset", 8, As::LongHex)], args);
    }),
    Row::new(iowr(b'd', 0xb4, 4), "DRM_IOCTL_MODE_DESTROY_DUMB", |argument, args| {
        given(argument, HANDLE, args)
    }),
    // Its size is a multiple of eight in 64-bit programs only.
    Row::new(iowr(b'd', 0xb5, 16), "DRM_IOCTL_MODE_GETPLANERESOURCES", |argument, args| {
        both(argument, &[], &[("planes", 8, As::Number)], args);
    })
    .any_size(),
    Row::new(iowr(b'd', 0xb6, 32), "DRM_IOCTL_MODE_GETPLANE", |argument, args| {
        const PLANE: Fields<'_> =
            &[("crtc", 4, As::Number), ("framebuffer", 8, As::Number), ("formats", 20, As::Number)];
        both(argument, &[("plane", 0, As::Number)], PLANE, args);
    }),
    Row::new(iowr(b'd', 0xb7, 48), "DRM_IOCTL_MODE_SETPLANE", |argument, args| {
        const PLANE: Fields<'_> = &[
            ("plane", 0, As::Number),
            ("crtc", 4, As::Number),
            ("framebuffer", 8, As::Number),
            ("flags", 12, As::Hex),
            ("x", 16, As::Int),
            ("y", 20, As::Int),
            ("width", 24, As::Number),
            ("height", 28, As::Number),
        ];
        given(argument, PLANE, args);
    }),
    Row::new(iowr(b'd', 0xb8, 104), "DRM_IOCTL_MODE_ADDFB2", |argument, args| {
        framebuffer2(argument.given, args);
        both(argument, &[], &[("framebuffer", 0, As::Number)], args);
    })
    .any_size(),
    Row::new(iowr(b'd', 0xce, 104), "DRM_IOCTL_MODE_GETFB2", |argument, args| {
        given(argument, &[("framebuffer", 0, As::Number)], args);
        framebuffer2(argument.answered, args);
    })
    .any_size(),
    Row::new(iowr(b'd', 0xb9, 32), "DRM_IOCTL_MODE_OBJ_GETPROPERTIES", |argument, args| {
        both(argument, &[("object", 20, As::Number)], &[("properties", 16, As::Number)], args);
        object_type(argument, 24, args);
    })
    .any_size(),
    Row::new(iowr(b'd', 0xba, 24), "DRM_IOCTL_MODE_OBJ_SETPROPERTY", |argument, args| {
        given(
            argument,
            &[("object", 12, As::Number), ("property", 8, As::Number), ("value", 0, As::Long)],
            args,
        );
        object_type(argument, 16, args);
    })
    .any_size(),
    Row::new(iowr(b'd', 0xbc, 56), "DRM_IOCTL_MODE_ATOMIC", |argument, args| {
        args.extend(u32_at(argument.given, 0).map(|set| ("flags", flags(set.into(), FLIP))));
        given(argument, &[("objects", 4, As::Number)], args);
    }),
    Row::new(iowr(b'd', 0xbd, 16), "DRM_IOCTL_MODE_CREATEPROPBLOB", |argument, args| {
        both(argument, &[("length", 8, As::Number)], &[("blob", 12, As::Number)], args);
    }),
    Row::new(iowr(b'd', 0xbe, 4), "DRM_IOCTL_MODE_DESTROYPROPBLOB", |argument, args| {
        given(argument, &[("blob", 0, As::Number)], args);
    }),
    Row::new(iowr(b'd', 0xbf, 8), "DRM_IOCTL_SYNCOBJ_CREATE", |argument, args| {
        both(argument, &[("flags", 4, As::Hex)], HANDLE, args);
    }),
    Row::new(iowr(b'd', 0xc0, 8), "DRM_IOCTL_SYNCOBJ_DESTROY", |argument, args| {
        given(argument, HANDLE, args)
    }),
    // Newer versions have another field at the end.
    Row::new(iowr(b'd', 0xc1, 16), "DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD", |argument, args| {
        both(argument, &[("handle", 0, As::Number), ("flags", 4, As::Hex)], &[("fd", 8, As::Int)], args);
    })
    .any_size(),
    Row::new(iowr(b'd', 0xc2, 16), "DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE", |argument, args| {
        both(argument, &[("fd", 8, As::Int), ("flags", 4, As::Hex)], HANDLE, args);
    })
    .any_size(),
    Row::new(iowr(b'd', 0xc3, 32), "DRM_IOCTL_SYNCOBJ_WAIT", |argument, args| {
        const WAIT: Fields<'_> =
            &[("objects", 16, As::Number), ("flags", 20, As::Hex), ("deadline_ns", 8, As::Long)];
        both(argument, WAIT, &[("first_signaled", 24, As::Number)], args);
    })
    .any_size(),
    Row::new(iowr(b'd', 0xca, 40), "DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT", |argument, args| {
        const WAIT: Fields<'_> =
            &[("objects", 24, As::Number), ("flags", 28, As::Hex), ("deadline_ns", 16, As::Long)];
        both(argument, WAIT, &[("first_signaled", 32, As::Number)], args);
    })
    .any_size(),
    Row::new(iowr(b'd', 0xc4, 16), "DRM_IOCTL_SYNCOBJ_RESET", |argument, args| {
        given(argument, OBJECTS, args)
    }),
    Row::new(iowr(b'd', 0xc5, 16), "DRM_IOCTL_SYNCOBJ_SIGNAL", |argument, args| {
        given(argument, OBJECTS, args)
    }),
    Row::new(iowr(b'd', 0xcb, 24), "DRM_IOCTL_SYNCOBJ_QUERY", |argument, args| given(argument, POINTS, args)),
    Row::new(iowr(b'd', 0xcd, 24), "DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL", |argument, args| {
        given(argument, POINTS, args);
    }),
    Row::new(iowr(b'd', 0xcc, 32), "DRM_IOCTL_SYNCOBJ_TRANSFER", |argument, args| {
        const TRANSFER: Fields<'_> = &[
            ("source", 0, As::Number),
            ("destination", 4, As::Number),
            ("source_point", 8, As::Long),
            ("destination_point", 16, As::Long),
        ];
        given(argument, TRANSFER, args);
    }),
    // The lease is a descriptor of the same device.
    Row::new(iowr(b'd', 0xc6, 24), "DRM_IOCTL_MODE_CREATE_LEASE", |argument, args| {
        const MADE: Fields<'_> = &[("lessee", 16, As::Number), ("fd", 20, As::Int)];
        both(argument, &[("objects", 8, As::Number), ("flags", 12, As::Hex)], MADE, args);
    })
    .follow(&LEASE),
    Row::new(iowr(b'd', 0xc9, 4), "DRM_IOCTL_MODE_REVOKE_LEASE", |argument, args| {
        given(argument, &[("lessee", 0, As::Number)], args);
    }),
];

const CRTC: Fields<'_> = &[("crtc", 0, As::Number)];
/// `struct drm_syncobj_array`.
const OBJECTS: Fields<'_> = &[("objects", 8, As::Number)];
/// `struct drm_syncobj_timeline_array`.
const POINTS: Fields<'_> = &[("objects", 16, As::Number), ("flags", 20, As::Hex)];
/// The common beginning of `struct drm_mode_cursor` and `drm_mode_cursor2`.
const CURSOR: Fields<'_> = &[
    ("flags", 0, As::Hex),
    ("crtc", 4, As::Number),
    ("x", 8, As::Int),
    ("y", 12, As::Int),
    ("width", 16, As::Number),
    ("height", 20, As::Number),
    ("handle", 24, As::Number),
];
/// `struct drm_mode_fb_cmd` behind its first field.
const FRAMEBUFFER: Fields<'_> = &[
    ("width", 4, As::Number),
    ("height", 8, As::Number),
    ("pitch", 12, As::Number),
    ("bpp", 16, As::Number),
    ("depth", 20, As::Number),
    ("handle", 24, As::Number),
];

/// `DRM_MODE_PAGE_FLIP_*` and `DRM_MODE_ATOMIC_*`.
const FLIP: &[(u64, &str)] = &[
    (0x001, "PAGE_FLIP_EVENT"),
    (0x002, "PAGE_FLIP_ASYNC"),
    (0x004, "PAGE_FLIP_TARGET_ABSOLUTE"),
    (0x008, "PAGE_FLIP_TARGET_RELATIVE"),
    (0x100, "TEST_ONLY"),
    (0x200, "NONBLOCK"),
    (0x400, "ALLOW_MODESET"),
];

/// `DRM_CAP_*`, by number.
const CAPABILITIES: &[&str] = &[
    "",
    "DUMB_BUFFER",
    "VBLANK_HIGH_CRTC",
    "DUMB_PREFERRED_DEPTH",
    "DUMB_PREFER_SHADOW",
    "PRIME",
    "TIMESTAMP_MONOTONIC",
    "ASYNC_PAGE_FLIP",
    "CURSOR_WIDTH",
    "CURSOR_HEIGHT",
    "",
    "",
    "",
    "",
    "",
    "",
    "ADDFB2_MODIFIERS",
    "PAGE_FLIP_TARGET",
    "CRTC_IN_VBLANK_EVENT",
    "SYNCOBJ",
    "SYNCOBJ_TIMELINE",
    "ATOMIC_ASYNC_PAGE_FLIP",
];

static LEASE: Nested =
    Nested { native: Recipe::PLAIN.new_fd(20), compat: Recipe::PLAIN.new_fd(20), alternative: None };

/// `union drm_wait_vblank`.
fn wait_vblank(argument: &Argument<'_>, args: &mut Args) {
    const TYPE: &[(u64, &str)] = &[
        (0x0000_0001, "RELATIVE"),
        (0x0400_0000, "EVENT"),
        (0x0800_0000, "FLIP"),
        (0x1000_0000, "NEXTONMISS"),
        (0x2000_0000, "SECONDARY"),
        (0x4000_0000, "SIGNAL"),
    ];
    /// Which screen, in between.
    const CRTC: u32 = 0x3e;
    if let Some(kind) = u32_at(argument.given, 0) {
        args.push(("type", flags(u64::from(kind & !CRTC), TYPE)));
        args.push(("pipe", Value::Int(((kind & CRTC) >> 1).into())));
    }
    both(argument, &[("asked", 4, As::Number)], &[("sequence", 4, As::Number)], args);
}

/// `struct drm_mode_crtc` behind its identity.
fn crtc(state: &[u8], args: &mut Args) {
    const STATE: Fields<'_> =
        &[("framebuffer", 16, As::Number), ("x", 20, As::Number), ("y", 24, As::Number)];
    /// `struct drm_mode_modeinfo` at 36.
    const MODE: Fields<'_> = &[
        ("mode", 72, As::Text(32)),
        ("width", 40, As::Short),
        ("height", 50, As::Short),
        ("refresh_hz", 60, As::Number),
    ];
    fields(state, STATE, args);
    if u32_at(state, 32).is_some_and(|valid| valid != 0) {
        fields(state, MODE, args);
    }
}

/// `struct drm_mode_get_connector`.
fn connector(argument: &Argument<'_>, args: &mut Args) {
    const TYPES: &[&str] = &[
        "Unknown",
        "VGA",
        "DVII",
        "DVID",
        "DVIA",
        "Composite",
        "SVIDEO",
        "LVDS",
        "Component",
        "9PinDIN",
        "DisplayPort",
        "HDMIA",
        "HDMIB",
        "TV",
        "eDP",
        "VIRTUAL",
        "DSI",
        "DPI",
        "WRITEBACK",
        "SPI",
        "USB",
    ];
    let answered = argument.answered;
    given(argument, &[("connector", 48, As::Number)], args);
    args.extend(u32_at(answered, 52).map(|kind| ("type", choice(kind.into(), TYPES))));
    let states = &["", "connected", "disconnected", "unknown"];
    args.extend(u32_at(answered, 60).map(|state| ("connection", choice(state.into(), states))));
    fields(answered, &[("modes", 32, As::Number), ("encoder", 44, As::Number)], args);
}

/// `struct drm_mode_fb_cmd2` behind its identity.
fn framebuffer2(state: &[u8], args: &mut Args) {
    fields(state, &[("width", 4, As::Number), ("height", 8, As::Number)], args);
    // Four letters, as the header builds them.
    let format = state.get(12..16).filter(|format| format.iter().all(|byte| (b' '..=b'~').contains(byte)));
    let format = format.map(|format| String::from_utf8_lossy(format).trim_end().to_owned());
    args.extend(format.map(|format| ("format", Value::Text(format.into()))));
    fields(state, &[("handle", 20, As::Number), ("pitch", 36, As::Number)], args);
    if u32_at(state, 16).is_some_and(|flags| flags & MODIFIERS != 0) {
        // i386 programs align 64 bits less.
        let at = if state.len() == FRAMEBUFFER2_I386 { 68 } else { 72 };
        args.extend(u64_at(state, at).map(|number| ("modifier", hex(number))));
    }
}

/// Size of `struct drm_mode_fb_cmd2` of an i386 program.
const FRAMEBUFFER2_I386: usize = 100;
/// `DRM_MODE_FB_MODIFIERS`.
const MODIFIERS: u32 = 1 << 1;

/// `DRM_MODE_OBJECT_*`.
fn object_type(argument: &Argument<'_>, at: usize, args: &mut Args) {
    let Some(kind) = u32_at(argument.given, at) else { return };
    let name = match kind {
        0xcccc_cccc => "CRTC",
        0xc0c0_c0c0 => "CONNECTOR",
        0xe0e0_e0e0 => "ENCODER",
        0xdede_dede => "MODE",
        0xb0b0_b0b0 => "PROPERTY",
        0xfbfb_fbfb => "FB",
        0xbbbb_bbbb => "BLOB",
        0xeeee_eeee => "PLANE",
        0 => "ANY",
        _ => "other",
    };
    args.push(("object_type", Value::Text(name.into())));
}
