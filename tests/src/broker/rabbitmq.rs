//! A RabbitMQ node.

use super::{Certificates, free_port, wait_until_ready};
use crate::process::Running;
use anyhow::{Context as _, Result};
use std::{fs, path::Path, process::Command};

/// The script itself: the one in `/usr/sbin` switches to an account that may not use another folder.
const SCRIPT: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// A running RabbitMQ node.
#[derive(Debug)]
pub struct RabbitMq {
    /// The process: Erlang's virtual machine.
    pub process: Running,
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// Its port for TLS, if it has certificates.
    pub tls_port: Option<u16>,
    /// The node's own name server, which would else be started in the background and stay.
    _names: Running,
}

impl RabbitMq {
    /// Starts one with everything that it keeps in `folder`.
    ///
    /// # Errors
    /// When the program is missing or is not ready in time.
    pub fn start(folder: &Path, tls: Option<&Certificates>) -> Result<Self> {
        Self::start_with(folder, tls, "", "")
    }

    /// Starts one with more lines of configuration, and plugins, separated by commas.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with(folder: &Path, tls: Option<&Certificates>, more: &str, plugins: &str) -> Result<Self> {
        let port = free_port()?;
        let tls_port = tls.map(|_| free_port()).transpose()?;
        let mut config = format!(
            "listeners.tcp.1 = 127.0.0.1:{port}\nlog.console = true\nlog.file = false\n\
             disk_free_limit.absolute = 10MB\n{more}"
        );
        if let (Some(Certificates { authority, certificate, key }), Some(port)) = (tls, tls_port) {
            config += &format!(
                "listeners.ssl.1 = 127.0.0.1:{port}\nssl_options.cacertfile = {}\nssl_options.certfile = {}\n\
                 ssl_options.keyfile = {}\nssl_options.verify = verify_none\n",
                authority.display(),
                certificate.display(),
                key.display()
            );
        }
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            anyhow::Ok(path)
        };
        let (config, plugins) =
            (write("rabbitmq.conf", &config)?, write("plugins", &format!("[{plugins}].\n"))?);
        let names_port = free_port()?.to_string();
        let mut epmd = Command::new("epmd");
        epmd.args(["-port", &names_port, "-address", "127.0.0.1"]);
        let names = Running::start_logged("epmd", &mut epmd, &folder.join("epmd.log"))?;
        let log = folder.join("rabbitmq.log");
        let mut command = Command::new(SCRIPT);
        command
            .env("HOME", folder)
            .env("RABBITMQ_NODENAME", format!("iotrail{port}@localhost"))
            .env("RABBITMQ_MNESIA_BASE", folder.join("mnesia"))
            .env("RABBITMQ_LOG_BASE", folder.join("log"))
            .env("RABBITMQ_CONFIG_FILE", config)
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", plugins)
            .env("RABBITMQ_PID_FILE", folder.join("pid"))
            .env("RABBITMQ_DIST_PORT", free_port()?.to_string())
            .env("ERL_EPMD_PORT", &names_port)
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}")
            // The shell becomes the virtual machine: there is one process to trace and to stop.
            .env("RUNNING_UNDER_SYSTEMD", "1");
        let mut process = Running::start_logged("rabbitmq-server", &mut command, &log)?;
        wait_until_ready(&mut process, &log, "Server startup complete")?;
        Ok(Self { process, port, tls_port, _names: names })
    }
}
