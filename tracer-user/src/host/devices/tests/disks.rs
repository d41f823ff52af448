//! Disks and their partitions.

use expect_test::expect;

use super::*;

#[test]
fn an_nvme_drive_has_a_controller_and_namespaces() {
    let tree = Tree::new();
    let host = "pci0000:00/0000:00:1d.0/0000:01:00.0";
    tree.device("pci0000:00/0000:00:1d.0", "pci", &[("vendor", "0x8086"), ("device", "0xa330")]);
    tree.device(host, "pci", &[("vendor", "0x144d"), ("device", "0xa808")]).driver(host, "nvme");
    let controller = format!("{host}/nvme/nvme0");
    tree.device(
        &controller,
        "nvme",
        &[("serial", "S4EVNX0M123456      "), ("model", "Samsung SSD 970 EVO Plus 1TB           ")],
    );
    let char = tree.node(&controller, "241:0", "nvme0");
    let disk = format!("{controller}/nvme0n1");
    // Namespaces lie in no folder called `block`.
    tree.device(&disk, "block", &[("wwid", "eui.0025385b91b12345"), ("nsid", "1")]);
    tree.device(&format!("{disk}/nvme0n1p2"), "block", &[("partition", "2")]);
    let generic = format!("{controller}/ng0n1");
    tree.device(&generic, "nvme-generic", &[]);
    let generic = tree.node(&generic, "242:0", "ng0n1");
    let block = |tree: &Tree, path: &str, minor: u32, name: &str| {
        symlink(format!("../../devices/{path}"), tree.path(&format!("sys/dev/block/259:{minor}")))
            .expect("a link");
        tree.file(&format!("sys/devices/{path}/uevent"), format!("DEVNAME={name}\n"))
            .file(&format!("dev/{name}"), "");
        DeviceNumber { kind: DeviceKind::Block, major: 259, minor }
    };
    let namespace = block(&tree, &disk, 0, "nvme0n1");
    let part = block(&tree, &format!("{disk}/nvme0n1p2"), 2, "nvme0n1p2");
    tree.link("disk/by-id/nvme-Samsung_SSD_970_EVO_Plus_1TB_S4EVNX0M123456", "../../nvme0n1");
    expect![[r#"
        block /dev/nvme0n1 block:nvme:S4EVNX0M123456:ns1
        driver nvme
        bus pci
        address 0000:01:00.0
        vendor_id 144d
        product_id a808
        model Samsung SSD 970 EVO Plus 1TB
        serial S4EVNX0M123456
        link /dev/disk/by-id/nvme-Samsung_SSD_970_EVO_Plus_1TB_S4EVNX0M123456
    "#]]
    .assert_eq(&tree.facts(namespace));
    assert_eq!(tree.id(char), "nvme:S4EVNX0M123456");
    assert_eq!(tree.id(part), "block:nvme:S4EVNX0M123456:ns1:part2");
    assert_eq!(tree.id(generic), "nvme:S4EVNX0M123456:ns1:generic");
    // Found second, the drive's first.
    tree.file(&format!("sys/devices/{disk}/nsid"), "2\n");
    assert_eq!(tree.id(part), "block:nvme:S4EVNX0M123456:ns2:part2");
    assert_eq!(tree.id(generic), "nvme:S4EVNX0M123456:ns2:generic");
    // Their blocks, which some commands count in; a partition has its disk's.
    let nodes = [
        (&disk, "259:0"),
        (&format!("{disk}/nvme0n1p2"), "259:2"),
        (&format!("{controller}/ng0n1"), "242:0"),
    ];
    for (path, number) in nodes {
        tree.file(&format!("sys/devices/{path}/dev"), format!("{number}\n"));
    }
    assert_eq!(block_sizes(&tree.sysfs()), [], "the kernel does not say");
    tree.file(&format!("sys/devices/{disk}/queue/logical_block_size"), "4096\n");
    assert_eq!(
        block_sizes(&tree.sysfs()),
        [((2, 259, Some(0)), 4096), ((2, 259, Some(2)), 4096), ((1, 242, Some(0)), 4096)]
    );
    // Namespaces are disks; the class of their controllers selects them too.
    let rows = class_rows(&tree.sysfs(), "nvme").expect("a class");
    assert_eq!(rows, [((2, 259, Some(0)), "block"), ((2, 259, Some(2)), "block")].into());
    let rows = class_rows(&tree.sysfs(), "block").expect("a class");
    assert_eq!(rows.get(&(2, 259, None)), Some(&"block"));
}

#[test]
fn a_disk_behind_usb() {
    let tree = super::usb::host();
    let device = super::usb::plug(&tree, "1-4", ("0781", "5567"), Some("4C530001"));
    let part = format!("{device}/1-4:1.0");
    tree.device(&part, "usb", &[("bInterfaceNumber", "00")]).driver(&part, "usb-storage");
    let target = format!("{part}/host6/target6:0:0/6:0:0:0");
    tree.device(&format!("{part}/host6"), "scsi", &[]);
    tree.device(&format!("{part}/host6/target6:0:0"), "scsi", &[]);
    tree.device(&target, "scsi", &[("vendor", "SanDisk "), ("model", "Cruzer Blade    ")])
        .driver(&target, "sd");
    tree.device(&format!("{target}/block/sdb"), "block", &[]);
    tree.device(&format!("{target}/block/sdb/sdb1"), "block", &[("partition", "1")]);
    tree.device(&format!("{target}/scsi_generic/sg1"), "scsi_generic", &[]);
    tree.device(&format!("{target}/bsg/6:0:0:0"), "bsg", &[]);
    let disk = tree.node(&format!("{target}/block/sdb"), "8:16", "sdb");
    let first = tree.node(&format!("{target}/block/sdb/sdb1"), "8:17", "sdb1");
    let generic = tree.node(&format!("{target}/scsi_generic/sg1"), "21:1", "sg1");
    let bsg = tree.node(&format!("{target}/bsg/6:0:0:0"), "248:1", "bsg/6:0:0:0");
    // A second unit, as card readers have.
    let second = format!("{part}/host6/target6:0:0/6:0:0:1");
    tree.device(&second, "scsi", &[]);
    tree.device(&format!("{second}/block/sdc"), "block", &[]);
    let other = tree.node(&format!("{second}/block/sdc"), "8:32", "sdc");
    expect![[r#"
        block /dev/sdb block:usb:0781:5567:4C530001:if00
        driver sd
        bus usb
        address 1-4:1.0
        vendor_id 0781
        product_id 5567
        vendor FTDI
        model FT232R USB UART
        serial 4C530001
    "#]]
    .assert_eq(&tree.facts(disk));
    assert_eq!(tree.id(first), "block:usb:0781:5567:4C530001:if00:part1");
    assert_eq!(tree.id(generic), "scsi:usb:0781:5567:4C530001:if00");
    assert_eq!(tree.id(bsg), "scsi:usb:0781:5567:4C530001:if00:bsg");
    assert_eq!(tree.id(other), "block:usb:0781:5567:4C530001:if00:1");
}

#[test]
fn a_disk_on_sata_goes_by_its_world_wide_name() {
    let tree = Tree::new();
    let host = "pci0000:00/0000:00:17.0";
    tree.device(host, "pci", &[("vendor", "0x8086"), ("device", "0xa352")]).driver(host, "ahci");
    let unit = format!("{host}/ata1/host0/target0:0:0/0:0:0:0");
    tree.device(
        &unit,
        "scsi",
        &[("wwid", "naa.5000c500a1b2c3d4"), ("vendor", "ATA     "), ("model", "ST1000DM010     ")],
    );
    tree.driver(&unit, "sd");
    tree.file(&format!("sys/devices/{unit}/vpd_pg80"), b"\x00\x80\x00\x0c    ZN1ABCDE\xff\xff");
    tree.device(&format!("{unit}/block/sda"), "block", &[]);
    tree.device(&format!("{unit}/block/sda/sda3"), "block", &[("partition", "3")]);
    let disk = tree.node(&format!("{unit}/block/sda"), "8:0", "sda");
    let part = tree.node(&format!("{unit}/block/sda/sda3"), "8:3", "sda3");
    expect![[r#"
        block /dev/sda block:scsi:naa.5000c500a1b2c3d4
        driver sd
        bus pci
        address 0000:00:17.0
        vendor_id 8086
        product_id a352
        vendor ATA
        model ST1000DM010
        serial ZN1ABCDE
    "#]]
    .assert_eq(&tree.facts(disk));
    assert_eq!(tree.id(part), "block:scsi:naa.5000c500a1b2c3d4:part3");
}

#[test]
fn cards_virtual_disks_and_disks_made_of_others() {
    let tree = Tree::new();
    tree.device("platform/fe340000.mmc", "platform", &[]);
    let card = "platform/fe340000.mmc/mmc_host/mmc0/mmc0:aaaa";
    tree.device(card, "mmc", &[("name", "SC32G"), ("serial", "0x1a2b3c4d")]).driver(card, "mmcblk");
    tree.device(&format!("{card}/block/mmcblk0"), "block", &[]);
    tree.device(&format!("{card}/block/mmcblk0/mmcblk0boot1"), "block", &[]);
    tree.device(&format!("{card}/block/mmcblk0/mmcblk0p2"), "block", &[("partition", "2")]);
    let ids = [("", 0, "mmcblk0"), ("/mmcblk0p2", 2, "mmcblk0p2"), ("/mmcblk0boot1", 8, "mmcblk0boot1")];
    let ids = ids.map(|(below, minor, name)| {
        tree.id(tree.node(&format!("{card}/block/mmcblk0{below}"), &format!("179:{minor}"), name))
    });
    assert_eq!(ids[0], "block:mmc:SC32G:0x1a2b3c4d");
    assert_eq!(ids[1], "block:mmc:SC32G:0x1a2b3c4d:part2");
    assert_eq!(ids[2], "block:mmc:SC32G:0x1a2b3c4d:boot1");
    for (name, number, attribute, expected) in [
        ("dm-0", "253:0", ("dm/uuid", "LVM-abc123"), "block:dm:LVM-abc123"),
        ("md0", "9:0", ("md/uuid", "7e1b:9"), "block:md:7e1b:9"),
        ("loop0", "7:0", ("loop/backing_file", "/srv/disk.img"), "block:loop0"),
    ] {
        let path = format!("virtual/block/{name}");
        tree.device(&path, "block", &[attribute]);
        let device = tree.catalog().describe(tree.node(&path, number, name));
        assert_eq!((device.class, &*device.id), ("block", expected));
    }
    let virtio = "pci0000:00/0000:00:02.0";
    tree.device(virtio, "pci", &[]);
    tree.device(&format!("{virtio}/virtio1"), "virtio", &[])
        .driver(&format!("{virtio}/virtio1"), "virtio_blk");
    for (name, serial, expected) in
        [("vda", "", "block:pci:0000:00:02.0"), ("vdb", "root-7", "block:virtio:root-7")]
    {
        let path = format!("{virtio}/virtio1/block/{name}");
        tree.device(&path, "block", &[("serial", serial)]);
        let number = if name == "vda" { "254:0" } else { "254:16" };
        assert_eq!(tree.id(tree.node(&path, number, name)), expected);
    }
}
