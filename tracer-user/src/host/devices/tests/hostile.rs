//! Trees that no kernel would make: they end, and nothing is believed that does not fit.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use proptest::prelude::*;

use super::*;

const NUMBER: DeviceNumber = DeviceNumber { kind: DeviceKind::Char, major: 188, minor: 0 };

/// A tree with one serial converter, of which a test can break what it likes.
fn tree() -> (Tree, String) {
    let tree = super::usb::host();
    let device = super::usb::plug(&tree, "1-1", ("0403", "6001"), Some("FT123"));
    super::usb::converter(&tree, &device, "1-1", "0", 0);
    (tree, device)
}

#[test]
fn links_that_go_round_end() {
    let (tree, _) = tree();
    let link = tree.path("sys/dev/char/188:0");
    fs::remove_file(&link).expect("it is there");
    symlink("188:0", &link).expect("a link");
    assert_eq!(tree.facts(NUMBER), "tty char:188:0 tty:c188:0\n");
    let (tree, device) = self::tree();
    // A device inside itself, and a folder of links that leads back up.
    symlink("..", tree.path(&format!("sys/devices/{device}/again"))).expect("a link");
    symlink(".", tree.path("dev/again")).expect("a link");
    symlink("by-id", tree.path("dev/by-id")).expect("a link");
    symlink("../serial", tree.path("dev/serial")).expect("a link");
    assert!(tree.id(NUMBER).ends_with("FT123:if00"));
    assert_eq!(tree.catalog().list().len(), 1);
}

#[test]
fn a_link_out_of_the_tree_is_no_device() {
    let (tree, _) = tree();
    let link = tree.path("sys/dev/char/188:0");
    fs::remove_file(&link).expect("it is there");
    symlink("/etc", &link).expect("a link");
    assert_eq!(tree.id(NUMBER), "tty:c188:0");
}

#[test]
fn huge_files_are_read_in_part_and_pipes_not_at_all() {
    let (tree, device) = tree();
    let at = |name: &str| format!("sys/devices/{device}/{name}");
    tree.file(&at("product"), vec![b'x'; 8 << 20]);
    for name in ["manufacturer", "serial"] {
        fs::remove_file(tree.path(&at(name))).expect("it is there");
    }
    let pipe = std::ffi::CString::new(tree.path(&at("manufacturer")).as_os_str().as_bytes()).expect("no NUL");
    // SAFETY: a path that ends in NUL.
    assert_eq!(unsafe { libc::mkfifo(pipe.as_ptr(), 0o600) }, 0);
    symlink("/dev/zero", tree.path(&at("serial"))).expect("a link");
    let identity = tree.catalog().describe(NUMBER).identity;
    assert_eq!(identity.model.map(|model| model.len()), Some(160));
    assert_eq!((identity.vendor, identity.serial), (None, None));
}

#[test]
fn bytes_that_are_no_text_are_replaced() {
    let (tree, device) = tree();
    tree.file(&format!("sys/devices/{device}/serial"), b"A\xff\xfeB\x1b[31m\n");
    tree.file(&format!("sys/devices/{device}/product"), b"\x00\x01\n");
    let found = tree.catalog().describe(NUMBER);
    assert_eq!(found.identity.serial.as_deref(), Some("A\u{fffd}\u{fffd}B[31m"));
    assert_eq!(&*found.id, "tty:usb:0403:6001:A_B_31m:if00");
    let name = OsStr::from_bytes(b"tty\xff");
    fs::write(tree.path("dev").join(name), "").expect("it can be written");
    fs::create_dir(tree.path("sys/dev/char").join(name)).expect("it can be made");
    symlink("../../x", tree.path("sys/class/tty").join(name)).expect("a link");
    assert_eq!(tree.catalog().list().len(), 1);
}

#[test]
fn missing_trees_describe_nothing() {
    let nowhere = PathBuf::from("/proc/nowhere");
    let sysfs = Sysfs { sys: nowhere.clone(), dev: nowhere.clone(), proc: nowhere };
    let catalog = Catalog::new(sysfs.clone(), None);
    assert_eq!(facts(&catalog.describe(NUMBER)), "tty char:188:0 tty:c188:0\n");
    assert!(catalog.list().is_empty() && holders(&sysfs).is_empty());
    assert_eq!(catalog.stamp(NUMBER), 0);
    assert!(class_rows(&sysfs, "i2c").is_some_and(|rows| rows == [((1, 89, None), "i2c")].into()));
}

#[test]
fn a_deep_tree_is_cut() {
    let tree = Tree::new();
    let mut path = String::from("platform/x");
    for _ in 0..200 {
        path += "/x";
        tree.device(&path, "platform", &[]);
        // One entry a name is enough.
        fs::remove_file(tree.path("sys/bus/platform/devices/x")).expect("it is there");
    }
    let number = tree.node(&path, "188:0", "ttyUSB0");
    assert_eq!(tree.catalog().describe(number).identity.address.as_deref(), Some("x"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_bytes_in_any_attribute_give_a_bounded_plain_id(
        name in prop::sample::select(vec!["idVendor", "idProduct", "serial", "product", "version", "uevent", "subsystem"]),
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        deep in any::<bool>(),
    ) {
        let (tree, device) = tree();
        let place = if deep { format!("{device}/1-1:1.0/ttyUSB0/tty/ttyUSB0") } else { device };
        let file = tree.path(&format!("sys/devices/{place}/{name}"));
        let _ = fs::remove_file(&file);
        fs::write(&file, &bytes).expect("it can be written");
        tree.file("proc/devices", &bytes).file("proc/misc", &bytes).file("proc/asound/cards", &bytes);
        let found = tree.catalog().describe(NUMBER);
        prop_assert!(found.id.len() < 600 && found.id.is_ascii(), "{}", found.id);
        prop_assert!(!found.id.contains(char::is_whitespace) && !found.path.contains('\n'));
        let _ = Pattern::parse(&String::from_utf8_lossy(&bytes), &tree.catalog());
    }
}
