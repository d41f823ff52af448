//! A NATS server.

use super::{Certificates, free_port, wait_until_ready};
use crate::process::Running;
use anyhow::{Context as _, Result};
use std::{fs, path::Path, process::Command};

/// A running NATS server with JetStream.
#[derive(Debug)]
pub struct Nats {
    /// The process.
    pub process: Running,
    /// Its port on 127.0.0.1.
    pub port: u16,
}

impl Nats {
    /// Starts one with its configuration, log and streams in `folder`; it demands TLS if there are certificates.
    ///
    /// # Errors
    /// When the program is missing or is not ready in time.
    pub fn start(folder: &Path, tls: Option<&Certificates>) -> Result<Self> {
        let port = free_port()?;
        let config = folder.join("nats.conf");
        // The default limit of a message is exactly 1 MiB.
        let mut text = format!(
            "listen: 127.0.0.1:{port}\nmax_payload: 4MB\njetstream {{ store_dir: \"{}\" }}\n",
            folder.join("streams").display()
        );
        if let Some(Certificates { certificate, key, .. }) = tls {
            text += &format!(
                "tls {{ cert_file: \"{}\", key_file: \"{}\" }}\n",
                certificate.display(),
                key.display()
            );
        }
        fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;
        let log = folder.join("nats.log");
        let mut process =
            Running::start_logged("nats-server", Command::new("nats-server").arg("-c").arg(&config), &log)?;
        wait_until_ready(&mut process, &log, "Server is ready")?;
        Ok(Self { process, port })
    }
}
