//! `/v1/rules`: make, list, show, change and delete rules.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use riskgrid_analytics::permission::Permission;
use riskgrid_analytics::rules::{InvalidRule, Rule};
use riskgrid_ingest::EventTime;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::{Caller, Reads};
use crate::alerts::evaluation::{self, QueryFailure, TrialError};
use crate::alerts::store::StoredRule;
use crate::alerts::{Alerting, Maker, RuleError};
use crate::http::extract::{JsonBody, Parameters};
use crate::http::forwarded::External;
use crate::http::{expected_version, tagged, version_tag};
use crate::problem::Problem;

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1_000;
/// Who says that they act, where nobody has to prove it.
const ACTOR: &str = "riskgrid-actor";
const MAX_ACTOR_CHARS: usize = 64;

/// The routes under `/v1/rules`.
pub(super) fn routes(state: Arc<Alerting>) -> Router {
    Router::new()
        .route("/v1/rules", get(list).post(create))
        .route("/v1/rules/backtest", post(back_test))
        .route("/v1/rules/{id}", get(show).put(update).delete(delete))
        .route("/v1/rules/{id}/versions", get(versions))
        .with_state(state)
}

/// Who makes a change: their identity; without keys, what they call themselves, from where they come, which proves nothing.
pub(super) fn author_of(caller: &Caller, headers: &HeaderMap) -> String {
    if !caller.identity.is_anonymous() {
        return caller.identity.who.clone();
    }
    let actor = headers.get(ACTOR).and_then(|actor| actor.to_str().ok());
    let actor = actor.map(str::trim).filter(|actor| !actor.is_empty());
    let actor: String = actor
        .unwrap_or("anonymous")
        .chars()
        .take(MAX_ACTOR_CHARS)
        .collect();
    match caller.address {
        Some(address) => format!("{actor}@{address}"),
        None => actor,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateParameters {
    #[serde(default)]
    dry_run: bool,
}

async fn create(
    State(alerting): State<Arc<Alerting>>,
    caller: Caller,
    Reads(seen): Reads,
    external: External,
    Parameters(parameters): Parameters<CreateParameters>,
    headers: HeaderMap,
    JsonBody(json): JsonBody<Value>,
) -> Result<Response, Problem> {
    let (author, deed) = (author_of(&caller, &headers), caller.deed("rule.create"));
    let by = Maker {
        author: &author,
        permission: &seen,
        deed: &deed,
    };
    if parameters.dry_run {
        let rule = alerting.check_rule("", &json, &by)?;
        return Ok(Json(evaluation::dry_run(&alerting, &rule).await?).into_response());
    }
    let rule = alerting.create_rule(&json, &by).await?;
    let location = format!("{}/v1/rules/{}", external.base, rule.id);
    let head: [(HeaderName, String); 2] = [
        (header::LOCATION, location),
        (header::ETAG, version_tag(rule.version)),
    ];
    let stored = seen_rule(&alerting, &seen, &rule.id).await?;
    Ok((StatusCode::CREATED, head, Json(shown(&alerting, &stored)?)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BackTest {
    rule: Option<Value>,
    rule_id: Option<String>,
    from: String,
    to: String,
    truth: Option<String>,
}

async fn back_test(
    State(alerting): State<Arc<Alerting>>,
    caller: Caller,
    Reads(seen): Reads,
    JsonBody(asked): JsonBody<BackTest>,
) -> Result<Json<Value>, Problem> {
    let deed = caller.deed("rule.backtest");
    let by = Maker {
        author: &deed.who,
        permission: &seen,
        deed: &deed,
    };
    let json = match (asked.rule, asked.rule_id) {
        (Some(json), None) => as_sent(json),
        (None, Some(id)) => {
            let stored = seen_rule(&alerting, &seen, &id).await?;
            as_sent(serde_json::to_value(&stored.rule).map_err(|error| Problem::internal(&error))?)
        }
        _ => {
            return Err(Problem::unprocessable(
                "send either `rule`, a rule as POST /v1/rules takes it, or `rule_id`",
            ));
        }
    };
    // What somebody tries sees what they see.
    let rule = alerting.check_rule("", &json, &by)?;
    let time = |name: &str, text: &str| {
        let shown: String = text.chars().take(80).collect();
        EventTime::parse_rfc3339(text).ok_or_else(|| {
            Problem::unprocessable(format!(
                "`{name}` is \"{shown}\"; allowed: a time as 2026-11-22T08:00:00Z"
            ))
        })
    };
    let (from, to) = (time("from", &asked.from)?, time("to", &asked.to)?);
    if to <= from {
        return Err(Problem::unprocessable("`to` is not after `from`"));
    }
    let snapshot = alerting
        .snapshot()
        .ok_or_else(|| Problem::unavailable("the grid is not there yet; try again", 5))?;
    let truth = match &asked.truth {
        Some(sql) => Some(evaluation::truth_of(&alerting, &snapshot, (&seen, &deed.who), sql).await?),
        None => None,
    };
    let tried = tokio::task::spawn_blocking(move || {
        evaluation::back_test(&snapshot, &rule, (from, to), truth.as_deref())
    });
    Ok(Json(tried.await.map_err(|error| Problem::internal(&error))??))
}

impl From<TrialError> for Problem {
    fn from(error: TrialError) -> Self {
        match error {
            TrialError::Query(QueryFailure::NotNow(_)) => Self::unavailable(error.to_string(), 5),
            TrialError::Query(QueryFailure::TooLong(_)) | TrialError::TooLong => {
                Self::out_of_time(error.to_string())
            }
            TrialError::Query(_) | TrialError::Impossible(_) => Self::unprocessable(error.to_string()),
            TrialError::Decisions(error) => error.into(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListParameters {
    limit: Option<usize>,
    after: Option<String>,
}

async fn list(
    State(alerting): State<Arc<Alerting>>,
    Reads(seen): Reads,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<Value>, Problem> {
    let limit = parameters.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::bad_request(format!(
            "`limit` is {limit}; allowed: 1 to {MAX_LIMIT}"
        )));
    }
    let after = parameters.after.as_deref().map(read_token).transpose()?;
    let mut rules = alerting.decisions.rules().await?;
    // Newest first.
    rules.reverse();
    let place = |stored: &StoredRule| (stored.created_at, stored.rule.id.clone());
    let mut page = rules
        .into_iter()
        .filter(|stored| is_seen(&seen, &stored.rule))
        .filter(|stored| after.as_ref().is_none_or(|after| place(stored) < *after));
    let of_page: Vec<StoredRule> = page.by_ref().take(limit).collect();
    let next = page.next().and(of_page.last());
    let next = next.map(|last| format!("{}.{}", last.created_at, last.rule.id));
    let rules = of_page.iter().map(|stored| shown(&alerting, stored));
    let rules: Vec<Value> = rules.collect::<Result<_, _>>()?;
    Ok(Json(json!({ "rules": rules, "next": next })))
}

async fn show(
    State(alerting): State<Arc<Alerting>>,
    Reads(seen): Reads,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let stored = seen_rule(&alerting, &seen, &id).await?;
    let tag = version_tag(stored.rule.version);
    Ok(tagged(&headers, &tag, Json(shown(&alerting, &stored)?)))
}

async fn versions(
    State(alerting): State<Arc<Alerting>>,
    Reads(seen): Reads,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    seen_rule(&alerting, &seen, &id).await?;
    let versions = alerting.decisions.rule_versions(&id).await?;
    Ok(Json(json!({ "versions": versions })))
}

async fn update(
    State(alerting): State<Arc<Alerting>>,
    caller: Caller,
    Reads(seen): Reads,
    Path(id): Path<String>,
    headers: HeaderMap,
    JsonBody(json): JsonBody<Value>,
) -> Result<Response, Problem> {
    let stored = seen_rule(&alerting, &seen, &id).await?;
    if !headers.contains_key(header::IF_MATCH) {
        return Err(Problem::precondition_required(format!(
            "send `If-Match` with the ETag of the version that you have read; the rule is at {}",
            version_tag(stored.rule.version)
        )));
    }
    let expected = expected_version(&headers)?.unwrap_or(stored.rule.version);
    let (author, deed) = (author_of(&caller, &headers), caller.deed("rule.update"));
    let by = Maker {
        author: &author,
        permission: &seen,
        deed: &deed,
    };
    let rule = alerting.update_rule(&id, expected, &as_sent(json), &by).await?;
    let tag = [(header::ETAG, version_tag(rule.version))];
    let stored = seen_rule(&alerting, &seen, &id).await?;
    Ok((tag, Json(shown(&alerting, &stored)?)).into_response())
}

/// What a client read may be sent back: the members that the server adds are no part of the rule.
fn as_sent(mut json: Value) -> Value {
    if let Some(object) = json.as_object_mut() {
        for added in [
            "id",
            "version",
            "author",
            "origin",
            "created_at",
            "updated_at",
            "warning",
        ] {
            object.remove(added);
        }
    }
    json
}

async fn delete(
    State(alerting): State<Arc<Alerting>>,
    caller: Caller,
    Reads(seen): Reads,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let expected = expected_version(&headers)?;
    let (author, deed) = (author_of(&caller, &headers), caller.deed("rule.delete"));
    let by = Maker {
        author: &author,
        permission: &seen,
        deed: &deed,
    };
    alerting.delete_rule(&id, expected, &by).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn is_seen(seen: &Permission, rule: &Rule) -> bool {
    seen.admits_layer(rule.layer())
}

async fn seen_rule(alerting: &Alerting, seen: &Permission, id: &str) -> Result<StoredRule, Problem> {
    let stored = alerting.decisions.rule(id).await?;
    let stored = stored.filter(|stored| is_seen(seen, &stored.rule));
    Ok(stored.ok_or(RuleError::NotFound)?)
}

/// The rule, who made it when, and a `warning` while it does nothing.
fn shown(alerting: &Alerting, stored: &StoredRule) -> Result<Value, Problem> {
    let time = |micros: i64| EventTime::from_micros(micros).to_string();
    let mut shown = serde_json::to_value(&stored.rule).map_err(|error| Problem::internal(&error))?;
    shown["version"] = stored.rule.version.into();
    shown["author"] = json!(stored.author);
    shown["origin"] = json!(stored.origin);
    shown["created_at"] = json!(time(stored.created_at));
    shown["updated_at"] = json!(time(stored.updated_at));
    if let Some(warning) = alerting.warning_of(&stored.rule) {
        shown["warning"] = warning.into();
    }
    Ok(shown)
}

fn read_token(token: &str) -> Result<(i64, String), Problem> {
    token
        .split_once('.')
        .and_then(|(made_at, id)| Some((made_at.parse().ok()?, id.to_owned())))
        .ok_or_else(|| Problem::bad_request("`after` must be the `next` of an earlier answer, unchanged"))
}

impl From<RuleError> for Problem {
    fn from(error: RuleError) -> Self {
        match error {
            RuleError::Invalid(invalid) => invalid_rule(&invalid),
            RuleError::Decisions(error) => error.into(),
            RuleError::Forbidden(detail) => Self::forbidden(detail),
            RuleError::NotNow(_) => Self::unavailable(error.to_string(), 5),
            RuleError::NotFound => Self::not_found(error.to_string()),
        }
    }
}

fn invalid_rule(invalid: &InvalidRule) -> Problem {
    let problems: Vec<Value> = invalid
        .problems
        .iter()
        .map(|problem| json!({"field": problem.field, "found": problem.found, "allowed": problem.allowed}))
        .collect();
    Problem::unprocessable(invalid.to_string()).with("errors", problems)
}
