//! How long from an event to its webhook: one observation of a new sensor that crosses the limit of a rule, from before
//! its `POST /v1/events` until the receiver has the signed request. Between them are the journal's fsync, the rule, and
//! the alert with its outbox row in SQLite. One after the other; then again while batches are posted.
//!
//! Beside it, in turn, a plain HTTP post of the same body from the same client to the same receiver.

use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use reqwest::Client;
use riskgrid_benches::server::{Server, client, succeeded};
use riskgrid_benches::{Outcome, print_latencies};
use riskgrid_fixtures::load;
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tokio::sync::mpsc;
use tokio::sync::watch;

/// Measured events, and those before them that open connections and files.
const EVENTS: usize = 1_000;
const WARM: usize = 20;
/// Above all that the load's own sensors read.
const LIMIT: f64 = 50.0;
const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const PATIENCE: Duration = Duration::from_secs(30);
/// The load beside it: so many events a second, so many requests a second.
const LOAD: usize = 10_000;
const REQUESTS: usize = 10;

/// A request as the receiver got it.
struct Received {
    at: Instant,
    headers: HeaderMap,
    body: Bytes,
}

struct Receiver {
    url: String,
    requests: mpsc::UnboundedReceiver<Received>,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut receiver = receive().await?;
    let mut server = Server::new("[webhooks]\nallow_private = true\n")?;
    server.start()?;
    make(
        &server,
        "/v1/webhooks",
        &json!({"name": "ops", "url": receiver.url, "secret": SECRET}),
    )
    .await?;
    make(
        &server,
        "/v1/rules",
        &json!({"name": "too high", "kind": "threshold", "layer": "water_level", "per": "sensor", "metric": "last",
            "above": LIMIT, "clear_below": LIMIT, "severity": "major", "webhooks": ["ops"]}),
    )
    .await?;
    ask(&server, &mut receiver, "warm", WARM).await?;
    let (ours, plain) = ask(&server, &mut receiver, "idle", EVENTS).await?;
    let ours = print_latencies("event to webhook", ours);
    let plain = print_latencies("a plain post to the same receiver", plain);
    println!(
        "the way through riskgrid takes {:.1?} more",
        ours.saturating_sub(plain)
    );

    let (stop, stopping) = watch::channel(false);
    let load = tokio::spawn(keep_posting(client()?, server.url("/v1/events"), stopping));
    let (ours, plain) = ask(&server, &mut receiver, "busy", EVENTS).await?;
    stop.send_replace(true);
    let rate = load.await??;
    print_latencies(&format!("event to webhook, beside {rate:.0} events/s"), ours);
    print_latencies("a plain post, beside the same", plain);
    let alerts = server
        .sql("SELECT count(*), count(DISTINCT sensor) FROM alerts")
        .await?;
    let expected = WARM + 2 * EVENTS;
    if alerts != json!([[expected, expected]]) {
        return Err(format!("{alerts} alerts and sensors, right are {expected}").into());
    }
    Ok(())
}

/// Posts `count` events of new sensors, each once the one before has arrived, and in turn plain requests. Returns the
/// times of both; each delivery must be of its sensor, and its signature good.
async fn ask(
    server: &Server,
    receiver: &mut Receiver,
    run: &str,
    count: usize,
) -> Outcome<(Vec<Duration>, Vec<Duration>)> {
    let verifier = Webhook::new(SECRET)?;
    let (mut ours, mut plain) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for number in 0..count {
        let sensor = format!("{run}-{number}");
        let event = reading(&sensor).to_string();
        let (received, time) = post(
            &server.client,
            &receiver.url,
            event.clone(),
            &mut receiver.requests,
        )
        .await?;
        if received.body != event {
            return Err("another request than the plain one has come".into());
        }
        plain.push(time);
        let (received, time) = post(
            &server.client,
            &server.url("/v1/events"),
            event,
            &mut receiver.requests,
        )
        .await?;
        verifier.verify(&received.body, &received.headers)?;
        let body: Value = serde_json::from_slice(&received.body)?;
        if body["type"] != "alert.firing" || body["data"]["sensor"] != sensor.as_str() {
            return Err(format!("not the alert of {sensor}: {body}").into());
        }
        ours.push(time);
    }
    Ok((ours, plain))
}

/// Posts an event, and waits for what the receiver gets; the time is from before the post until then.
async fn post(
    client: &Client,
    url: &str,
    body: String,
    requests: &mut mpsc::UnboundedReceiver<Received>,
) -> Outcome<(Received, Duration)> {
    let request = client
        .post(url)
        .header("content-type", "application/cloudevents+json")
        .body(body);
    let began = Instant::now();
    succeeded(request.send().await?).await?;
    let received = tokio::time::timeout(PATIENCE, requests.recv()).await?;
    let received = received.ok_or("the receiver has ended")?;
    let time = received.at.duration_since(began);
    Ok((received, time))
}

/// Posts batches at a steady rate, of events that happen now, until told to stop. Returns the rate that came out.
async fn keep_posting(client: Client, url: String, stopping: watch::Receiver<bool>) -> Outcome<f64> {
    let mut lines = load::generate(&load::Options {
        lines: u64::MAX,
        start_micros: chrono::Utc::now().timestamp_micros(),
        lines_per_second: LOAD as f64,
        ..load::Options::default()
    });
    let began = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / REQUESTS as u32);
    let mut posted = 0;
    while !*stopping.borrow() {
        ticks.tick().await;
        let batch: Vec<String> = lines
            .by_ref()
            .take(LOAD / REQUESTS)
            .map(|line| line.json)
            .collect();
        posted += batch.len();
        let request = client
            .post(&url)
            .header("content-type", "application/x-ndjson")
            .body(batch.join("\n"));
        let answer: Value = succeeded(request.send().await?).await?.json().await?;
        if answer["accepted"] != batch.len() {
            return Err(format!("not all of a batch are accepted: {answer}").into());
        }
    }
    Ok(posted as f64 / began.elapsed().as_secs_f64())
}

async fn make(server: &Server, path: &str, what: &Value) -> Outcome<()> {
    succeeded(server.client.post(server.url(path)).json(what).send().await?).await?;
    Ok(())
}

async fn receive() -> Outcome<Receiver> {
    let (sender, requests) = mpsc::unbounded_channel();
    let router = Router::new().fallback(take).with_state(sender);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/hook", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(Receiver { url, requests })
}

async fn take(
    State(sender): State<mpsc::UnboundedSender<Received>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let at = Instant::now();
    // Nobody waits any more when the bench has failed.
    let _ = sender.send(Received { at, headers, body });
    StatusCode::OK
}

fn reading(sensor: &str) -> Value {
    let (lon, lat) = riskgrid_fixtures::CENTRE;
    json!({"specversion": "1.0", "id": sensor, "source": format!("//bench/{sensor}"),
        "type": "riskgrid.observation.v1", "time": chrono::Utc::now().to_rfc3339(),
        "data": {"sensor": sensor, "property": "water_level", "value": LIMIT + 10.0, "unit": "m", "lon": lon, "lat": lat}})
}
