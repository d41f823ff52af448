//! Collectors for the tests: they answer by a script, then with success.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tonic::codec::CompressionEncoding;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Status};

/// What the tests see of a collector.
pub(super) struct Collector<A> {
    pub(super) url: String,
    /// Answers to come before success.
    pub(super) script: Mutex<VecDeque<A>>,
    /// What was received: path, headers, spans per resource.
    pub(super) received: Mutex<Vec<(String, HeaderMap, ExportTraceServiceRequest)>>,
    /// Each answer takes one permit.
    pub(super) gate: Semaphore,
}

impl<A> Collector<A> {
    async fn new(script: Vec<A>) -> (Arc<Self>, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let collector = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            script: Mutex::new(script.into()),
            received: Mutex::default(),
            gate: Semaphore::new(1000),
        };
        (Arc::new(collector), listener)
    }

    async fn take(&self, path: String, headers: HeaderMap, request: ExportTraceServiceRequest) -> Option<A> {
        self.gate.acquire().await.unwrap().forget();
        self.received.lock().unwrap().push((path, headers, request));
        self.script.lock().unwrap().pop_front()
    }

    /// How many spans came in each request.
    pub(super) fn sizes(&self) -> Vec<usize> {
        let received = self.received.lock().unwrap();
        let scopes = |request: &ExportTraceServiceRequest| {
            let resources = request.resource_spans.iter();
            resources.flat_map(|resource| &resource.scope_spans).map(|scope| scope.spans.len()).sum()
        };
        received.iter().map(|(_, _, request)| scopes(request)).collect()
    }
}

pub(super) fn partial(rejected_spans: i64) -> ExportTraceServiceResponse {
    let partial_success = Some(ExportTracePartialSuccess { rejected_spans, error_message: "too old".into() });
    ExportTraceServiceResponse { partial_success }
}

/// Status, `Retry-After`, body.
pub(super) type HttpAnswer = (u16, Option<&'static str>, Vec<u8>);

pub(super) async fn http(script: Vec<HttpAnswer>) -> Arc<Collector<HttpAnswer>> {
    let (collector, listener) = Collector::new(script).await;
    let router =
        Router::new().fallback(answer).layer(DefaultBodyLimit::disable()).with_state(Arc::clone(&collector));
    tokio::spawn(async move { axum::serve(listener, router).await });
    collector
}

async fn answer(
    State(collector): State<Arc<Collector<HttpAnswer>>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut bytes = body.to_vec();
    if headers.get("content-encoding").is_some_and(|value| value == "gzip") {
        bytes = Vec::new();
        flate2::read::GzDecoder::new(body.as_ref()).read_to_end(&mut bytes).unwrap();
    }
    let request = if headers["content-type"] == "application/json" {
        serde_json::from_slice(&bytes).unwrap()
    } else {
        ExportTraceServiceRequest::decode(bytes.as_slice()).unwrap()
    };
    let scripted = collector.take(uri.path().to_owned(), headers, request).await;
    let (status, after, body) = scripted.unwrap_or((200, None, Vec::new()));
    let mut headers = HeaderMap::new();
    if let Some(after) = after {
        headers.insert("retry-after", after.parse().unwrap());
    }
    (StatusCode::from_u16(status).unwrap(), headers, body).into_response()
}

pub(super) type GrpcAnswer = Result<ExportTraceServiceResponse, Status>;

struct Service(Arc<Collector<GrpcAnswer>>);

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let scripted = self.0.take(String::new(), metadata.into_headers(), request).await;
        scripted.unwrap_or_else(|| Ok(ExportTraceServiceResponse::default())).map(tonic::Response::new)
    }
}

pub(super) async fn grpc(script: Vec<GrpcAnswer>) -> Arc<Collector<GrpcAnswer>> {
    let (collector, listener) = Collector::new(script).await;
    let service =
        TraceServiceServer::new(Service(Arc::clone(&collector))).accept_compressed(CompressionEncoding::Gzip);
    let server = tonic::transport::Server::builder().add_service(service);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    collector
}
