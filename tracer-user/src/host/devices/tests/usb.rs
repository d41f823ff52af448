//! Devices on USB: serial converters, modems, cameras, sticks.

use expect_test::expect;

use super::*;

const HOST: &str = "pci0000:00/0000:00:14.0";

/// A host with a controller and its root hub.
pub(super) fn host() -> Tree {
    let tree = Tree::new();
    tree.device(HOST, "pci", &[("vendor", "0x8086"), ("device", "0xa36d")]);
    tree.driver(HOST, "xhci_hcd");
    let hub = [("idVendor", "1d6b"), ("idProduct", "0002"), ("serial", "0000:00:14.0"), ("version", " 2.00")];
    tree.device(&format!("{HOST}/usb1"), "usb", &hub);
    tree
}

/// Plugs a device into a port such as `1-1.2`; its folder.
pub(super) fn plug(tree: &Tree, port: &str, make: (&str, &str), serial: Option<&str>) -> String {
    let path = format!("{HOST}/usb1/{port}");
    let mut attributes = vec![
        ("idVendor", make.0),
        ("idProduct", make.1),
        ("manufacturer", "FTDI"),
        ("product", "FT232R USB UART"),
    ];
    attributes.extend(serial.map(|serial| ("serial", serial)));
    tree.device(&path, "usb", &attributes).driver(&path, "usb");
    path
}

/// A serial converter's part of a device; its node's number.
pub(super) fn converter(tree: &Tree, device: &str, port: &str, interface: &str, minor: u32) -> DeviceNumber {
    let part = format!("{device}/{port}:1.{interface}");
    if !tree.path("sys/devices").join(&part).exists() {
        tree.device(&part, "usb", &[("bInterfaceNumber", &format!("0{interface}"))])
            .driver(&part, "ftdi_sio");
    }
    let name = format!("ttyUSB{minor}");
    tree.device(&format!("{part}/{name}"), "usb-serial", &[]).driver(&format!("{part}/{name}"), "ftdi_sio");
    let tty = format!("{part}/{name}/tty/{name}");
    tree.device(&tty, "tty", &[]);
    tree.node(&tty, &format!("188:{minor}"), &name)
}

