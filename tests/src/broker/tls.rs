//! Certificates for brokers that speak TLS.

use anyhow::{Context as _, Result, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A certificate of `localhost`, with its key and with the authority that signed it, as PEM files.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// What clients trust.
    pub authority: PathBuf,
    /// What the broker shows.
    pub certificate: PathBuf,
    /// The broker's key.
    pub key: PathBuf,
}

impl Certificates {
    /// Makes new ones in `folder`, with the command-line tool of OpenSSL.
    ///
    /// # Errors
    /// When that tool is missing or fails.
    pub fn make(folder: &Path) -> Result<Self> {
        let file = |name: &str| folder.join(name).display().to_string();
        let (authority, authority_key) = (file("authority.pem"), file("authority.key"));
        let (request, certificate, key) = (file("request.pem"), file("certificate.pem"), file("key.pem"));
        let extensions = file("extensions");
        fs::write(&extensions, "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")?;
        let new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout"];
        let days = ["-days", "30"];
        openssl(
            &["req", "-x509", "-subj", "/CN=tests", "-out", &authority],
            &[&new_key, &[&authority_key], &days],
        )?;
        openssl(&["req", "-subj", "/CN=localhost", "-out", &request], &[&new_key, &[&key]])?;
        openssl(
            &[
                "x509",
                "-req",
                "-in",
                &request,
                "-CA",
                &authority,
                "-CAkey",
                &authority_key,
                "-CAcreateserial",
            ],
            &[&["-extfile", &extensions, "-out", &certificate], &days],
        )?;
        Ok(Self { authority: authority.into(), certificate: certificate.into(), key: key.into() })
    }

    /// Key and certificate in one file, for programs that want it so.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn in_one_file(&self) -> Result<PathBuf> {
        let path = self.key.with_file_name("both.pem");
        let text = fs::read_to_string(&self.key)? + &fs::read_to_string(&self.certificate)?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}

fn openssl(command: &[&str], more: &[&[&str]]) -> Result<()> {
    let mut openssl = Command::new("openssl");
    openssl.args(command).stdin(Stdio::null());
    for arguments in more {
        openssl.args(*arguments);
    }
    let output = openssl.output().context("cannot start openssl")?;
    ensure!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_vouches_for_the_certificate() {
        let folder = std::env::temp_dir().join(format!("iotrail-certificates-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let made = Certificates::make(&folder).unwrap();
        let (authority, certificate) = (made.authority.to_str().unwrap(), made.certificate.to_str().unwrap());
        openssl(&["verify", "-CAfile", authority, certificate], &[]).unwrap();
        assert!(fs::read_to_string(made.in_one_file().unwrap()).unwrap().contains("BEGIN PRIVATE KEY"));
        fs::remove_dir_all(&folder).unwrap();
    }
}
