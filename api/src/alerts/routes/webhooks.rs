//! `/v1/webhooks`: make, list, show, delete and test webhooks; look at deliveries and replay dead ones.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::Caller;
use crate::alerts::Alerting;
use crate::alerts::delivery::{InvalidWebhook, WebhookRequest};
use crate::alerts::store::{Versioned, random_hex, rfc3339};
use crate::alerts::webhook::Endpoint;
use crate::http::extract::{JsonBody, Parameters};
use crate::http::forwarded::External;
use crate::http::{expected_version, tagged, version_tag};
use crate::problem::Problem;

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

/// The routes under `/v1/webhooks`.
pub(super) fn routes(state: Arc<Alerting>) -> Router {
    Router::new()
        .route("/v1/webhooks", get(list).post(create))
        .route("/v1/webhooks/{id}", get(show).delete(delete))
        .route("/v1/webhooks/{id}/test", post(test))
        .route("/v1/webhooks/{id}/deliveries", get(deliveries))
        .route("/v1/webhooks/{id}/replay", post(replay_all))
        .route("/v1/webhooks/{id}/deliveries/{delivery}/replay", post(replay_one))
        .with_state(state)
}

type Created = (StatusCode, [(HeaderName, String); 2], Json<Value>);

async fn create(
    State(alerting): State<Arc<Alerting>>,
    caller: Caller,
    external: External,
    JsonBody(request): JsonBody<WebhookRequest>,
) -> Result<Created, Problem> {
    let new = request
        .accept(alerting.sender.allows_private())
        .map_err(|error| match error {
            InvalidWebhook::Random(_) => Problem::internal(&error),
            _ => Problem::unprocessable(error.to_string()),
        })?;
    let endpoint = alerting
        .decisions
        .create_endpoint(new, (alerting.clock)(), &caller.deed("webhooks.create"))
        .await?;
    let mut body = shown(&endpoint);
    body["secret"] = json!(endpoint.secret.reveal());
    let location = [
        (
            header::LOCATION,
            format!("{}/v1/webhooks/{}", external.base, endpoint.id),
        ),
        (header::ETAG, version_tag(1)),
    ];
    Ok((StatusCode::CREATED, location, Json(body)))
}

async fn list(State(alerting): State<Arc<Alerting>>) -> Result<Json<Value>, Problem> {
    let endpoints = alerting.decisions.endpoints().await?;
    Ok(Json(
        json!({ "webhooks": endpoints.iter().map(shown).collect::<Vec<_>>() }),
    ))
}

async fn show(
    State(alerting): State<Arc<Alerting>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let version = alerting.decisions.version_of(Versioned::Webhook, &id).await?;
    let version = version.ok_or_else(no_such_webhook)?;
    let shown = shown(&endpoint(&alerting, &id).await?);
    Ok(tagged(&headers, &version_tag(version), Json(shown)))
}

async fn delete(
    State(alerting): State<Arc<Alerting>>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let (expected, deed) = (expected_version(&headers)?, caller.deed("webhooks.delete"));
    let now = (alerting.clock)();
    if alerting
        .decisions
        .delete_endpoint(&id, expected, now, &deed)
        .await?
    {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(no_such_webhook())
    }
}

/// Sends a ping now. A success switches on again what a 410 had switched off.
async fn test(
    State(alerting): State<Arc<Alerting>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let endpoint = endpoint(&alerting, &id).await?;
    let now = (alerting.clock)();
    let deed = caller.deed("webhooks.test").to(&id);
    alerting.decisions.database().audit(&deed, now).await?;
    let webhook_id = format!("msg_{}", random_hex()?);
    let body = json!({"type": "webhook.test", "timestamp": rfc3339(now), "data": {"webhook": endpoint.name}});
    let attempt = alerting
        .sender
        .send(
            &endpoint.url,
            &endpoint.secret,
            &webhook_id,
            &body.to_string(),
            now,
        )
        .await;
    if attempt.is_delivered() && endpoint.disabled_at.is_some() {
        alerting.decisions.enable_endpoint(&id).await?;
    }
    Ok(Json(json!({
        "delivered": attempt.is_delivered(),
        "status": attempt.status,
        "latency_ms": attempt.latency_ms,
        "error": attempt.error,
        "webhook_id": webhook_id,
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListParameters {
    limit: Option<u32>,
}

async fn deliveries(
    State(alerting): State<Arc<Alerting>>,
    Path(id): Path<String>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<Value>, Problem> {
    let limit = parameters.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::bad_request(format!(
            "`limit` is {limit}; allowed: 1 to {MAX_LIMIT}"
        )));
    }
    endpoint(&alerting, &id).await?;
    let deliveries = alerting.decisions.deliveries(&id, limit).await?;
    Ok(Json(json!({ "deliveries": deliveries })))
}

async fn replay_all(
    State(alerting): State<Arc<Alerting>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    endpoint(&alerting, &id).await?;
    let now = (alerting.clock)();
    let deed = caller.deed("webhooks.replay").to(&id);
    alerting.decisions.database().audit(&deed, now).await?;
    let replayed = match alerting.decisions.replay(&id, None, now).await {
        Ok(replayed) => replayed,
        Err(error) => {
            alerting.decisions.database().audit_failure(deed, now).await;
            return Err(error.into());
        }
    };
    alerting.deliveries.wake();
    Ok(Json(json!({ "replayed": replayed })))
}

async fn replay_one(
    State(alerting): State<Arc<Alerting>>,
    caller: Caller,
    Path((id, delivery)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    endpoint(&alerting, &id).await?;
    let now = (alerting.clock)();
    let deed = caller.deed("webhooks.replay").to(&id);
    let deed = deed.with(json!({"delivery": delivery}));
    alerting.decisions.database().audit(&deed, now).await?;
    let replayed = alerting.decisions.replay(&id, Some(&delivery), now).await;
    if !matches!(replayed, Ok(1..)) {
        alerting.decisions.database().audit_failure(deed, now).await;
    }
    let replayed = replayed?;
    if replayed == 0 {
        return Err(Problem::conflict(
            "there is no dead delivery of this id; GET …/deliveries shows their states",
        ));
    }
    alerting.deliveries.wake();
    Ok(Json(json!({ "replayed": replayed })))
}

async fn endpoint(alerting: &Alerting, id: &str) -> Result<Endpoint, Problem> {
    alerting.decisions.endpoint(id).await?.ok_or_else(no_such_webhook)
}

fn no_such_webhook() -> Problem {
    Problem::not_found("there is no webhook of this id; GET /v1/webhooks lists them")
}

/// What may be shown at any time: all but the secret.
fn shown(endpoint: &Endpoint) -> Value {
    let mut shown = json!({
        "id": endpoint.id,
        "name": endpoint.name,
        "url": endpoint.url,
        "created_at": rfc3339(endpoint.created_at),
        "disabled_at": endpoint.disabled_at.map(rfc3339),
    });
    if !endpoint.severities.is_empty() {
        shown["filter"] = json!({ "severity": endpoint.severities });
    }
    shown
}
