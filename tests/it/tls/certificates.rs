//! An authority of the test's own, and a broker that it vouches for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::mqtt::site::Site;
use crate::support::{Folder, Tracer};

/// A broker that speaks TLS only.
pub(super) struct Encrypted {
    pub(super) site: Site,
    folder: Folder,
}

impl Encrypted {
    pub(super) fn new() -> Self {
        let folder = Folder::new();
        certify(folder.path());
        let lines = ["cafile ca.pem", "certfile broker.pem", "keyfile broker.key"].map(|line| {
            let (option, file) = line.split_once(' ').expect("two words");
            format!("{option} {}\n", folder.path().join(file).display())
        });
        Self { site: Site::with(&lines.concat()), folder }
    }

    /// The authority's certificate.
    pub(super) fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// What mosquitto's clients want to be told.
    pub(super) fn options(&self) -> [String; 2] {
        ["--cafile".to_owned(), self.authority().display().to_string()]
    }

    /// Traces the broker and everybody who uses it, and says which files are hooked.
    pub(super) fn trace(&self, more: &[&str]) -> Tracer {
        trace(&[&["--broker", &self.site.selector(), "--payload", "full"], more].concat())
    }
}

/// Starts a tracer that says which files it hooks.
pub(crate) fn trace(arguments: &[&str]) -> Tracer {
    let arguments = [&["--hooks", "raw"], arguments].concat();
    Tracer::start_with(&arguments, |command| {
        command.env("IOTRAIL_LOG", "iotrail=debug");
    })
}

fn certify(folder: &Path) {
    let extensions =
        "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n";
    fs::write(folder.join("extensions"), extensions).expect("the folder can be written");
    for arguments in [
        "ecparam -name prime256v1 -genkey -noout -out ca.key",
        "req -x509 -new -key ca.key -days 2 -subj /CN=authority -out ca.pem",
        "ecparam -name prime256v1 -genkey -noout -out broker.key",
        "req -new -key broker.key -subj /CN=localhost -out broker.req",
        "x509 -req -in broker.req -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out broker.pem",
    ] {
        let said = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output();
        let said = said.expect("openssl is there: cargo xtask setup");
        assert!(said.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&said.stderr));
    }
}
