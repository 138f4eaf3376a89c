//! The demo's own webhook receiver: a real HTTP server that checks signatures and shows what it got.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use standardwebhooks::Webhook;
use tokio::net::TcpListener;

/// Shows one line to the person who watches.
pub(super) type Show = Arc<dyn Fn(&str) + Send + Sync>;

struct Receiver {
    webhook: Webhook,
    show: Show,
}

/// Listens on a free port of this machine; returns its address.
pub(super) async fn start(
    secret: &str,
    show: Show,
) -> Result<SocketAddr, Box<dyn std::error::Error + Send + Sync>> {
    let receiver = Arc::new(Receiver {
        webhook: Webhook::new(secret)?,
        show,
    });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = Router::new().route("/hook", post(receive)).with_state(receiver);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the demo's receiver ended");
        }
    });
    Ok(address)
}

async fn receive(State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if let Err(error) = receiver.webhook.verify(&body, &headers) {
        (receiver.show)(&format!("  webhook with a wrong signature refused: {error}"));
        return StatusCode::UNAUTHORIZED;
    }
    let message: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let field = |name: &str| match &message["data"][name] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    if message["type"] == "case.card" {
        (receiver.show)(&format!(
            "  the hotline, signature good: a {} card, clock {} of a case of {}, due {}",
            field("card"),
            field("clock"),
            field("office"),
            field("due"),
        ));
        return StatusCode::NO_CONTENT;
    }
    let place = if field("sensor").is_empty() {
        field("cell")
    } else {
        field("sensor")
    };
    (receiver.show)(&format!(
        "  webhook received, signature good: {} — {} {} at {place}, value {}, {}",
        field("state"),
        field("severity"),
        field("rule"),
        field("value"),
        field("at"),
    ));
    StatusCode::NO_CONTENT
}
