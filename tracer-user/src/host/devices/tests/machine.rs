//! This machine's own devices, as far as every Linux has them.

use super::*;

fn catalog() -> Catalog {
    Catalog::default()
}

fn char(major: u32, minor: u32) -> DeviceNumber {
    DeviceNumber { kind: DeviceKind::Char, major, minor }
}

#[test]
fn a_pseudo_terminal_is_named_by_its_number() {
    let device = catalog().describe(char(137, 2));
    assert_eq!((&*device.path, device.class, &*device.id), ("/dev/pts/258", "tty", "tty:pts/258"));
}

#[test]
fn null_is_a_device_without_a_class() {
    let number = node_number(Path::new("/dev/null")).expect("every host has it");
    assert_eq!(number, char(1, 3));
    let device = catalog().describe(number);
    assert_eq!((device.class, &*device.path), ("other", "/dev/null"));
    assert_eq!(node_number(Path::new("/proc/self/status")), None);
    assert_ne!(catalog().stamp(number), 0);
}

#[test]
fn a_number_that_nobody_has_is_described_by_itself() {
    assert_eq!(&*catalog().describe(char(153, 77)).id, "spi:c153:77");
    assert_eq!(catalog().stamp(char(153, 77)), 0);
}

#[test]
fn the_terminal_of_this_test_is_listed_with_this_process() {
    let flags = libc::O_RDWR | libc::O_NOCTTY;
    // SAFETY: no pointers are kept; the name is copied into a buffer of the size that is told.
    let (master, name) = unsafe {
        let master = libc::posix_openpt(flags);
        assert!(master >= 0 && libc::grantpt(master) == 0 && libc::unlockpt(master) == 0);
        let mut name = [0_u8; 64];
        assert_eq!(libc::ptsname_r(master, name.as_mut_ptr().cast(), name.len()), 0);
        (
            master,
            String::from_utf8_lossy(name.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned(),
        )
    };
    let line = fs::File::options().read(true).write(true).open(&name).expect("it opens");
    let listed = catalog().list();
    let found = listed.iter().find(|device| *device.path == *name).expect("it is listed");
    assert_eq!(found.class, "tty");
    let held = holders(&Sysfs::default());
    assert!(held[&found.number].iter().any(|holder| holder.pid == std::process::id()));
    drop(line);
    // SAFETY: it was opened above and is closed once.
    unsafe { libc::close(master) };
}

#[test]
fn every_id_here_belongs_to_one_device() {
    let listed = catalog().list();
    let mut seen: HashMap<&str, DeviceNumber> = HashMap::new();
    for device in &listed {
        let first = *seen.entry(&device.id).or_insert(device.number);
        assert_eq!(first, device.number, "{} twice", device.id);
    }
    assert!(listed.iter().any(|device| &*device.path == "/dev/null"));
}

#[test]
fn loops_and_tunnels_are_found_where_the_machine_has_them() {
    for (path, class) in
        [("/dev/loop0", "block"), ("/dev/net/tun", "tun"), ("/dev/rtc0", "rtc"), ("/dev/tty0", "tty")]
    {
        let Some(number) = node_number(Path::new(path)) else {
            eprintln!("this machine has no {path}");
            continue;
        };
        let device = catalog().describe(number);
        assert_eq!((device.class, &*device.path), (class, path));
        assert!(device.identity.driver.is_some() || class == "rtc", "{device:?}");
    }
}

#[test]
fn a_node_made_by_hand_is_the_same_device() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("nil");
    let name = std::ffi::CString::new(path.to_str().expect("a plain path")).expect("no NUL");
    // SAFETY: a path that ends in NUL.
    if unsafe { libc::mknod(name.as_ptr(), libc::S_IFCHR | 0o600, libc::makedev(1, 3)) } != 0 {
        eprintln!("nodes cannot be made here: {}", std::io::Error::last_os_error());
        return;
    }
    let pattern = Pattern::parse(path.to_str().expect("a plain path"), &catalog()).expect("it is there");
    assert_eq!(resolve(&[pattern], &catalog()).0, [((1, 1, Some(3)), "other")].into());
}

#[test]
fn classes_are_known_before_their_drivers_are_there() {
    let rows = |class: &str| class_rows(&Sysfs::default(), class).expect("a class");
    assert!(rows("tty").contains_key(&(1, 136, None)));
    assert!(rows("i2c").contains_key(&(1, 89, None)) && rows("spi").contains_key(&(1, 153, None)));
    assert!(rows("tun").contains_key(&(1, 10, Some(200))));
    assert!(rows("block").contains_key(&(2, 7, None)) && rows("block").contains_key(&(2, 8, None)));
    assert_eq!(class_rows(&Sysfs::default(), "toaster"), None);
    let all = everything(&Sysfs::default());
    assert!(all.contains_key(&(1, 136, None)) && all.contains_key(&(2, 7, None)));
}
