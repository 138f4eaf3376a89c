//! `GET /v1/sql`, `POST /v1/sql` and `DELETE /v1/sql/{query_id}`.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::{delete, get};
use futures::{StreamExt, stream};
use riskgrid_analytics::permission::Role;
use riskgrid_analytics::sql::format::{AnswerFormat, encode};
use riskgrid_analytics::sql::{Asker, SqlError, SqlRequest};
use serde::Deserialize;
use serde_json::{Value, json};

use super::public::PublicView;
use crate::access::{Caller, Reads, without_keys};
use crate::app::App;
use crate::audit::Deed;
use crate::durations::QueryTime;
use crate::http::accept::best_format;
use crate::http::media_type;
use crate::problem::{Kind, Problem};
use crate::sql_tables;

/// Letters of a statement that the audit keeps.
const AUDITED: usize = 1_000;

/// A query as a client sends it.
#[allow(clippy::struct_field_names, reason = "the names are those of the JSON fields")]
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    sql: Option<String>,
    #[serde(default)]
    params: Vec<Value>,
    timeout_ms: Option<u64>,
    limit: Option<usize>,
    query_id: Option<String>,
}

/// The routes.
pub fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/sql", get(by_get).post(by_post))
        .route("/v1/sql/{query_id}", delete(cancel))
        .with_state(app)
}

async fn by_get(
    State(app): State<Arc<App>>,
    caller: Caller,
    reads: Reads,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let query = parse_parameters(&query.unwrap_or_default())?;
    run(&app, (caller, reads), query, &headers).await
}

/// Whether the parameters of a `GET` make a question. This is for fuzzing.
pub fn are_parameters(query: &str) -> bool {
    parse_parameters(query).is_ok()
}

/// Whether an `Accept` names something that answers can be written in. This is for fuzzing.
pub fn is_accepted(accept: HeaderValue) -> bool {
    accepted_format(&HeaderMap::from_iter([(header::ACCEPT, accept)])).is_ok()
}

fn parse_parameters(query: &str) -> Result<Query, Problem> {
    let mut request = Query::default();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let wrong =
            |allowed: &str| Problem::bad_request(format!("`{name}` is `{value}`; allowed: {allowed}"));
        match &*name {
            "sql" => request.sql = Some(value.into_owned()),
            "query_id" => request.query_id = Some(value.into_owned()),
            "timeout_ms" => {
                request.timeout_ms = Some(value.parse().map_err(|_| wrong("whole milliseconds"))?);
            }
            "limit" => request.limit = Some(value.parse().map_err(|_| wrong("a whole number of rows"))?),
            "params" => request.params = serde_json::from_str(&value).map_err(|_| wrong("a JSON array"))?,
            _ => {
                return Err(Problem::bad_request(format!(
                    "unknown parameter `{name}`; known are sql, params, timeout_ms, limit, query_id"
                )));
            }
        }
    }
    Ok(request)
}

async fn by_post(
    State(app): State<Arc<App>>,
    caller: Caller,
    reads: Reads,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let request = match media_type(&headers)?.as_deref().unwrap_or_default() {
        "application/json" => serde_json::from_slice(&body).map_err(|error| {
            Problem::bad_request(format!(
                "the body is not {{\"sql\", \"params\", \"timeout_ms\", \"limit\", \"query_id\"}}: {error}"
            ))
        })?,
        "application/sql" | "text/plain" => {
            let sql = std::str::from_utf8(&body).map_err(|error| Problem::bad_request(error.to_string()))?;
            Query {
                sql: Some(sql.to_owned()),
                ..Query::default()
            }
        }
        _ => {
            return Err(Problem::unsupported_media_type(
                "send application/json with {\"sql\": …}, or the statement itself as application/sql",
            ));
        }
    };
    run(&app, (caller, reads), request, &headers).await
}

async fn cancel(
    State(app): State<Arc<App>>,
    caller: Caller,
    reads: Reads,
    Path(query_id): Path<String>,
) -> Result<StatusCode, Problem> {
    if app.sql.cancel(&query_id, &asker(&caller, reads)) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found(
            "no such query runs: it has ended, or never was",
        ))
    }
}

async fn run(
    app: &Arc<App>,
    (caller, reads): (Caller, Reads),
    query: Query,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    for (member, text) in [("sql", &query.sql), ("query_id", &query.query_id)] {
        if text.as_deref().is_some_and(|text| without_keys(text) != text) {
            return Err(Problem::bad_request(format!(
                "`{member}` has a key in it, and what is asked is kept in `queries`; leave it out, and make another key in its place"
            )));
        }
    }
    let mut time = app.durations.query();
    let asked = query_deed(app, &caller, &query);
    if let Some(deed) = &asked {
        // Before the deed: what cannot be noted is not done.
        app.alerting
            .decisions
            .database()
            .audit(deed, (app.clock)().micros())
            .await?;
    }
    let answered = answer(app, asker(&caller, reads), query, headers).await;
    // An answer is not to be looked at by several threads, so it is not held as such while this waits.
    let has_failed = answered.is_err();
    if let Some(deed) = asked.filter(|_| has_failed) {
        let database = app.alerting.decisions.database();
        database.audit_failure(deed, (app.clock)().micros()).await;
    }
    match answered {
        Ok(response) => {
            time.begun();
            Ok(response.map(|body| timed(body, time)))
        }
        Err(problem) => {
            time.refused();
            Err(problem)
        }
    }
}

