//! What sits on a board or in a slot: I2C, SPI, GPIO, UARTs, clocks, sound, and what programs stand in for.

use expect_test::expect;

use super::*;

#[test]
fn an_i2c_adapter_on_pci() {
    let tree = Tree::new();
    let host = "pci0000:00/0000:00:1f.4";
    tree.device(host, "pci", &[("vendor", "0x8086"), ("device", "0xa323")]).driver(host, "i801_smbus");
    let mut nodes = Vec::new();
    for (index, name) in [(0, "SMBus I801 adapter at efa0"), (12, "second"), (3, "third")] {
        let adapter = format!("{host}/i2c-{index}");
        tree.device(&adapter, "i2c", &[("name", name)]);
        let node = format!("{adapter}/i2c-dev/i2c-{index}");
        tree.device(&node, "i2c-dev", &[("name", name)]);
        nodes.push(tree.node(&node, &format!("89:{index}"), &format!("i2c-{index}")));
    }
    expect![[r#"
        i2c /dev/i2c-0 i2c:pci:0000:00:1f.4
        driver i801_smbus
        bus pci
        address 0000:00:1f.4
        vendor_id 8086
        product_id a323
        name SMBus I801 adapter at efa0
    "#]]
    .assert_eq(&tree.facts(nodes[0]));
    assert_eq!(tree.id(nodes[2]), "i2c:pci:0000:00:1f.4:1");
    assert_eq!(tree.id(nodes[1]), "i2c:pci:0000:00:1f.4:2");
}

#[test]
fn a_clock_behind_an_i2c_bus_goes_by_its_address_there() {
    let tree = Tree::new();
    tree.device("platform/soc/fe804000.i2c", "platform", &[]);
    tree.device("platform/soc/fe804000.i2c/i2c-7", "i2c", &[]);
    let chip = "platform/soc/fe804000.i2c/i2c-7/7-0068";
    tree.device(chip, "i2c", &[("name", "ds3231")]).driver(chip, "rtc-ds1307");
    tree.device(&format!("{chip}/rtc/rtc0"), "rtc", &[("name", "rtc-ds1307 7-0068")]);
    let number = tree.node(&format!("{chip}/rtc/rtc0"), "249:0", "rtc0");
    expect![[r#"
        rtc /dev/rtc0 rtc:platform:fe804000.i2c:0068
        driver rtc-ds1307
        bus i2c
        address 7-0068
        name rtc-ds1307 7-0068
    "#]]
    .assert_eq(&tree.facts(number));
}

#[test]
fn an_spi_device_goes_by_its_chip_select() {
    let tree = Tree::new();
    tree.device("platform/soc/fe204000.spi", "platform", &[])
        .driver("platform/soc/fe204000.spi", "spi-bcm2835");
    let master = "platform/soc/fe204000.spi/spi_master/spi0";
    tree.device(master, "spi_master", &[]);
    tree.device(&format!("{master}/spi0.1"), "spi", &[("modalias", "spi:spidev")]);
    tree.driver(&format!("{master}/spi0.1"), "spidev");
    let node = format!("{master}/spi0.1/spidev/spidev0.1");
    tree.device(&node, "spidev", &[]);
    let number = tree.node(&node, "153:1", "spidev0.1");
    expect![[r#"
        spi /dev/spidev0.1 spi:platform:fe204000.spi:cs1
        driver spidev
        bus spi
        address spi0.1
        name spidev
    "#]]
    .assert_eq(&tree.facts(number));
}

#[test]
fn a_gpio_chip_has_a_label_if_it_is_the_only_one() {
    let tree = Tree::new();
    let host = "platform/soc/fe200000.gpio";
    tree.device(host, "platform", &[]).driver(host, "pinctrl-bcm2835");
    tree.device(&format!("{host}/gpiochip0"), "gpio", &[]);
    let first = tree.node(&format!("{host}/gpiochip0"), "254:0", "gpiochip0");
    tree.device(
        &format!("{host}/gpio/gpiochip512"),
        "gpio_old",
        &[("label", "pinctrl-bcm2711"), ("ngpio", "58")],
    );
    expect![[r#"
        gpio /dev/gpiochip0 gpio:platform:fe200000.gpio
        driver pinctrl-bcm2835
        bus platform
        address fe200000.gpio
        name pinctrl-bcm2711
    "#]]
    .assert_eq(&tree.facts(first));
    tree.device(&format!("{host}/gpiochip1"), "gpio", &[]);
    let second = tree.node(&format!("{host}/gpiochip1"), "254:1", "gpiochip1");
    tree.device(&format!("{host}/gpio/gpiochip570"), "gpio_old", &[("label", "other")]);
    assert_eq!(tree.id(second), "gpio:platform:fe200000.gpio:1");
    assert_eq!(tree.catalog().describe(second).identity.name, None, "whose label it is cannot be told");
}

#[test]
fn a_uart_keeps_its_id_whatever_the_kernel_puts_in_between() {
    let plain = Tree::new();
    plain.device("pnp0/00:05", "pnp", &[]).driver("pnp0/00:05", "serial");
    plain.device("pnp0/00:05/tty/ttyS0", "tty", &[("type", "4")]);
    let before = plain.node("pnp0/00:05/tty/ttyS0", "4:64", "ttyS0");
    let newer = Tree::new();
    newer.device("pnp0/00:05", "pnp", &[]).driver("pnp0/00:05", "serial");
    newer.device("pnp0/00:05/00:05:0", "serial-base", &[]).driver("pnp0/00:05/00:05:0", "ctrl");
    let port = "pnp0/00:05/00:05:0/00:05:0.0";
    newer.device(port, "serial-base", &[]).driver(port, "port");
    newer.device(&format!("{port}/tty/ttyS0"), "tty", &[("type", "4")]);
    let after = newer.node(&format!("{port}/tty/ttyS0"), "4:64", "ttyS0");
    assert_eq!(plain.facts(before), newer.facts(after));
    expect![[r#"
        tty /dev/ttyS0 tty:pnp:00:05
        driver serial
        bus pnp
        address 00:05
        name 16550A
    "#]]
    .assert_eq(&newer.facts(after));
}

#[test]
fn sound_nodes_do_not_depend_on_the_cards_number() {
    let ids = [0, 3].map(|card| {
        let tree = Tree::new();
        let host = "pci0000:00/0000:00:1f.3";
        tree.device(host, "pci", &[("vendor", "0x8086"), ("device", "0xa348")]).driver(host, "snd_hda_intel");
        let sound = format!("{host}/sound/card{card}");
        tree.device(&sound, "sound", &[("id", "PCH")]);
        let pcm = format!("{sound}/pcmC{card}D0p");
        tree.device(&pcm, "sound", &[]);
        let pcm = tree.node(&pcm, "116:5", &format!("snd/pcmC{card}D0p"));
        let control = format!("{sound}/controlC{card}");
        tree.device(&control, "sound", &[]);
        let control = tree.node(&control, "116:6", &format!("snd/controlC{card}"));
        let device = tree.catalog().describe(pcm);
        assert_eq!(device.identity.name.as_deref(), Some("PCH"));
        tree.file("proc/asound/cards", format!(" {card} [PCH            ]: HDA-Intel - HDA Intel PCH\n      HDA Intel PCH at 0xb1210000 irq 146\n"));
        let device = tree.catalog().describe(pcm);
        assert_eq!(device.identity.name.as_deref(), Some("HDA Intel PCH"));
        assert_eq!(device.class, "sound");
        [tree.id(pcm), tree.id(control)]
    });
    assert_eq!(ids[0], ids[1]);
    assert_eq!(ids[0], ["sound:pci:0000:00:1f.3:pcmD0p", "sound:pci:0000:00:1f.3:control"]);
}

#[test]
fn a_wireless_keyboard_goes_by_its_radio() {
    let tree = Tree::new();
    let hid = "virtual/misc/uhid/0005:046D:B342.0007";
    let uevent = "HID_ID=0005:0000046D:0000B342\nHID_NAME=Keyboard K380\nHID_UNIQ=aa:bb:cc:11:22:33";
    tree.device(hid, "hid", &[("uevent", uevent)]).driver(hid, "hid-generic");
    tree.device(&format!("{hid}/hidraw/hidraw0"), "hidraw", &[]);
    let number = tree.node(&format!("{hid}/hidraw/hidraw0"), "245:0", "hidraw0");
    expect![[r#"
        hid /dev/hidraw0 hid:radio:aa:bb:cc:11:22:33
        driver hid-generic
        bus hid
        address 0005:046D:B342.0007
        vendor_id 046d
        product_id b342
        serial aa:bb:cc:11:22:33
        name Keyboard K380
    "#]]
    .assert_eq(&tree.facts(number));
}

#[test]
fn graphics_nodes_are_told_apart() {
    let tree = Tree::new();
    let host = "pci0000:00/0000:00:02.0";
    tree.device(host, "pci", &[("vendor", "0x8086"), ("device", "0x3e9b")]).driver(host, "i915");
    for name in ["card1", "renderD128", "card1-HDMI-A-1"] {
        tree.device(&format!("{host}/drm/{name}"), "drm", &[]);
    }
    let card = tree.node(&format!("{host}/drm/card1"), "226:1", "dri/card1");
    let render = tree.node(&format!("{host}/drm/renderD128"), "226:128", "dri/renderD128");
    assert_eq!(tree.id(card), "dri:pci:0000:00:02.0");
    assert_eq!(tree.id(render), "dri:pci:0000:00:02.0:renderD");
}

#[test]
fn nodes_of_misc_belong_to_their_class_by_name_or_number() {
    let tree = Tree::new();
    tree.file("proc/misc", "200 tun\n229 fuse\n130 watchdog\n");
    for (name, number, node, expected) in [
        ("tun", "10:200", "net/tun", "tun /dev/net/tun tun:net/tun\ndriver tun\n"),
        ("fuse", "10:229", "fuse", "fuse /dev/fuse fuse:fuse\ndriver fuse\n"),
        ("kvm", "10:232", "kvm", "kvm /dev/kvm kvm:kvm\n"),
        ("vhost-net", "10:238", "vhost-net", "vhost /dev/vhost-net vhost:vhost-net\n"),
        ("uinput", "10:223", "uinput", "input /dev/uinput input:uinput\n"),
        ("hpet", "10:228", "hpet", "other /dev/hpet other:hpet\n"),
    ] {
        let path = format!("virtual/misc/{name}");
        tree.device(&path, "misc", &[]);
        assert_eq!(tree.facts(tree.node(&path, number, node)), expected);
    }
}

#[test]
fn of_usb_drivers_own_nodes_only_those_of_hid_have_a_class() {
    let tree = Tree::new();
    for (node, number, expected) in [("usb/hiddev0", "180:96", "hid"), ("usbtmc0", "180:176", "other")] {
        let path = format!("virtual/usbmisc/{}", node.rsplit('/').next().expect("a name"));
        tree.device(&path, "usbmisc", &[]);
        assert_eq!(tree.catalog().describe(tree.node(&path, number, node)).class, expected, "{node}");
    }
}

#[test]
fn the_rest_of_the_classes_is_known_by_subsystem() {
    let tree = Tree::new();
    tree.device("platform/board", "platform", &[]);
    for (subsystem, number, node, attribute, expected) in [
        ("watchdog", "249:0", "watchdog0", ("identity", "iTCO_wdt"), "watchdog:platform:board"),
        ("ptp", "250:0", "ptp0", ("clock_name", "igb clock"), "ptp:platform:board"),
        ("mtd", "90:0", "mtd0", ("name", "u-boot"), "mtd:platform:board"),
        ("accel", "261:0", "accel/accel0", ("x", ""), "accel:platform:board"),
        ("scsi_generic", "21:0", "sg0", ("x", ""), "scsi:platform:board"),
    ] {
        let name = node.rsplit('/').next().expect("a name");
        let path = format!("platform/board/{subsystem}/{name}");
        tree.device(&path, subsystem, &[attribute]);
        let device = tree.catalog().describe(tree.node(&path, number, node));
        assert_eq!(*device.id, *expected);
        let named = (!attribute.1.is_empty()).then_some(attribute.1);
        assert_eq!(device.identity.name.as_deref(), named, "{subsystem}");
    }
    // Read-only nodes of the same flash.
    tree.device("platform/board/mtd/mtd0ro", "mtd", &[]);
    let number = tree.node("platform/board/mtd/mtd0ro", "90:1", "mtd0ro");
    assert_eq!(tree.id(number), "mtd:platform:board:ro");
}

#[test]
fn a_stand_in_is_of_the_class_that_its_number_or_name_says() {
    let tree = Tree::new();
    tree.file(
        "proc/devices",
        "Character devices:\n 10 misc\n 89 i2c-7\n240 spidev9.0\n241 thing\n\nBlock devices:\n",
    );
    for (name, number, class) in [
        ("i2c-7", "89:7", "i2c"),
        ("anything", "153:4", "spi"),
        ("spidev9.0", "240:0", "spi"),
        ("gpiochip9", "242:0", "gpio"),
        ("thing", "241:0", "other"),
    ] {
        let path = format!("virtual/cuse/{name}");
        tree.device(&path, "cuse", &[("dev", number)]);
        let device = tree.catalog().describe(tree.node(&path, number, name));
        assert_eq!((device.class, &*device.id), (class, &*format!("{class}:{name}")));
    }
    let rows = |class: &str| class_rows(&tree.sysfs(), class).expect("a class");
    assert!(rows("i2c").contains_key(&(1, 89, None)), "the number is the class' own");
    assert!(rows("spi").contains_key(&(1, 240, Some(0))), "by its name");
    assert!(rows("gpio").contains_key(&(1, 242, Some(0))));
}
