//! Redis on the library redis: PUBLISH and SUBSCRIBE, or, by the way, a `stream` or a `list`; with RESP3 where the way ends in `3`.
//!
//! A stream is read with XREAD, or as a member of `--group` with XREADGROUP and an XACK for each entry. Ids are entry ids.

use anyhow::{Context as _, Result};
use clap::Parser as _;
use redis::{Commands as _, Connection, streams::StreamReadOptions, streams::StreamReadReply};
use tracer_clients::{Options, Publish, Subscribe, What, log, ready};

/// Entries of one read, and milliseconds that it waits.
const READ: (usize, usize) = (10, 2000);
/// The field of a stream's entry that has the body.
const FIELD: &str = "body";

fn main() -> Result<()> {
    let Options { port, id, ca, way, what } = Options::parse();
    let protocol = if way.ends_with('3') { "?protocol=resp3" } else { "" };
    // Features of other clients leave rustls more than one to choose from.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = match ca {
        None => redis::Client::open(format!("redis://127.0.0.1:{port}/{protocol}")),
        Some(ca) => redis::Client::build_with_tls(
            format!("rediss://localhost:{port}/{protocol}"),
            redis::TlsCertificates { client_tls: None, root_cert: Some(std::fs::read(ca)?) },
        ),
    };
    let client = client.context("no client")?;
    let mut connection = client.get_connection().context("no connection")?;
    let () = redis::cmd("CLIENT").arg("SETNAME").arg(&id).query(&mut connection)?;
    let way = way.trim_end_matches('3');
    match what {
        What::Publish(what) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(publish(&mut connection, &id, way, &what))
        }
        What::Subscribe(what) => match way {
            "stream" => read(&mut connection, &id, &what),
            "list" => pop(&mut connection, &what),
            _ => subscribe(&mut connection, &what),
        },
    }
}

async fn publish(connection: &mut Connection, id: &str, way: &str, what: &Publish) -> Result<()> {
    ready()?;
    let mut load = what.load(id);
    while let Some(body) = load.next().await? {
        let entry = match way {
            "stream" => connection.xadd(&what.to, "*", &[(FIELD, body.as_slice())])?,
            "list" => connection.lpush(&what.to, body.as_slice()).map(|_: u64| String::new())?,
            _ => connection.publish(&what.to, body.as_slice()).map(|_: u64| String::new())?,
        };
        log(&what.to, &body, &entry)?;
    }
    Ok(())
}

fn subscribe(connection: &mut Connection, what: &Subscribe) -> Result<()> {
    let mut subscription = connection.as_pubsub();
    if what.from.contains('*') {
        subscription.psubscribe(&what.from)?;
    } else {
        subscription.subscribe(&what.from)?;
    }
    ready()?;
    for _ in 0..what.count {
        let message = subscription.get_message()?;
        log(message.get_channel_name(), message.get_payload_bytes(), "")?;
    }
    Ok(())
}

fn read(connection: &mut Connection, id: &str, what: &Subscribe) -> Result<()> {
    let Subscribe { from, count, group } = what;
    let grouped = !group.is_empty();
    let mut options = StreamReadOptions::default().count(READ.0).block(READ.1);
    if grouped {
        let () = connection.xgroup_create_mkstream(from, group, "0")?;
        options = options.group(group, id);
    }
    ready()?;
    let (mut seen, mut after) = (0, "0".to_owned());
    while seen < *count {
        let from_here = if grouped { ">" } else { after.as_str() };
        let reply: Option<StreamReadReply> = connection.xread_options(&[from], &[from_here], &options)?;
        for entry in reply.into_iter().flat_map(|reply| reply.keys).flat_map(|stream| stream.ids) {
            let body: Vec<u8> = entry.get(FIELD).context("an entry without a body")?;
            log(from, &body, &entry.id)?;
            if grouped {
                let _: u64 = connection.xack(from, group, &[&entry.id])?;
            }
            after = entry.id;
            seen += 1;
        }
    }
    Ok(())
}

fn pop(connection: &mut Connection, what: &Subscribe) -> Result<()> {
    ready()?;
    for _ in 0..what.count {
        let (_, body): (String, Vec<u8>) = connection.brpop(&what.from, 0.0)?;
        log(&what.from, &body, "")?;
    }
    Ok(())
}