/// The row of the audit for a question, where these are in it.
fn query_deed(app: &App, caller: &Caller, query: &Query) -> Option<Deed> {
    if !app.audits_queries {
        return None;
    }
    let statement: String = query
        .sql
        .iter()
        .flat_map(|sql| sql.chars())
        .take(AUDITED)
        .collect();
    let deed = caller
        .deed("sql.query")
        .to(query.query_id.as_deref().unwrap_or_default());
    Some(deed.with(json!({ "sql": without_keys(&statement) })))
}

/// The same body, whose end is the end of the query.
fn timed(body: Body, mut time: QueryTime) -> Body {
    let pieces = body.into_data_stream().map(Some).chain(stream::once(ready(None)));
    Body::from_stream(pieces.filter_map(move |piece| {
        if piece.is_none() {
            time.answered();
        }
        ready(piece)
    }))
}

async fn answer(
    app: &Arc<App>,
    asker: Asker,
    query: Query,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let format = accepted_format(headers)?;
    let Some(sql) = query.sql.filter(|sql| !sql.trim().is_empty()) else {
        return Err(Problem::bad_request(
            "`sql` is missing, for example SELECT layer, sum(count) FROM cells GROUP BY layer",
        ));
    };
    let snapshot = app.reader.snapshot();
    let request = SqlRequest {
        sql,
        params: query.params,
        timeout: query.timeout_ms.map(Duration::from_millis),
        limit: query.limit,
        query_id: query.query_id,
        now: (app.clock)().to_utc(),
        asker,
    };
    let seen = Arc::clone(&request.asker.permission);
    let publication = app.publication.load_full();
    let tables = sql_tables::of(app, (&snapshot, &publication), &request.asker);
    let answer = app.sql.ask(request, tables).await.map_err(problem)?;
    let encoded = encode(answer, format).await.map_err(problem)?;
    let mut response = Response::new(Body::from_stream(encoded.body));
    let content_type = match format {
        AnswerFormat::Csv => "text/csv; charset=utf-8; header=present",
        other => other.media_type(),
    };
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Ok(id) = HeaderValue::from_str(&encoded.query_id) {
        response
            .headers_mut()
            .insert(HeaderName::from_static("riskgrid-query-id"), id);
    }
    if let Some(limit) = encoded.limit {
        let name = HeaderName::from_static("riskgrid-limit");
        response.headers_mut().insert(name, HeaderValue::from(limit));
    }
    if seen.role() == Role::Public {
        let view = PublicView {
            snapshot: &snapshot,
            seen: &seen,
            publication: &publication,
        };
        view.set_headers(&mut response, None);
    } else {
        app.set_data_headers(&mut response, &snapshot, snapshot.complete_to(), None);
    }
    Ok(response)
}

/// Who asks, as the engine knows them. Those who bring no credential take turns by their addresses.
fn asker(caller: &Caller, Reads(permission): Reads) -> Asker {
    let who = caller.identity.who.as_str();
    let turn = match caller.address {
        Some(address) if caller.identity.is_anonymous() => format!("{who} {address}"),
        _ => who.to_owned(),
    };
    Asker {
        who: who.into(),
        via: "http",
        turn: turn.into(),
        permission,
        offices: caller.identity.offices.clone().into(),
        limits: caller.identity.limits.of_queries(),
    }
}

/// The format of the answer that the client likes best; JSON when it says nothing.
fn accepted_format(headers: &HeaderMap) -> Result<AnswerFormat, Problem> {
    let accept: Vec<&str> = headers
        .get_all(header::ACCEPT)
        .iter()
        .map(|value| value.to_str().unwrap_or_default())
        .collect();
    if accept.iter().all(|value| value.trim().is_empty()) {
        return Ok(AnswerFormat::Json);
    }
    let known = AnswerFormat::ALL.map(AnswerFormat::media_type);
    best_format(accept, &known)
        .and_then(|place| AnswerFormat::ALL.get(place).copied())
        .ok_or_else(|| Problem::not_acceptable(format!("answers come as {}", known.join(", "))))
}

fn problem(error: SqlError) -> Problem {
    let text = error.to_string();
    match error {
        SqlError::BadRequest(_) => Problem::bad_request(text),
        SqlError::TimedOut { phase, .. } => Problem::out_of_time(text).with("phase", phase.as_str()),
        SqlError::ResourcesExhausted(_) => Problem::new(Kind::OutOfMemory, text),
        SqlError::TooExpensive { estimate, limit, .. } => Problem::new(Kind::TooExpensive, text)
            .with("estimate", estimate)
            .with("limit", limit),
        SqlError::AnswerTooLarge { limit } => Problem::new(Kind::AnswerTooLarge, text).with("limit", limit),
        SqlError::QueueFull { retry_after } => Problem::queue_full(text, retry_after as u32),
        SqlError::Cancelled => Problem::cancelled(text),
        SqlError::IdInUse(_) => Problem::conflict(text),
        SqlError::Forbidden(_) => Problem::forbidden(text),
        // The engine has logged its cause.
        SqlError::Internal { query_id, .. } => Problem::new(Kind::Internal, text).with("query_id", query_id),
    }
}
