//! Links, and what is hidden of them.

use super::*;

/// A converter with links; its number.
fn converter() -> (Tree, DeviceNumber) {
    let tree = super::usb::host();
    let device = super::usb::plug(&tree, "1-1.2", ("0403", "6001"), Some("FT123"));
    let number = super::usb::converter(&tree, &device, "1-1.2", "0", 0);
    tree.link("serial/by-id/usb-FTDI_FT123", "../../ttyUSB0")
        .link("serial/by-path/usb-0:1.2", "/dev/ttyUSB0");
    tree.link("serial/by-id/outside", "../../../ttyUSB0").link("serial/by-weather/sunny", "../../ttyUSB0");
    (tree, number)
}

#[test]
fn only_links_that_lead_to_the_node_and_stay_are_told() {
    let (tree, number) = converter();
    let links = tree.catalog().describe(number).identity.links;
    let links: Vec<&str> = links.iter().map(|link| &**link).collect();
    assert_eq!(links, ["/dev/serial/by-id/usb-FTDI_FT123", "/dev/serial/by-path/usb-0:1.2"]);
}

#[test]
fn hidden_ids_hide_everything_that_tells_the_piece_and_stay_the_same() {
    let (tree, number) = converter();
    let hidden = |key| facts(&Catalog::new(tree.sysfs(), Some(IdKey::new([key; 16]))).describe(number));
    let text = hidden(1);
    assert!(!text.contains("FT123"), "{text}");
    assert!(text.contains("model FT232R") && text.contains("/dev/serial/by-path/usb-0:1.2"), "{text}");
    let id = text.split([' ', '\n']).nth(2).expect("an id");
    let (class, rest) = id.split_once(':').expect("a class");
    assert!(class == "tty" && rest.len() == 16 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert_eq!(text, hidden(1), "the same key, the same id");
    assert_ne!(text, hidden(2), "another host, another id");
}

#[test]
fn two_pieces_stay_two_when_hidden() {
    let (tree, first) = converter();
    let device = super::usb::plug(&tree, "1-4", ("0403", "6001"), Some("FT124"));
    let second = super::usb::converter(&tree, &device, "1-4", "0", 1);
    let catalog = Catalog::new(tree.sysfs(), Some(IdKey::new([7; 16])));
    assert_ne!(catalog.describe(first).id, catalog.describe(second).id);
}
