//! An alert reaches a receiver that is ill at first, with the same id, and its signature is good for others too.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::server::{Server, eventually, fixture, program, reading};

const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

#[derive(Clone)]
struct Delivery {
    headers: BTreeMap<String, String>,
    body: String,
}

type Received = Arc<Mutex<Vec<Delivery>>>;

/// The first two attempts are answered by 500.
async fn receive(State(received): State<Received>, headers: HeaderMap, body: String) -> StatusCode {
    let headers = headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    let mut received = received.lock().unwrap();
    received.push(Delivery {
        headers: headers.collect(),
        body,
    });
    if received.len() <= 2 {
        StatusCode::INTERNAL_SERVER_ERROR
    } else {
        StatusCode::OK
    }
}

async fn receiver() -> (String, Received) {
    let received = Received::default();
    let router = Router::new().fallback(receive).with_state(Arc::clone(&received));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, received)
}

#[tokio::test]
async fn a_receiver_that_was_ill_gets_the_alert_with_the_same_id_and_a_good_signature() {
    let server = Server::start();
    let (url, received) = receiver().await;
    let hook = json!({"name": "ops", "url": url, "secret": SECRET});
    let made = server.post_json("/v1/webhooks", &hook).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let rule = json!({"name": "river high", "kind": "threshold", "layer": "water_level", "per": "sensor",
        "metric": "last", "above": 3.5, "clear_below": 3.2, "severity": "major", "webhooks": ["ops"]});
    let made = server.post_json("/v1/rules", &rule).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let high = reading("1", "river-7", 3.62, 5).to_string();
    assert_eq!(server.post("application/json", high).await.status, 202);

    let deliveries = eventually("three attempts", async || {
        let received = received.lock().unwrap();
        (received.len() >= 3).then(|| received.clone())
    })
    .await;
    let ids: Vec<&String> = deliveries
        .iter()
        .map(|delivery| &delivery.headers["webhook-id"])
        .collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let body: Value = serde_json::from_str(&deliveries[2].body).unwrap();
    assert_eq!(
        (&body["type"], &body["data"]["sensor"], &body["data"]["value"]),
        (&json!("alert.firing"), &json!("river-7"), &json!(3.62))
    );
    let alerts = server.get("/v1/alerts").await.body;
    assert_eq!(alerts["alerts"][0]["id"], body["data"]["alert"]);
    let sql = "SELECT state, sensor, value FROM alerts";
    server
        .rows_become(sql, &json!([["firing", "river-7", 3.62]]))
        .await;
    verified_elsewhere(&deliveries);
}

fn verified_elsewhere(deliveries: &[Delivery]) {
    let Some(python) = program("RISKGRID_PYTHON") else {
        return;
    };
    let mut verifier = Command::new(python)
        .arg(fixture("truth/verify_webhook.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = verifier.stdin.take().unwrap();
    for delivery in deliveries {
        let line = json!({"secret": SECRET, "headers": delivery.headers, "body": delivery.body});
        writeln!(input, "{line}").unwrap();
    }
    drop(input);
    let output = verifier.wait_with_output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said.trim(), format!("{} deliveries verified", deliveries.len()));
}
