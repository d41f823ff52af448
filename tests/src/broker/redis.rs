//! A Redis server.

use super::{Certificates, free_port, wait_until_ready};
use crate::process::Running;
use anyhow::Result;
use std::{path::Path, process::Command};

/// A running Redis server that keeps nothing on disk.
#[derive(Debug)]
pub struct Redis {
    /// The process.
    pub process: Running,
    /// Its port on 127.0.0.1.
    pub port: u16,
}

impl Redis {
    /// Starts one with its log in `folder`; it demands TLS if there are certificates.
    ///
    /// # Errors
    /// When the program is missing or is not ready in time.
    pub fn start(folder: &Path, tls: Option<&Certificates>) -> Result<Self> {
        let port = free_port()?;
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"]).arg(folder);
        match tls {
            None => command.args(["--port", &port.to_string()]),
            Some(Certificates { authority, certificate, key }) => command
                .args(["--port", "0", "--tls-port", &port.to_string(), "--tls-auth-clients", "no"])
                .arg("--tls-cert-file")
                .arg(certificate)
                .arg("--tls-key-file")
                .arg(key)
                .arg("--tls-ca-cert-file")
                .arg(authority),
        };
        let log = folder.join("redis.log");
        let mut process = Running::start_logged("redis-server", &mut command, &log)?;
        wait_until_ready(&mut process, &log, "Ready to accept connections")?;
        Ok(Self { process, port })
    }
}
