//! A network interface of a program's own, and the clock if this machine has one.

use std::fs::{self, OpenOptions};
use std::os::fd::AsRawFd as _;
use std::thread;

use nix::sched::{CloneFlags, unshare};

use crate::support::Tracer;

/// `linux/if_tun.h` and `linux/rtc.h`.
const TUNGETFEATURES: u64 = 0x8004_54cf;
const TUNGETIFF: u64 = 0x8004_54d2;
const TUNSETIFF: u64 = 0x4004_54ca;
const RTC_RD_TIME: u64 = 0x8024_7009;
/// `IFF_TAP | IFF_NO_PI`.
const TAP: u16 = 0x1002;

/// Makes a call with 64 bytes as its argument; the errno, if it fails.
fn ioctl(fd: i32, command: u64, argument: &mut [u8; 64]) -> i32 {
    // SAFETY: none of the commands above takes or gives more than that.
    let result = unsafe { libc::ioctl(fd, command, argument.as_mut_ptr()) };
    if result < 0 { nix::errno::Errno::last_raw() } else { 0 }
}

#[test]
fn an_interface_is_made_command_by_command() {
    let pid = std::process::id().to_string();
    let clocks: Vec<_> = fs::read_dir("/dev")
        .expect("there are devices")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("rtc")))
        // A link to one of them.
        .filter(|path| path.file_name().is_some_and(|name| name != "rtc"))
        .collect();
    let tracer = Tracer::start(&["--pid", &pid, "--device", "tun", "--device", "rtc"]);
    // The interface is in a network of this thread's own, and gone with it.
    let read = thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("tests run as root");
        let tun =
            OpenOptions::new().read(true).write(true).open("/dev/net/tun").expect("the driver is there");
        let fd = tun.as_raw_fd();
        assert_eq!(ioctl(fd, TUNGETFEATURES, &mut [0; 64]), 0);
        assert_eq!(ioctl(fd, TUNGETIFF, &mut [0; 64]), libc::EBADFD, "it has no interface yet");
        let mut request = [0; 64];
        request[..8].copy_from_slice(b"iotrail7");
        request[16..18].copy_from_slice(&TAP.to_ne_bytes());
        assert_eq!(ioctl(fd, TUNSETIFF, &mut request), 0);
        clocks
            .iter()
            .filter(|path| {
                OpenOptions::new()
                    .read(true)
                    .open(path)
                    .is_ok_and(|rtc| ioctl(rtc.as_raw_fd(), RTC_RD_TIME, &mut [0; 64]) == 0)
            })
            .count()
    });
    let read = read.join().expect("every call did what it should");
    let mut spans = tracer.stop().spans;
    // Errors are exported first.
    spans.sort_by_key(|span| span.start);
    let shown: Vec<_> = spans
        .iter()
        .filter(|span| span.attribute("iotrail.device.class") == Some("tun"))
        .map(|span| {
            let of = |key: &str| span.attribute(&format!("iotrail.device.{key}")).unwrap_or_default();
            (span.name.as_str(), span.error.as_deref(), of("path"), of("args.interface"), of("args.flags"))
        })
        .collect();
    let tun = "/dev/net/tun";
    assert_eq!(
        shown,
        [
            ("peripheral.execute TUNGETFEATURES", None, tun, "", ""),
            ("peripheral.execute TUNGETIFF", Some("EBADFD"), tun, "", ""),
            ("peripheral.execute TUNSETIFF", None, tun, "iotrail7", "TAP|NO_PI"),
        ]
    );
    let times = spans.iter().filter(|span| span.name == "peripheral.execute RTC_RD_TIME");
    assert_eq!(times.count(), read, "as many as there are clocks that can be read");
}
