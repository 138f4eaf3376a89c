//! `/v1/rules`: make, list, show and delete rules.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::routing::get;
use axum::{Json, Router};
use riskgrid_analytics::rules::{InvalidRule, Rule};
use serde_json::{Value, json};

use super::body::JsonBody;
use crate::alerting::{Alerting, RuleError};
use crate::problem::Problem;

/// The routes under `/v1/rules`.
pub fn routes(state: Arc<Alerting>) -> Router {
    Router::new()
        .route("/v1/rules", get(list).post(create))
        .route("/v1/rules/{id}", get(show).delete(delete))
        .with_state(state)
}

type Created = (StatusCode, [(HeaderName, String); 1], Json<Rule>);

async fn create(
    State(alerting): State<Arc<Alerting>>,
    JsonBody(json): JsonBody<Value>,
) -> Result<Created, Problem> {
    let rule = alerting.create_rule(&json).await.map_err(|error| match error {
        RuleError::Invalid(invalid) => invalid_rule(&invalid),
        RuleError::Decisions(error) => error.into(),
    })?;
    let location = [(header::LOCATION, format!("/v1/rules/{}", rule.id))];
    Ok((StatusCode::CREATED, location, Json(rule)))
}

async fn list(State(alerting): State<Arc<Alerting>>) -> Result<Json<Value>, Problem> {
    let rules = alerting.decisions.rules().await?;
    Ok(Json(json!({ "rules": rules })))
}

async fn show(State(alerting): State<Arc<Alerting>>, Path(id): Path<String>) -> Result<Json<Rule>, Problem> {
    alerting
        .decisions
        .rule(&id)
        .await?
        .map(Json)
        .ok_or_else(no_such_rule)
}

async fn delete(
    State(alerting): State<Arc<Alerting>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    if alerting.delete_rule(&id).await? {
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
