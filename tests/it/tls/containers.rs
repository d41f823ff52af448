//! A program with a root directory of its own, as in a container: its library is another file than the host's.

use std::process::Command;
use std::time::{Duration, Instant};

use super::certificates::Encrypted;
use crate::mqtt::check::Truth;
use crate::support::{Folder, PATIENCE};

/// Mounts an empty file system on `$1`, copies to it the program `$2` with its libraries and the file `$3`, and becomes the
/// program there with the other arguments. The mount is seen by nobody else and ends with it.
const CONTAINER: &str = r#"
set -e
root=$1 program=$(command -v "$2") file=$3
shift 3
mount -t tmpfs tmpfs "$root"
for needed in "$program" $(ldd "$program" | grep -o '/[^ ]*') "$file"; do
    mkdir -p "$root$(dirname "$needed")"
    cp -L "$needed" "$root$needed"
done
exec chroot "$root" "$program" "$@"
"#;

#[test]
fn a_library_on_a_root_of_its_own() {
    let broker = Encrypted::new();
    let (site, root) = (&broker.site, Folder::new());
    let authority = broker.authority().display().to_string();
    let tracer = broker.trace(&[]);
    let hooked = || tracer.log().matches(") is seen from now on").count();
    tracer.wait_log(" tracing\n");
    let before = hooked();
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", CONTAINER, "sh"]).arg(root.path());
    command.args([
        "mosquitto_sub",
        &authority,
        "-h",
        "127.0.0.1",
        "-p",
        &site.broker.port.to_string(),
        "-i",
        "boxed",
    ]);
    command.args(["--cafile", &authority, "-t", "tls/box", "-q", "1", "-F", "%t %l %p", "-C", "8"]);
    let mut subscriber = site.start("boxed", "tls/box", &mut command);
    site.wait_for_log(" boxed 1 tls/box");
    let start = Instant::now();
    while hooked() == before {
        assert!(start.elapsed() < PATIENCE, "its library is not hooked: {}", tracer.log());
        std::thread::sleep(Duration::from_millis(10));
    }
    let options = broker.options();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let mut publisher = site.publisher_with("pub", "tls/box", 1, &options);
    publisher.give_numbers(0..8, 20);
    publisher.finish();
    subscriber.finish();
    let outcome = tracer.stop();
    let truth = Truth::whole(site.broker.process.pid());
    truth.publisher(&publisher).subscriber(&subscriber, 1).check(&outcome.spans);
    assert_eq!(outcome.count("tls.readable"), outcome.count("tls.connections"), "{}", outcome.log);
}
