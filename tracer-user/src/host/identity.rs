//! Which host this is.

use std::fs;
use std::sync::Arc;

/// `host.name` and `host.id` as OpenTelemetry has them.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Name of the host.
    pub name: Arc<str>,
    /// `/etc/machine-id`, else the kernel's boot id.
    pub id: Arc<str>,
}

impl Identity {
    /// Reads them; what cannot be read is `unknown`.
    #[must_use]
    pub fn read() -> Self {
        let first = |paths: &[&str]| {
            let found = paths.iter().find_map(|path| {
                let text = fs::read_to_string(path).ok()?;
                let text = text.trim();
                (!text.is_empty()).then(|| Arc::from(text))
            });
            found.unwrap_or_else(|| Arc::from("unknown"))
        };
        Self {
            name: first(&["/proc/sys/kernel/hostname", "/etc/hostname"]),
            id: first(&["/etc/machine-id", "/var/lib/dbus/machine-id", "/proc/sys/kernel/random/boot_id"]),
        }
    }
}
