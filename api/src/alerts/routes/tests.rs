//! The routes of alerts by HTTP, over a store of their own.

mod alerts;
mod rules;
mod silences;
mod webhooks;

use std::time::Duration;

use axum::Router;
use reqwest::Client;
use riskgrid_analytics::rules::{RuleBounds, SensorReading, SensorRules};
use riskgrid_ingest::EventTime;
use serde_json::Value;
use serde_json::json;

use super::*;
use crate::alerts::delivery::DeliverySettings;
use crate::alerts::store::{Decisions, Notify};

struct Server {
    _folder: tempfile::TempDir,
    alerting: Arc<Alerting>,
    client: Client,
    url: String,
}

struct Answer {
    status: u16,
    content_type: String,
    body: Value,
}

impl Server {
    async fn start(allow_private: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let decisions = Decisions::open(folder.path(), crate::alerts::store::Bounds::default())
            .await
            .unwrap();
        let settings = DeliverySettings {
            allow_private,
            ..DeliverySettings::default()
        };
        let bounds = RuleBounds {
            bucket: std::time::Duration::from_mins(1),
            base_resolution: 9,
            longest_window: Duration::from_hours(24),
            shortest_window: Duration::from_mins(2),
        };
        let clock = Arc::new(|| chrono::Utc::now().timestamp_micros());
        let alerting = Alerting::start(
            decisions,
            settings,
            bounds,
            crate::alerts::store::Keep::default(),
            clock,
        )
        .await
        .unwrap();
        let url = listen(super::all(&alerting).layer(axum::Extension(admin()))).await;
        Self {
            _folder: folder,
            alerting,
            client: Client::builder().no_proxy().build().unwrap(),
            url,
        }
    }

    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let mut request = self
            .client
            .request(method.parse().unwrap(), format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let content_type = response
            .headers()
            .get("content-type")
            .map(|value| value.to_str().unwrap().to_owned());
        Answer {
            status: response.status().as_u16(),
            content_type: content_type.unwrap_or_default(),
            body: serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default(),
        }
    }
}

/// Who asks in these tests.
fn admin() -> crate::access::Caller {
    crate::access::Caller {
        identity: Arc::new(crate::access::Identity::of_open_mode()),
        address: None,
    }
}

async fn listen(app: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    format!("http://{address}")
}

fn river() -> Value {
    json!({"name": "river high", "kind": "threshold", "layer": "water_level", "per": "sensor", "metric": "last",
        "above": 3.5, "clear_below": 3.2, "for": "2m", "severity": "major", "webhooks": ["ops"]})
}

fn ops() -> Value {
    json!({"name": "ops", "url": "https://ops.example/hook", "filter": {"severity": ["major", "critical"]}})
}

/// An alert of `river-7`, decided now. Its id.
async fn fire(server: &Server) -> String {
    let mut rules = SensorRules::new(server.alerting.on_rules_changed.borrow().clone());
    let now = (server.alerting.clock)();
    let reading = SensorReading {
        layer: "water_level",
        sensor: "river-7",
        cell: 0x0894_11d3_68b7_ffff,
        value: 3.62,
        at: EventTime::from_micros(now),
        areas: &[],
    };
    rules.observe("p0", reading);
    let transitions = rules.take_transitions();
    server
        .alerting
        .record(&transitions, Notify::Send, now)
        .await
        .unwrap();
    transitions[0].episode.clone()
}

fn in_hours(hours: i64) -> String {
    (chrono::Utc::now() + chrono::Duration::hours(hours)).to_rfc3339()
}
