//! Installing Debian packages.

use super::brokers;
use crate::{cmd, workspace::Workspace};
use anyhow::{Result, bail, ensure};
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
};

/// Whether a package is installed.
pub(super) fn installed(package: &str) -> bool {
    let status =
        cmd::answer(Command::new("dpkg-query").args(["--show", "--showformat=${db:Status-Status}", package]));
    status.is_some_and(|status| status == "installed")
}

/// Installs packages, with a fresh list of packages only if the one that is there does not do.
pub(super) fn install(workspace: &Workspace, packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    ensure!(
        cmd::which("apt-get").is_some(),
        "no Debian (no apt-get): install what is listed above with this system's own packages, then run again"
    );
    ensure!(
        rustix::process::geteuid().is_root(),
        "only root can install packages: `sudo apt-get install --no-install-recommends {list}`, then run again"
    );
    let mut fresh = false;
    if packages.iter().any(|package| !known(package)) {
        update(workspace)?;
        fresh = true;
    }
    if let Some(package) = packages.iter().find(|package| !known(package)) {
        if cmd::tail(&workspace.own("apt-update.log")).iter().any(|line| cmd::no_network(line)) {
            bail!("no network: apt-get could not download its lists, so {list} cannot be installed");
        }
        bail!(
            "this Debian has no package {package}; instead of Debian's compiler you can have {}, then run again",
            super::WITHOUT_DEBIAN
        );
    }
    let doing = "installing Debian packages";
    let get = || {
        let mut get = Command::new("apt-get");
        get.env("DEBIAN_FRONTEND", "noninteractive")
            .args(["install", "--yes", "--no-install-recommends", "--no-remove", "-oDPkg::Lock::Timeout=300"])
            .args(packages);
        get
    };
    let services = NoServices::new();
    let done = if fresh {
        cmd::quiet(workspace, doing, "apt-install", &mut get())
    } else if cmd::logged(workspace, doing, "apt-install", &mut get())?.success() {
        Ok(())
    } else {
        update(workspace)?;
        cmd::quiet(workspace, doing, "apt-install", &mut get())
    };
    drop(services);
    for (package, service) in brokers::SERVICES {
        if packages.contains(&package) {
            stop_service(workspace, service)?;
        }
    }
    done
}

/// While it is there, packages that are installed start no services (Debian policy, 9.3.3.3).
struct NoServices(Option<&'static Path>);

impl NoServices {
    const POLICY: &'static str = "/usr/sbin/policy-rc.d";

    fn new() -> Self {
        let path = Path::new(Self::POLICY);
        // A policy of somebody else's stands; services that start all the same are stopped afterwards.
        let is_ours = !path.exists()
            && fs::write(path, "#!/bin/sh\nexit 101\n").is_ok()
            && fs::set_permissions(path, Permissions::from_mode(0o755)).is_ok();
        Self(is_ours.then_some(path))
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if let Some(path) = self.0
            && let Err(err) = fs::remove_file(path)
        {
            eprintln!("setup: remove {} yourself, it keeps services from starting: {err}", path.display());
        }
    }
}

/// Whether apt knows a version of the package that it could install.
fn known(package: &str) -> bool {
    let policy = cmd::answer(Command::new("apt-cache").env("LC_ALL", "C").args(["policy", package]));
    policy.is_some_and(|policy| {
        policy
            .lines()
            .any(|line| line.trim().strip_prefix("Candidate: ").is_some_and(|version| version != "(none)"))
    })
}

/// Fetches the lists of packages; apt-get says of itself that all is well when it could not reach one.
fn update(workspace: &Workspace) -> Result<()> {
    let mut get = Command::new("apt-get");
    get.args(["update", "-oDPkg::Lock::Timeout=300"]);
    cmd::logged(workspace, "updating the list of Debian packages", "apt-update", &mut get)?;
    Ok(())
}

/// Stops a service that a package of ours started, now and at the next boot.
fn stop_service(workspace: &Workspace, service: &str) -> Result<()> {
    let commands: &[&[&str]] = if Path::new("/run/systemd/system").is_dir() {
        &[&["systemctl", "disable", "--now"]]
    } else {
        &[&["invoke-rc.d"], &["update-rc.d"]]
    };
    for command in commands {
        let [program, arguments @ ..] = command else { continue };
        let Some(program_path) = cmd::which(program) else { continue };
        let mut stop = Command::new(program_path);
        stop.args(arguments).arg(service);
        match *program {
            "invoke-rc.d" => stop.arg("stop"),
            "update-rc.d" => stop.arg("disable"),
            _ => &mut stop,
        };
        // A service that was never started is not an error.
        cmd::logged(workspace, &format!("stopping the service {service}"), "service", &mut stop)?;
    }
    Ok(())
}