#[test]
fn a_serial_converter_goes_by_its_serial_number() {
    let tree = host();
    let device = plug(&tree, "1-1.2", ("0403", "6001"), Some("FT123"));
    let number = converter(&tree, &device, "1-1.2", "0", 0);
    tree.link("serial/by-id/usb-FTDI_FT232R_USB_UART_FT123-if00-port0", "../../ttyUSB0");
    tree.link("serial/by-path/pci-0000:00:14.0-usb-0:1.2:1.0-port0", "../../ttyUSB0");
    tree.link("serial/by-id/usb-other", "../../ttyUSB9");
    expect![[r#"
        tty /dev/ttyUSB0 tty:usb:0403:6001:FT123:if00
        driver ftdi_sio
        bus usb
        address 1-1.2:1.0
        vendor_id 0403
        product_id 6001
        vendor FTDI
        model FT232R USB UART
        serial FT123
        link /dev/serial/by-id/usb-FTDI_FT232R_USB_UART_FT123-if00-port0
        link /dev/serial/by-path/pci-0000:00:14.0-usb-0:1.2:1.0-port0
    "#]]
    .assert_eq(&tree.facts(number));
}

#[test]
fn the_id_stays_when_port_and_number_change() {
    let first = host();
    let device = plug(&first, "1-1.2", ("0403", "6001"), Some("FT123"));
    let before = converter(&first, &device, "1-1.2", "0", 0);
    let second = host();
    let device = plug(&second, "1-4", ("0403", "6001"), Some("FT123"));
    let after = converter(&second, &device, "1-4", "0", 7);
    assert_ne!(before, after);
    assert_eq!(first.id(before), second.id(after));
}

#[test]
fn without_a_serial_number_the_port_tells() {
    for serial in [None, Some(""), Some("0"), Some("00000000"), Some("123456"), Some("Default string")] {
        let tree = host();
        let device = plug(&tree, "1-1.2", ("1a86", "7523"), serial);
        let number = converter(&tree, &device, "1-1.2", "0", 3);
        assert_eq!(tree.id(number), "tty:usb:1a86:7523:@pci-0000:00:14.0-usbv2-1.2:if00", "{serial:?}");
    }
}

#[test]
fn pieces_that_share_a_serial_number_are_told_apart_by_their_port() {
    let tree = host();
    let ids = ["1-1", "1-2"].map(|port| {
        let device = plug(&tree, port, ("10c4", "ea60"), Some("0001"));
        converter(&tree, &device, port, "0", port[2..].parse().expect("a digit"))
    });
    let other = plug(&tree, "1-3", ("0403", "6001"), Some("0001"));
    let other = converter(&tree, &other, "1-3", "0", 9);
    assert_eq!(tree.id(ids[0]), "tty:usb:10c4:ea60:0001:@pci-0000:00:14.0-usbv2-1:if00");
    assert_eq!(tree.id(ids[1]), "tty:usb:10c4:ea60:0001:@pci-0000:00:14.0-usbv2-2:if00");
    assert_eq!(tree.id(other), "tty:usb:0403:6001:0001:if00", "another make");
}

#[test]
fn the_lines_of_one_converter_are_told_apart() {
    let tree = host();
    let device = plug(&tree, "1-1", ("0403", "6011"), Some("FT4"));
    let lines = [("0", 8), ("1", 9)].map(|(part, minor)| converter(&tree, &device, "1-1", part, minor));
    // Two lines on one interface: the tenth comes after the ninth.
    let third = converter(&tree, &device, "1-1", "1", 10);
    assert_eq!(tree.id(lines[0]), "tty:usb:0403:6011:FT4:if00");
    assert_eq!(tree.id(lines[1]), "tty:usb:0403:6011:FT4:if01");
    assert_eq!(tree.id(third), "tty:usb:0403:6011:FT4:if01:1");
}

#[test]
fn the_device_itself_has_a_node() {
    let tree = host();
    let device = plug(&tree, "1-1", ("0403", "6001"), Some("FT/1 é"));
    let number = tree.node(&device, "189:3", "bus/usb/001/004");
    expect![[r#"
        usb /dev/bus/usb/001/004 usb:0403:6001:FT/1
        driver usb
        bus usb
        address 1-1
        vendor_id 0403
        product_id 6001
        vendor FTDI
        model FT232R USB UART
        serial FT/1 é
    "#]]
    .assert_eq(&tree.facts(number));
    let hub = tree.node(&format!("{HOST}/usb1"), "189:0", "bus/usb/001/001");
    assert_eq!(tree.id(hub), "usb:1d6b:0002:0000:00:14.0");
}

#[test]
fn a_camera_has_several_nodes() {
    let tree = host();
    let device = plug(&tree, "1-2", ("046d", "0825"), Some("AB12CD"));
    let part = format!("{device}/1-2:1.0");
    tree.device(&part, "usb", &[("bInterfaceNumber", "00")]).driver(&part, "uvcvideo");
    let nodes = [(2, "0"), (3, "1")].map(|(minor, index)| {
        let path = format!("{part}/video4linux/video{minor}");
        tree.device(&path, "video4linux", &[("name", "HD Webcam: HD Webcam"), ("index", index)]);
        tree.node(&path, &format!("81:{minor}"), &format!("video{minor}"))
    });
    let media = format!("{part}/media0");
    tree.device(&media, "media", &[("model", "HD Webcam")]);
    let media = tree.node(&media, "240:0", "media0");
    tree.link("v4l/by-id/usb-046d_0825_AB12CD-video-index0", "../../video2");
    expect![[r#"
        video /dev/video2 video:usb:046d:0825:AB12CD:if00
        driver uvcvideo
        bus usb
        address 1-2:1.0
        vendor_id 046d
        product_id 0825
        vendor FTDI
        model FT232R USB UART
        serial AB12CD
        name HD Webcam: HD Webcam
        link /dev/v4l/by-id/usb-046d_0825_AB12CD-video-index0
    "#]]
    .assert_eq(&tree.facts(nodes[0]));
    assert_eq!(tree.id(nodes[1]), "video:usb:046d:0825:AB12CD:if00:1");
    let media = tree.catalog().describe(media);
    assert_eq!((media.class, &*media.id), ("media", "media:usb:046d:0825:AB12CD:if00"));
    assert_eq!(media.identity.name.as_deref(), Some("HD Webcam"));
}

#[test]
fn keyboards_and_their_raw_reports_share_an_anchor() {
    let tree = host();
    let device = plug(&tree, "1-3", ("046d", "c52b"), None);
    let part = format!("{device}/1-3:1.1");
    tree.device(&part, "usb", &[("bInterfaceNumber", "01")]).driver(&part, "usbhid");
    let hid = format!("{part}/0003:046D:C52B.0004");
    tree.device(
        &hid,
        "hid",
        &[("uevent", "HID_ID=0003:0000046D:0000C52B\nHID_NAME=Logitech USB Receiver\nHID_UNIQ=")],
    );
    tree.driver(&hid, "hid-generic");
    let raw = format!("{hid}/hidraw/hidraw1");
    tree.device(&raw, "hidraw", &[]);
    let raw = tree.node(&raw, "245:1", "hidraw1");
    let mut events = Vec::new();
    for (index, name) in [(9, "Logitech USB Receiver Mouse"), (10, "Logitech USB Receiver")] {
        let input = format!("{hid}/input/input{index}");
        tree.device(
            &input,
            "input",
            &[("name", name), ("uniq", ""), ("id/vendor", "046d"), ("id/product", "c52b")],
        );
        let event = format!("{input}/event{index}");
        tree.device(&event, "input", &[]);
        events.push(tree.node(&event, &format!("13:{}", 64 + index), &format!("input/event{index}")));
    }
    let mouse = format!("{hid}/input/input9/mouse0");
    tree.device(&mouse, "input", &[]);
    let mouse = tree.node(&mouse, "13:32", "input/mouse0");
    let anchor = "usb:046d:c52b:@pci-0000:00:14.0-usbv2-3:if01";
    expect![[r#"
        hid /dev/hidraw1 hid:usb:046d:c52b:@pci-0000:00:14.0-usbv2-3:if01
        driver hid-generic
        bus usb
        address 1-3:1.1
        vendor_id 046d
        product_id c52b
        vendor FTDI
        model FT232R USB UART
        name Logitech USB Receiver
    "#]]
    .assert_eq(&tree.facts(raw));
    assert_eq!(tree.id(events[0]), format!("input:{anchor}"));
    assert_eq!(tree.id(events[1]), format!("input:{anchor}:1"), "the tenth comes after the ninth");
    assert_eq!(tree.id(mouse), format!("input:{anchor}:mouse"));
    let event = tree.catalog().describe(events[0]);
    assert_eq!(event.identity.name.as_deref(), Some("Logitech USB Receiver Mouse"));
}
