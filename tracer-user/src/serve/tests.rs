//! The interface over HTTP.

use expect_test::expect;
use tokio::sync::oneshot;

use super::state::{Exporter, Feature, Stage};
use super::*;

/// A running server: its base URL, its state, and what stops it when dropped.
async fn running() -> (String, State, oneshot::Sender<()>) {
    let server = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let url = format!("http://{}", server.address());
    let (stop, stopped) = oneshot::channel::<()>();
    let state = State::default();
    tokio::spawn(server.run(state.clone(), async {
        let _ = stopped.await;
    }));
    (url, state, stop)
}

async fn ask(url: &str, accept: Option<&str>) -> (u16, String, String) {
    let mut request = reqwest::Client::new().get(url);
    if let Some(accept) = accept {
        request = request.header("accept", accept);
    }
    let response = request.send().await.unwrap();
    let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    (response.status().as_u16(), kind.unwrap_or_default(), response.text().await.unwrap())
}

#[tokio::test]
async fn ready_once_attached() {
    let (url, state, _stop) = running().await;
    for (ready, expected) in [(false, 503), (true, 200), (false, 503)] {
        state.set_ready(ready);
        for path in ["/health/ready", "/ready"] {
            assert_eq!(ask(&format!("{url}{path}"), None).await.0, expected);
        }
        assert_eq!(ask(&format!("{url}/health"), None).await.0, 200);
    }
    assert_eq!(ask(&format!("{url}/else"), None).await.0, 404);
}

#[tokio::test]
async fn metrics_in_the_format_asked_for() {
    let (url, state, _stop) = running().await;
    let url = format!("{url}/metrics");
    assert_eq!(ask(&url, None).await.0, 503);
    state.set_metrics(|open| if open { "open" } else { "classic" }.to_owned());
    // As Prometheus 3 asks, as curl asks, and the doubtful ones.
    let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                      application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1";
    for (accept, expected) in [
        (Some(prometheus), "open"),
        (Some("application/openmetrics-text"), "open"),
        (Some("text/plain, application/openmetrics-text;q=0.5"), "classic"),
        (Some("application/openmetrics-text;q=0"), "classic"),
        (Some("*/*"), "classic"),
        (None, "classic"),
    ] {
        let (status, kind, text) = ask(&url, accept).await;
        assert_eq!((status, text.as_str()), (200, expected), "{accept:?}");
        let prefix = if expected == "open" {
            "application/openmetrics-text; version=1.0.0"
        } else {
            "text/plain; version=0.0.4"
        };
        assert!(kind.starts_with(prefix), "{kind}");
    }
}

#[tokio::test]
async fn details() {
    let (url, state, _stop) = running().await;
    let url = format!("{url}/health/detailed");
    assert!(ask(&url, None).await.2.contains("\"status\": \"starting\""));
    state.set_ready(true);
    assert!(ask(&url, None).await.2.contains("\"status\": \"ok\""));
    state.set_features(vec![
        Feature { name: "ring buffer".into(), available: true, ..Feature::default() },
        Feature {
            name: "BTF".into(),
            available: false,
            reason: Some("/sys/kernel/btf/vmlinux is missing".into()),
            consequence: Some("files are followed by their opens only".into()),
            remedy: Some("use a kernel with CONFIG_DEBUG_INFO_BTF".into()),
        },
    ]);
    state.set_stages(vec![Stage {
        name: "ring:data".into(),
        came: 10,
        passed: 7,
        held: 1,
        dropped: [("full".to_owned(), 2)].into(),
    }]);
    state.set_exporters(vec![Exporter {
        name: "otlp".into(),
        failing: true,
        last_error: Some("connection refused".into()),
    }]);
    let (status, kind, text) = ask(&url, None).await;
    assert_eq!((status, kind.as_str()), (200, "application/json"));
    expect![[r#"
        {
          "status": "degraded",
          "version": "0.1.0",
          "ready": true,
          "features": [
            {
              "name": "ring buffer",
              "available": true
            },
            {
              "name": "BTF",
              "available": false,
              "reason": "/sys/kernel/btf/vmlinux is missing",
              "consequence": "files are followed by their opens only",
              "remedy": "use a kernel with CONFIG_DEBUG_INFO_BTF"
            }
          ],
          "stages": [
            {
              "name": "ring:data",
              "in": 10,
              "out": 7,
              "held": 1,
              "dropped": {
                "full": 2
              }
            }
          ],
          "exporters": [
            {
              "name": "otlp",
              "failing": true,
              "last_error": "connection refused"
            }
          ]
        }
    "#]]
    .assert_eq(&text);
}

#[tokio::test]
async fn a_port_in_use_is_said() {
    let server = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = server.address();
    let Err(error) = bind(address).await else { panic!("the port is in use") };
    assert_eq!(
        error.to_string(),
        format!(
            "cannot serve metrics on {address}: the port is in use; stop the program that has it \
             (`ss -ltnp 'sport = :{}'` shows which, perhaps another iotrail) or choose another port",
            address.port()
        )
    );
    let Err(error) = bind("203.0.113.1:1".parse().unwrap()).await else {
        panic!("not an address of this host")
    };
    assert!(error.to_string().contains("this host has no such address"), "{error}");
    assert_eq!(DEFAULT_ADDRESS.to_string(), "127.0.0.1:9464");
}

#[tokio::test]
async fn stopping_ends_it() {
    let server = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    server.run(State::default(), async {}).await.unwrap();
}
