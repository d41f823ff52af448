//! What programs do with graphics cards.

use crate::device::tests::calls::{Ioctl, rendered};
use crate::device::tests::{check, data};
use crate::device::{family, recipes};
use expect_test::expect;
use tracer_common::call::Call;
use tracer_common::recipe::RecipeKey;

fn words(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// `struct drm_version` of a 64-bit program.
fn version(lengths: [u64; 3]) -> Vec<u8> {
    let pairs = lengths.iter().flat_map(|length| [length.to_le_bytes(), 0x7f00_u64.to_le_bytes()]);
    [words(&[1, 6, 0, 0]), pairs.flatten().collect()].concat()
}

#[test]
fn a_driver_says_its_name() {
    let given = version([64, 2, 64]);
    let answered = version([7, 8, 0]);
    let asked = Ioctl::new(0xc040_6400).was(&version([0; 3])).argument(&version([7, 8, 5]));
    let told = Ioctl::new(0xc040_6400)
        .was(&given)
        .argument(&answered)
        .answered(0, Some(0), b"vgemxyz")
        .answered(0, Some(1), b"2012____");
    let compat: Vec<u8> = words(&[1, 0, 0, 9, 0x7f, 9, 0x7f, 9, 0x7f]);
    let compat =
        Ioctl::new(0xc024_6400).compat().was(&compat).argument(&compat).answered(0, Some(0), b"vc4-drm\0x");
    expect![[r#"
        0 command DRM_IOCTL_VERSION 0..10 major=1 minor=6 patch=0
        1 command DRM_IOCTL_VERSION 0..10 major=1 minor=6 patch=0 name=vgemxyz date=20
        2 command DRM_IOCTL_VERSION 0..10 major=1 minor=0 patch=0 name=vc4-drm
    "#]]
    .assert_eq(&rendered("dri", [asked, told, compat]));
}

#[test]
fn buffers_and_screens() {
    let mut crtc = vec![0; 104];
    crtc[8..20].copy_from_slice(&words(&[1, 31, 44]));
    crtc[32] = 1;
    crtc[40..42].copy_from_slice(&1920_u16.to_le_bytes());
    crtc[50..52].copy_from_slice(&1080_u16.to_le_bytes());
    crtc[60] = 60;
    crtc[72..81].copy_from_slice(b"1920x1080");
    let framebuffer =
        [&words(&[44, 1920, 1080])[..], b"XR24", &words(&[2, 5, 0, 0, 0, 7680, 0, 0, 0])].concat();
    let framebuffer = [framebuffer, vec![0; 20], 9_u64.to_le_bytes().to_vec(), vec![0; 24]].concat();
    let calls = [
        Ioctl::new(0xc010_640c).was(&words(&[1, 0, 0, 0])).argument(&words(&[1, 0, 1, 0])),
        Ioctl::new(0xc020_64b2)
            .was(&words(&[480, 640, 32, 0]))
            .argument(&words(&[480, 640, 32, 0, 7, 2560, 1_228_800, 0])),
        Ioctl::new(0xc068_64b8).was(&framebuffer).argument(&framebuffer),
        Ioctl::new(0xc064_64b8).compat().argument(&[&framebuffer[..68], &framebuffer[72..104]].concat()),
        Ioctl::new(0xc068_64a2).was(&crtc).argument(&crtc),
        Ioctl::new(0xc018_64b0).argument(&words(&[31, 44, 1, 0, 0, 0])).returns(-16),
        Ioctl::new(0xc038_64bc).argument(&words(&[0x600, 3])).returns(-13),
        Ioctl::new(0xc018_643a).was(&words(&[0x0400_0003, 1, 0, 0])).argument(&words(&[3, 777, 0, 0])),
        Ioctl::new(0xc020_64b9).argument(&words(&[0, 0, 0, 0, 9, 31, 0xcccc_cccc])),
        Ioctl::new(0xc00c_642d).was(&words(&[7, 2, 0])).argument(&words(&[7, 2, 12])),
        // Of the same number, but longer than the header knows.
        Ioctl::new(0xc018_64c1).argument(&words(&[7, 0, 12, 0, 1, 0])),
    ];
    expect![[r#"
        0 command DRM_IOCTL_GET_CAP 0..10 capability=DUMB_BUFFER value=1
        1 command DRM_IOCTL_MODE_CREATE_DUMB 0..10 width=640 height=480 bpp=32 handle=7 pitch=2560 size=1228800
        2 command DRM_IOCTL_MODE_ADDFB2 0..10 width=1920 height=1080 format=XR24 handle=5 pitch=7680 modifier=0x9 framebuffer=44
        3 command DRM_IOCTL_MODE_ADDFB2 0..10 width=1920 height=1080 format=XR24 handle=5 pitch=7680 modifier=0x9 framebuffer=44
        4 command DRM_IOCTL_MODE_SETCRTC 0..10 crtc=31 connectors=1 framebuffer=44 x=0 y=0 mode=1920x1080 width=1920 height=1080 refresh_hz=60
        5 command DRM_IOCTL_MODE_PAGE_FLIP 0..10 error EBUSY crtc=31 framebuffer=44 flags=PAGE_FLIP_EVENT
        6 command DRM_IOCTL_MODE_ATOMIC 0..10 error EACCES flags=NONBLOCK|ALLOW_MODESET objects=3
        7 command DRM_IOCTL_WAIT_VBLANK 0..10 type=RELATIVE|EVENT pipe=1 asked=1 sequence=777
        8 command DRM_IOCTL_MODE_OBJ_GETPROPERTIES 0..10 object=31 properties=9 object_type=CRTC
        9 command DRM_IOCTL_PRIME_HANDLE_TO_FD 0..10 handle=7 flags=0x2 fd=12
        10 command DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD 0..10 handle=7 flags=0x0 fd=12
    "#]].assert_eq(&rendered("dri", calls));
}

#[test]
fn reads_are_events() {
    let vblank = words(&[1, 32, 0, 0, 5, 6, 777, 31]);
    let flip = words(&[2, 32, 0, 0, 5, 6, 778, 31]);
    let sequence = words(&[3, 32, 0, 0, 9, 0, 779, 0]);
    let own = words(&[0x8000_0000, 12, 1]);
    let all = [vblank.clone(), flip, sequence, own].concat();
    let read = |bytes: &[u8], size| data(Call::Read, (20, 30), size as i64, bytes, size);
    let calls = [
        read(&all, all.len() as u64),
        // The second was cut in its middle, the third as well.
        read(&all[..40], 108),
        read(&all[..36], 108),
        read(&[], 32),
        // No events: too short, too long, no length.
        read(&words(&[1, 4, 0, 0]), 16),
        read(&words(&[1, 20, 0, 0]), 16),
        read(&words(&[1, 0, 0, 0]), 16),
    ];
    let text = rendered("dri", calls);
    let told: Vec<_> = text
        .lines()
        .map(|line| {
            let (head, rest) = line.split_once(" \"").or_else(|| line.split_once(" → ")).unwrap();
            format!("{} |{}", &head[2..], rest.rsplit_once('"').unwrap().1)
        })
        .collect();
    expect![[r#"
        event vblank 30..30 | timestamp_ns=5000006000 sequence=777 crtc=31
        event flip_complete 30..30 | timestamp_ns=5000006000 sequence=778 crtc=31
        event crtc_sequence 30..30 | timestamp_ns=9 sequence=779
        event driver_event 30..30 | type=0x80000000
        event vblank 30..30 | timestamp_ns=5000006000 sequence=777 crtc=31
        event flip_complete 30..30 |/32
        event drm_event 30..30 |/44
        event vblank 30..30 | timestamp_ns=5000006000 sequence=777 crtc=31
        event drm_event 30..30 |/76
        command read 20..30 → |/32
         command read 20..30 → |
         command read 20..30 → |
         command read 20..30 → |"#]]
    .assert_eq(&told.join("\n"));
}

#[test]
fn accelerators_are_of_the_same_kind() {
    check(
        "accel",
        "0 ioctl 0x40086409 \"\\x07\\x00\\x00\\x00\"",
        expect![[r#"
            0 command DRM_IOCTL_GEM_CLOSE 0..0 handle=7
        "#]],
    );
    let lease = |class| RecipeKey { family: family(class), command: 0xc000_64c6, ..RecipeKey::default() };
    for class in ["dri", "accel"] {
        let found = recipes().iter().find(|(key, _)| *key == lease(class)).map(|(_, recipe)| recipe.new_fd);
        assert_eq!(found, Some(20), "{class}");
    }
}
