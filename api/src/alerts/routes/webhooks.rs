//! `/v1/webhooks`: make, list, show, change, delete and test webhooks; look at deliveries and send them again.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use riskgrid_ingest::EventTime;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::Caller;
use crate::alerts::Alerting;
use crate::alerts::delivery::{InvalidWebhook, Outgoing, WebhookRequest};
use crate::alerts::store::{DeliveryQuery, Replay, Versioned, random_hex, rfc3339};
use crate::alerts::webhook::{Endpoint, EndpointFilter};
use crate::http::extract::{JsonBody, OptionalJsonBody, Parameters};
use crate::http::forwarded::External;
use crate::http::{expected_version, tagged, version_tag};
use crate::problem::Problem;

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

/// The routes under `/v1/webhooks`.
pub(super) fn routes(state: Arc<Alerting>) -> Router {
    Router::new()
        .route("/v1/webhooks", get(list).post(create))
        .route("/v1/webhooks/{id}", get(show).put(change).delete(delete))
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

async fn change(
    State(alerting): State<Arc<Alerting>>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    JsonBody(request): JsonBody<WebhookRequest>,
) -> Result<Response, Problem> {
    let version = alerting.decisions.version_of(Versioned::Webhook, &id).await?;
    let version = version.ok_or_else(no_such_webhook)?;
    if !headers.contains_key(header::IF_MATCH) {
        return Err(Problem::precondition_required(format!(
            "send `If-Match` with the ETag of the version that you have read; the webhook is at {}",
            version_tag(version)
        )));
    }
    let expected = expected_version(&headers)?;
    let changed = request
        .accept_change(alerting.sender.allows_private())
        .map_err(|error| Problem::unprocessable(error.to_string()))?;
    let (now, deed) = ((alerting.clock)(), caller.deed("webhook.update"));
    let after = alerting
        .decisions
        .change_endpoint(&id, expected, changed, now, &deed)
        .await?
        .ok_or_else(no_such_webhook)?;
    // What waits may be told elsewhere, or faster, now.
    alerting.deliveries.wake();
    let version = alerting.decisions.version_of(Versioned::Webhook, &id).await?;
    let tag = [(header::ETAG, version_tag(version.ok_or_else(no_such_webhook)?))];
    Ok((tag, Json(shown(&after))).into_response())
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
    let body = body.to_string();
    let message = Outgoing {
        url: &endpoint.url,
        secret: &endpoint.secret,
        id: &webhook_id,
        body: &body,
    };
    let attempt = alerting.sender.send(&message, EventTime::from_micros(now)).await;
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
    state: Option<String>,
    from: Option<String>,
    to: Option<String>,
    limit: Option<u32>,
    after: Option<String>,
}

/// What deliveries can be doing.
const STATES: [&str; 4] = ["open", "pending", "delivered", "dead"];

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
    if let Some(state) = parameters
        .state
        .as_deref()
        .filter(|state| !STATES.contains(state))
    {
        return Err(Problem::bad_request(format!(
            "`state` is \"{state}\"; allowed: {}",
            STATES.join(", ")
        )));
    }
    let after = parameters.after.as_deref().map(|token| {
        token
            .parse()
            .map_err(|_| Problem::bad_request("`after` must be the `next` of an earlier answer, unchanged"))
    });
    let query = DeliveryQuery {
        state: parameters.state,
        from: read_time("from", parameters.from.as_deref())?,
        to: read_time("to", parameters.to.as_deref())?,
        limit,
        after: after.transpose()?,
    };
    let (deliveries, next) = alerting.decisions.deliveries(&id, &query).await?;
    let next = next.map(|seq| seq.to_string());
    Ok(Json(json!({ "deliveries": deliveries, "next": next })))
}

fn read_time(name: &str, text: Option<&str>) -> Result<Option<i64>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let time = EventTime::parse_rfc3339(text).map(EventTime::micros);
    time.map(Some).ok_or_else(|| {
        let shown: String = text.chars().take(80).collect();
        Problem::bad_request(format!(
            "`{name}` is \"{shown}\"; allowed: a time as 2026-11-22T08:00:00Z"
        ))
    })
}

/// Which deliveries are to be sent again: those made in a span of time; without a body all that were given up.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplayBody {
    from: Option<String>,
    to: Option<String>,
}

async fn replay_all(
    State(alerting): State<Arc<Alerting>>,
    caller: Caller,
    Path(id): Path<String>,
    OptionalJsonBody(body): OptionalJsonBody<ReplayBody>,
) -> Result<Json<Value>, Problem> {
    endpoint(&alerting, &id).await?;
    let now = (alerting.clock)();
    let body = body.unwrap_or_default();
    let span = (
        read_time("from", body.from.as_deref())?,
        read_time("to", body.to.as_deref())?,
    );
    let which = match span {
        (None, None) => Replay::AllDead,
        (from, to) => Replay::Between {
            from: from.unwrap_or(i64::MIN),
            to: to.unwrap_or(now.saturating_add(1)),
        },
    };
    let deed = caller.deed("webhooks.replay").to(&id);
    let deed = deed.with(json!({"from": body.from, "to": body.to}));
    alerting.decisions.database().audit(&deed, now).await?;
    let replayed = match alerting.decisions.replay(&id, which, now).await {
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
    let replayed = alerting.decisions.replay(&id, Replay::One(&delivery), now).await;
    if !matches!(replayed, Ok(1..)) {
        alerting.decisions.database().audit_failure(deed, now).await;
    }
    let replayed = replayed?;
    if replayed == 0 {
        return Err(Problem::conflict(
            "there is no dead or delivered delivery of this id; GET …/deliveries shows their states",
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
        "group": endpoint.grouping,
    });
    if let Some(rate) = endpoint.rate {
        shown["rate"] = json!(rate);
    }
    if !endpoint.severities.is_empty() || endpoint.filter != EndpointFilter::default() {
        shown["filter"] = json!(endpoint.filter);
        if !endpoint.severities.is_empty() {
            shown["filter"]["severity"] = json!(endpoint.severities);
        }
    }
    shown
}
