//! The environment as the specification has it.

use super::*;

fn read(variables: &[(&str, &str)]) -> Result<OtlpConfig, ConfigError> {
    OtlpConfig::from_env(|name| {
        variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    })
}

const BASE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";

#[test]
fn nothing_set() {
    assert_eq!(
        read(&[]).unwrap(),
        OtlpConfig {
            protocol: Protocol::HttpProtobuf,
            endpoint: "http://localhost:4318/v1/traces".into(),
            headers: vec![],
            timeout: Duration::from_secs(10),
            gzip: false,
            certificate: None,
            client_certificate: None,
            client_key: None,
            resource: vec![],
        }
    );
}

#[test]
fn endpoints() {
    let insecure = ("OTEL_EXPORTER_OTLP_INSECURE", "true");
    for (variables, expected) in [
        (vec![(BASE, "http://collector:4318")], "http://collector:4318/v1/traces"),
        (vec![(BASE, "https://collector/otlp/")], "https://collector/otlp/v1/traces"),
        (vec![(TRACES, "http://collector:4318/custom")], "http://collector:4318/custom"),
        (vec![(TRACES, "http://collector:4318/")], "http://collector:4318/"),
        (vec![(BASE, "http://a"), (TRACES, "http://b/x")], "http://b/x"),
        (vec![(BASE, "  ")], "http://localhost:4318/v1/traces"),
        (vec![(PROTOCOL, "grpc")], "http://localhost:4317"),
        (vec![(PROTOCOL, "grpc"), (BASE, "http://collector:4317")], "http://collector:4317"),
        (vec![(PROTOCOL, "grpc"), (BASE, "collector:4317")], "https://collector:4317"),
        (vec![(PROTOCOL, "grpc"), (BASE, "collector:4317"), insecure], "http://collector:4317"),
        (
            vec![(PROTOCOL, "grpc"), ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json")],
            "http://localhost:4318/v1/traces",
        ),
    ] {
        assert_eq!(read(&variables).unwrap().endpoint, expected, "{variables:?}");
    }
}

#[test]
fn everything_set() {
    let config = read(&[
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20dXNlcjpwYXNz, x-tenant = plant ,"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/etc/ca.pem"),
        ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "/etc/me.pem"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/etc/me.key"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,a=b%2Cc"),
    ])
    .unwrap();
    assert_eq!(
        config.headers,
        [("authorization".into(), "Basic dXNlcjpwYXNz".into()), ("x-tenant".into(), "plant".into())]
    );
    assert_eq!(config.timeout, Duration::from_millis(2500));
    assert!(config.gzip);
    assert_eq!(config.certificate, Some("/etc/ca.pem".into()));
    assert_eq!(config.client_certificate, Some("/etc/me.pem".into()));
    assert_eq!(config.client_key, Some("/etc/me.key".into()));
    let resource: [(String, String); 2] =
        [("deployment.environment.name".into(), "test".into()), ("a".into(), "b,c".into())];
    assert_eq!(config.resource, resource);
}

#[test]
fn what_is_not_understood_is_said() {
    for (variable, value, expected) in [
        (
            PROTOCOL,
            "thrift",
            "cannot use OTEL_EXPORTER_OTLP_PROTOCOL=thrift: use grpc, http/protobuf or http/json",
        ),
        (
            BASE,
            "collector:4318",
            "cannot use OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318: use a URL such as http://localhost:4318",
        ),
        (
            "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
            "10s",
            "cannot use OTEL_EXPORTER_OTLP_TRACES_TIMEOUT=10s: use a number of milliseconds",
        ),
        (
            "OTEL_EXPORTER_OTLP_COMPRESSION",
            "zstd",
            "cannot use OTEL_EXPORTER_OTLP_COMPRESSION=zstd: use gzip or none",
        ),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "secret",
            "cannot use OTEL_EXPORTER_OTLP_HEADERS=…: use key=value,key=value with percent encoding",
        ),
    ] {
        assert_eq!(read(&[(variable, value)]).unwrap_err().to_string(), expected);
    }
}
