//! `/v1/rules`: make, list, show and delete rules.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use riskgrid_analytics::rules::{InvalidRule, Rule};
use serde_json::{Value, json};

use crate::access::{Caller, Reads};
use crate::alerts::store::Versioned;
use crate::alerts::{Alerting, RuleError};
use crate::http::extract::JsonBody;
use crate::http::forwarded::External;
use crate::http::{expected_version, tagged, version_tag};
use crate::problem::Problem;

/// The routes under `/v1/rules`.
pub(super) fn routes(state: Arc<Alerting>) -> Router {
    Router::new()
        .route("/v1/rules", get(list).post(create))
        .route("/v1/rules/{id}", get(show).delete(delete))
        .with_state(state)
}

type Created = (StatusCode, [(HeaderName, String); 2], Json<Value>);

async fn create(
    State(alerting): State<Arc<Alerting>>,
    caller: Caller,
    external: External,
    JsonBody(json): JsonBody<Value>,
) -> Result<Created, Problem> {
    let made = alerting.create_rule(&json, &caller.deed("rules.create")).await;
    let rule = made.map_err(|error| match error {
        RuleError::Invalid(invalid) => invalid_rule(&invalid),
        RuleError::Decisions(error) => error.into(),
    })?;
    let location = [
        (
            header::LOCATION,
            format!("{}/v1/rules/{}", external.base, rule.id),
        ),
        (header::ETAG, version_tag(1)),
    ];
    Ok((StatusCode::CREATED, location, Json(shown(&alerting, &rule)?)))
}

async fn list(State(alerting): State<Arc<Alerting>>, Reads(seen): Reads) -> Result<Json<Value>, Problem> {
    let rules = alerting.decisions.rules().await?;
    let rules = rules.iter().filter(|rule| seen.admits_layer(Some(&rule.layer)));
    let rules = rules.map(|rule| shown(&alerting, rule));
    let rules: Vec<Value> = rules.collect::<Result<_, _>>()?;
    Ok(Json(json!({ "rules": rules })))
}

async fn show(
    State(alerting): State<Arc<Alerting>>,
    Reads(seen): Reads,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // Before the rule: a change in between is then seen, at the latest when something is sent against this version.
    let version = alerting.decisions.version_of(Versioned::Rule, &id).await?;
    let version = version.ok_or_else(no_such_rule)?;
    let rule = alerting.decisions.rule(&id).await?;
    let rule = rule.filter(|rule| seen.admits_layer(Some(&rule.layer)));
    let rule = rule.ok_or_else(no_such_rule)?;
    Ok(tagged(
        &headers,
        &version_tag(version),
        Json(shown(&alerting, &rule)?),
    ))
}

/// The rule, with a `warning` while it does nothing.
fn shown(alerting: &Alerting, rule: &Rule) -> Result<Value, Problem> {
    let mut shown = serde_json::to_value(rule).map_err(|error| Problem::internal(&error))?;
    if let Some(warning) = alerting.warning_of(rule) {
        shown["warning"] = warning.into();
    }
    Ok(shown)
}

async fn delete(
    State(alerting): State<Arc<Alerting>>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let expected = expected_version(&headers)?;
    if alerting
        .delete_rule(&id, expected, &caller.deed("rules.delete"))
        .await?
    {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(no_such_rule())
    }
}

fn no_such_rule() -> Problem {
    Problem::not_found("there is no rule of this id; GET /v1/rules lists them")
}

fn invalid_rule(invalid: &InvalidRule) -> Problem {
    let problems: Vec<Value> = invalid
        .problems
        .iter()
        .map(|problem| json!({"field": problem.field, "found": problem.found, "allowed": problem.allowed}))
        .collect();
    Problem::unprocessable(invalid.to_string()).with("errors", problems)
}
