//! `OTEL_EXPORTER_OTLP_*` and `OTEL_RESOURCE_ATTRIBUTES` (OpenTelemetry specification, "OpenTelemetry Protocol
//! Exporter" and "General SDK Configuration").
//!
//! For each option the variable of the traces signal wins over the general one; an empty variable is as good
//! as none.

use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;

/// How spans travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP with protobuf.
    HttpProtobuf,
    /// OTLP/HTTP with JSON.
    HttpJson,
}

/// Where to send spans, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpConfig {
    /// How they travel.
    pub protocol: Protocol,
    /// For HTTP the whole URL, for gRPC scheme, host and port.
    pub endpoint: String,
    /// Sent with each request.
    pub headers: Vec<(String, String)>,
    /// Longest time that one request may take.
    pub timeout: Duration,
    /// Whether requests are compressed with gzip.
    pub gzip: bool,
    /// File with the CA certificates to trust, PEM.
    pub certificate: Option<PathBuf>,
    /// File with the client's certificate chain, PEM.
    pub client_certificate: Option<PathBuf>,
    /// File with the client's key, PEM.
    pub client_key: Option<PathBuf>,
    /// `OTEL_RESOURCE_ATTRIBUTES`.
    pub resource: Vec<(String, String)>,
}

/// A variable that says nothing sensible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot use {variable}={value}: {remedy}")]
pub struct ConfigError {
    /// Which.
    pub variable: String,
    /// What it says.
    pub value: String,
    /// What it should say.
    pub remedy: &'static str,
}

/// Time limit of a request without `OTEL_EXPORTER_OTLP_TIMEOUT`, as the specification has it.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

impl OtlpConfig {
    /// Reads the variables through `get` (in the program: `|name| std::env::var(name).ok()`).
    ///
    /// # Errors
    /// If a variable has a value that is not understood. The specification would have it ignored with a
    /// warning; spans that silently go elsewhere help nobody.
    pub fn from_env(get: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let env = Env { get };
        let protocol = match env.option("PROTOCOL") {
            None => Protocol::HttpProtobuf,
            Some((name, value)) => match value.as_str() {
                "grpc" => Protocol::Grpc,
                "http/protobuf" => Protocol::HttpProtobuf,
                "http/json" => Protocol::HttpJson,
                _ => return Err(error(&name, value, "use grpc, http/protobuf or http/json")),
            },
        };
        let timeout = match env.option("TIMEOUT") {
            None => DEFAULT_TIMEOUT,
            Some((name, value)) => match value.parse() {
                Ok(millis) => Duration::from_millis(millis),
                Err(_) => return Err(error(&name, value, "use a number of milliseconds")),
            },
        };
        let gzip = match env.option("COMPRESSION") {
            None => false,
            Some((name, value)) => match value.as_str() {
                "gzip" => true,
                "none" => false,
                _ => return Err(error(&name, value, "use gzip or none")),
            },
        };
        let path = |option| env.option(option).map(|(_, value)| PathBuf::from(value));
        Ok(Self {
            protocol,
            endpoint: env.endpoint(protocol)?,
            headers: env.option("HEADERS").map_or(Ok(Vec::new()), |(name, value)| pairs(&name, &value))?,
            timeout,
            gzip,
            certificate: path("CERTIFICATE"),
            client_certificate: path("CLIENT_CERTIFICATE"),
            client_key: path("CLIENT_KEY"),
            resource: env
                .variable("OTEL_RESOURCE_ATTRIBUTES")
                .map_or(Ok(Vec::new()), |value| pairs("OTEL_RESOURCE_ATTRIBUTES", &value))?,
        })
    }
}

struct Env<F> {
    get: F,
}

impl<F: Fn(&str) -> Option<String>> Env<F> {
    fn variable(&self, name: &str) -> Option<String> {
        (self.get)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The value for traces, else the general one, with the variable's name.
    fn option(&self, option: &str) -> Option<(String, String)> {
        [format!("OTEL_EXPORTER_OTLP_TRACES_{option}"), format!("OTEL_EXPORTER_OTLP_{option}")]
            .into_iter()
            .find_map(|name| self.variable(&name).map(|value| (name, value)))
    }

    fn endpoint(&self, protocol: Protocol) -> Result<String, ConfigError> {
        let given = self.option("ENDPOINT");
        if protocol == Protocol::Grpc {
            let Some((name, value)) = given else { return Ok("http://localhost:4317".to_owned()) };
            if value.contains("://") {
                return check(&name, &value, value.clone());
            }
            // Without a scheme it is `..._INSECURE` that decides.
            let insecure =
                self.option("INSECURE").is_some_and(|(_, value)| value.eq_ignore_ascii_case("true"));
            let scheme = if insecure { "http" } else { "https" };
            return check(&name, &value, format!("{scheme}://{value}"));
        }
        let Some((name, value)) = given else { return Ok("http://localhost:4318/v1/traces".to_owned()) };
        // The traces' own endpoint is used as it is, the general one is a base.
        if name == "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" {
            return check(&name, &value, value.clone());
        }
        check(&name, &value, format!("{}/v1/traces", value.trim_end_matches('/')))
    }
}

fn check(name: &str, given: &str, url: String) -> Result<String, ConfigError> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    if rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/')) {
        Ok(url)
    } else {
        Err(error(name, given.to_owned(), "use a URL such as http://localhost:4318"))
    }
}

/// `key=value,key=value` with percent encoding (W3C Baggage without its metadata).
fn pairs(name: &str, text: &str) -> Result<Vec<(String, String)>, ConfigError> {
    text.split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            // The value may be a secret: the message does not repeat it.
            let wrong = || error(name, "…".to_owned(), "use key=value,key=value with percent encoding");
            let (key, value) = pair.split_once('=').ok_or_else(wrong)?;
            let key = key.trim();
            let value = percent_decode_str(value.trim()).decode_utf8().map_err(|_| wrong())?;
            if key.is_empty() { Err(wrong()) } else { Ok((key.to_owned(), value.into_owned())) }
        })
        .collect()
}

fn error(variable: &str, value: String, remedy: &'static str) -> ConfigError {
    ConfigError { variable: variable.to_owned(), value, remedy }
}

#[cfg(test)]
mod tests;
