//! OTLP/gRPC (OTLP specification, "OTLP/gRPC").

use std::time::Duration;

use bytes::{BufMut, Bytes};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use tonic::client::Grpc as Service;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use super::{ClientError, Reply, chain, read};
use crate::export::config::OtlpConfig;
use crate::export::otlp::SCOPE_VERSION;

/// `TraceService.Export` of `opentelemetry/proto/collector/trace/v1/trace_service.proto`.
const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// Calls `Export`.
pub(crate) struct Grpc {
    channel: Channel,
    metadata: MetadataMap,
    timeout: Duration,
    gzip: bool,
}

impl Grpc {
    pub(super) fn new(config: &OtlpConfig) -> Result<Self, ClientError> {
        let wrong = |error: &dyn std::error::Error| ClientError::settings(config, error);
        let mut endpoint = Endpoint::from_shared(config.endpoint.clone())
            .and_then(|endpoint| endpoint.user_agent(format!("iotrail/{SCOPE_VERSION}")))
            .map_err(|error| wrong(&error))?
            .connect_timeout(config.timeout);
        if config.endpoint.starts_with("https://") {
            let mut tls = ClientTlsConfig::new();
            tls = match &config.certificate {
                Some(path) => tls.ca_certificate(Certificate::from_pem(read(path)?)),
                None => tls.with_native_roots(),
            };
            if let (Some(certificate), Some(key)) = (&config.client_certificate, &config.client_key) {
                tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
            }
            endpoint = endpoint.tls_config(tls).map_err(|error| wrong(&error))?;
        }
        let mut metadata = MetadataMap::new();
        for (name, value) in &config.headers {
            // Metadata keys are lower case (gRPC over HTTP/2).
            let name = name.to_ascii_lowercase();
            let name = AsciiMetadataKey::from_bytes(name.as_bytes()).map_err(|error| wrong(&error))?;
            let value = AsciiMetadataValue::try_from(value.as_str()).map_err(|error| wrong(&error))?;
            metadata.insert(name, value);
        }
        Ok(Self { channel: endpoint.connect_lazy(), metadata, timeout: config.timeout, gzip: config.gzip })
    }

    pub(super) async fn send(&self, body: Bytes) -> Reply {
        let mut service = Service::new(self.channel.clone()).accept_compressed(CompressionEncoding::Gzip);
        if self.gzip {
            service = service.send_compressed(CompressionEncoding::Gzip);
        }
        let call = async {
            service.ready().await.map_err(|error| Status::unavailable(chain(&error)))?;
            let mut request = Request::new(body);
            *request.metadata_mut() = self.metadata.clone();
            request.set_timeout(self.timeout);
            service.unary(request, PathAndQuery::from_static(EXPORT), Encoded).await
        };
        match tokio::time::timeout(self.timeout, call).await {
            Ok(Ok(response)) => Reply::taken(response.into_inner()),
            Ok(Err(status)) => classify(&status),
            Err(_) => Reply::Later { after: None, why: format!("no answer within {:?}", self.timeout) },
        }
    }
}

/// Which failures may be repeated (OTLP specification, "Failures").
pub(super) fn classify(status: &Status) -> Reply {
    let asked = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let source = std::error::Error::source(status).map(chain).filter(|why| !why.is_empty());
    let message = source.unwrap_or_else(|| status.message().to_owned());
    let why = format!("the collector answers {:?}: {message}", status.code());
    match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => Reply::Later { after: asked, why },
        // Exhausted for good, unless it says when there will be room again.
        Code::ResourceExhausted if asked.is_some() => Reply::Later { after: asked, why },
        _ => Reply::Refused { why },
    }
}

/// Requests that are encoded already: a repetition costs no second encoding.
struct Encoded;

impl Codec for Encoded {
    type Encode = Bytes;
    type Decode = ExportTraceServiceResponse;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Encoded {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }
}

impl Decoder for Encoded {
    type Item = ExportTraceServiceResponse;
    type Error = Status;

    fn decode(&mut self, input: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        prost::Message::decode(input).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
