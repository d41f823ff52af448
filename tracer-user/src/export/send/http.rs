//! OTLP/HTTP (OTLP specification, "OTLP/HTTP").

use std::io::Write;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use reqwest::header::{
    CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Identity, Response, StatusCode};

use super::{ClientError, Reply, chain, read};
use crate::export::config::{OtlpConfig, Protocol};
use crate::export::otlp::SCOPE_VERSION;

/// Most bytes of an answer that are read: an `ExportTraceServiceResponse` is short.
const ANSWER_BYTES: usize = 64 * 1024;

/// Sends with POST.
pub(crate) struct Http {
    client: reqwest::Client,
    url: reqwest::Url,
    json: bool,
    gzip: bool,
}

impl Http {
    pub(super) fn new(config: &OtlpConfig) -> Result<Self, ClientError> {
        let wrong = |error: &dyn std::error::Error| ClientError::settings(config, error);
        let url = reqwest::Url::parse(&config.endpoint).map_err(|error| wrong(&error))?;
        let json = config.protocol == Protocol::HttpJson;

        let mut headers = HeaderMap::new();
        let agent = format!("iotrail/{SCOPE_VERSION}");
        headers.insert(USER_AGENT, HeaderValue::from_str(&agent).map_err(|error| wrong(&error))?);
        for (name, value) in &config.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| wrong(&error))?;
            let mut value = HeaderValue::from_str(value).map_err(|error| wrong(&error))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let kind = if json { "application/json" } else { "application/x-protobuf" };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        if config.gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }

        let mut builder = reqwest::Client::builder()
            .default_headers(headers)
            .timeout(config.timeout)
            // A redirected POST becomes a GET.
            .redirect(Policy::none());
        if let Some(path) = &config.certificate {
            let bundle = Certificate::from_pem_bundle(&read(path)?).map_err(|error| wrong(&error))?;
            builder = builder.tls_built_in_root_certs(false);
            for certificate in bundle {
                builder = builder.add_root_certificate(certificate);
            }
        }
        if let (Some(certificate), Some(key)) = (&config.client_certificate, &config.client_key) {
            let pem = [read(certificate)?, read(key)?].concat();
            builder = builder.identity(Identity::from_pem(&pem).map_err(|error| wrong(&error))?);
        }
        let client = builder.build().map_err(|error| wrong(&error))?;
        Ok(Self { client, url, json, gzip: config.gzip })
    }

    pub(super) fn body(&self, body: Vec<u8>) -> Bytes {
        if !self.gzip {
            return body.into();
        }
        let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
        encoder.write_all(&body).expect("writing to memory does not fail");
        encoder.finish().expect("writing to memory does not fail").into()
    }

    pub(super) async fn send(&self, body: Bytes) -> Reply {
        let request = self.client.post(self.url.clone()).body(body);
        let response = match request.send().await {
            Ok(response) => response,
            // Not reached, or no answer in time: the specification lets these be repeated.
            Err(error) => return Reply::Later { after: None, why: chain(&error.without_url()) },
        };
        let status = response.status();
        let after = response.headers().get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?));
        let answer = beginning(response).await;
        if status.is_success() {
            return self.taken(&answer);
        }
        let why = format!("the collector answers {status}{}", said(&answer));
        match status {
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Reply::Later { after, why },
            _ => Reply::Refused { why },
        }
    }

    /// An answer that cannot be read does not undo its success.
    fn taken(&self, answer: &[u8]) -> Reply {
        let response = if self.json {
            serde_json::from_slice(answer).unwrap_or_default()
        } else {
            ExportTraceServiceResponse::decode(answer).unwrap_or_default()
        };
        Reply::taken(response)
    }
}

async fn beginning(mut response: Response) -> Vec<u8> {
    let mut answer = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = ANSWER_BYTES - answer.len();
        answer.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        if answer.len() >= ANSWER_BYTES {
            break;
        }
    }
    answer
}

/// A refusal in words, if the answer has any for people.
fn said(answer: &[u8]) -> String {
    const WORDS: usize = 200;
    let text = String::from_utf8_lossy(answer);
    let text: String = text.trim().chars().filter(|char| !char.is_control()).take(WORDS).collect();
    if text.is_empty() { text } else { format!(": {text}") }
}

/// `Retry-After`: seconds or a date (RFC 9110, section 10.2.3).
pub(super) fn retry_after(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value.trim()).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}
