//! `/v1/cases`: make, list and show cases, and what hangs on one.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use riskgrid_analytics::hotline::moves::{Duty, Move, State as CaseState};
use riskgrid_ingest::EventTime;
use serde::Deserialize;
use serde_json::{Value, json};

use super::asked::{json_of, versioned};
use crate::hotline::desk::{Actor, Desk, Officer, PostedCase, read_key, shown_clock};
use crate::hotline::store::{
    CaseFilter, CasePlace, CaseRow, case, children, clocks_of, list_cases, texts_of,
};
use crate::http::extract::Parameters;
use crate::http::forwarded::External;
use crate::http::{tagged, version_tag};
use crate::problem::Problem;

const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 1_000;

/// The routes.
pub(super) fn routes(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/v1/cases", get(list).post(create))
        .route("/v1/cases/{id}", get(show))
        .route("/v1/cases/{id}/clocks", get(clocks))
        .route("/v1/cases/{id}/why", get(why))
        .route("/v1/cases/{id}/duplicates", get(duplicates))
        .route("/v1/cases/{id}/texts", get(texts))
        .with_state(desk)
}

/// The case of an id, if the officer sees it.
///
/// # Errors
/// 404: there is none, or none that they see.
pub(super) async fn seen_case(desk: &Desk, officer: &Officer, id: &str) -> Result<CaseRow, Problem> {
    let mut reader = desk.reader().await?;
    let found = case(&mut reader, id).await?;
    found
        .filter(|case| officer.sees(case))
        .ok_or_else(|| Problem::not_found("there is no case of this id; GET /v1/cases lists them"))
}

async fn create(
    State(desk): State<Arc<Desk>>,
    officer: Officer,
    external: External,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let posted = PostedCase::read(&json_of(&headers, &body)?)?;
    let once = read_key(&headers, (&method, uri.path()), &body)?;
    let may = [Duty::Operator, Duty::Caller];
    officer.must_be(&may)?;
    let duty = may
        .into_iter()
        .find(|duty| officer.duties.contains(duty))
        .unwrap_or(Duty::Supervisor);
    let actor = Actor {
        who: officer.who().to_owned(),
        duty,
    };
    let new = desk.check_case(posted).and_then(|new| {
        if officer.sees_place(&new.layer, new.placed.position) {
            Ok(new)
        } else {
            Err(Problem::forbidden(
                "the case would be outside of your scope; GET /v1/whoami says what you have",
            ))
        }
    });
    let made = desk.post_case(&officer, new, once, &actor).await?;
    let location: [(HeaderName, String); 1] = [(
        header::LOCATION,
        format!("{}/v1/cases/{}", external.base, made.id),
    )];
    let answer = versioned(StatusCode::CREATED, made.version, made.body, made.is_replay);
    Ok((location, answer).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListParameters {
    state: Option<String>,
    office: Option<String>,
    layer: Option<String>,
    area: Option<String>,
    card: Option<String>,
    due_before: Option<String>,
    parent: Option<String>,
    limit: Option<u32>,
    after: Option<String>,
}

impl ListParameters {
    /// What is asked; none, where the officer can see nothing of it.
    fn filter(&self, officer: &Officer) -> Result<Option<CaseFilter>, Problem> {
        if let Some(state) = &self.state
            && CaseState::from_name(state).is_none()
        {
            let known: Vec<&str> = CaseState::ALL.into_iter().map(CaseState::as_str).collect();
            return Err(Problem::bad_request(format!(
                "`state` is none; allowed: {}",
                known.join(", ")
            )));
        }
        if let Some(card) = &self.card
            && !matches!(card.as_str(), "none" | "yellow" | "red")
        {
            return Err(Problem::bad_request("`card` is none, yellow or red"));
        }
        let due_before = self.due_before.as_deref().map(|text| {
            EventTime::parse_rfc3339(text)
                .map(EventTime::micros)
                .ok_or_else(|| Problem::bad_request("`due_before` is a time as 2026-03-09T10:00:00+08:00"))
        });
        let offices = match &self.office {
            Some(office) if officer.offices.is_empty() || officer.works_in(office) => vec![office.clone()],
            Some(_) => return Ok(None),
            None => officer.offices.clone(),
        };
        Ok(Some(CaseFilter {
            state: self.state.clone(),
            offices,
            layer: self.layer.clone(),
            area: self.area.clone(),
            card: self.card.clone(),
            due_before: due_before.transpose()?,
            parent: self.parent.clone(),
            ..CaseFilter::default()
        }))
    }
}

async fn list(
    State(desk): State<Arc<Desk>>,
    officer: Officer,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<Value>, Problem> {
    let limit = parameters.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::bad_request(format!(
            "`limit` is {limit}; allowed: 1 to {MAX_LIMIT}"
        )));
    }
    let mut after = parameters.after.as_deref().map(read_token).transpose()?;
    let Some(filter) = parameters.filter(&officer)? else {
        return Ok(Json(json!({"cases": [], "next": null})));
    };
    let mut reader = desk.reader().await?;
    let mut seen: Vec<CaseRow> = Vec::new();
    let more = loop {
        let page = list_cases(&mut reader, &filter, after.as_ref(), limit + 1).await?;
        let is_last = page.len() <= limit as usize;
        after = page.last().map(place_of);
        let is_in_area = |case: &CaseRow| {
            let area = filter.area.as_ref();
            // The store may take letters for each other.
            area.is_none_or(|area| case.area_ids().is_ok_and(|areas| areas.contains(area)))
        };
        seen.extend(
            page.into_iter()
                .filter(|case| officer.sees(case) && is_in_area(case)),
        );
        if is_last || seen.len() > limit as usize {
            break seen.len() > limit as usize;
        }
    };
    seen.truncate(limit as usize);
    let next = seen
        .last()
        .filter(|_| more)
        .map(|last| format!("{}.{}", last.opened_at, last.id));
    let mut shown = Vec::with_capacity(seen.len());
    for case in &seen {
        let clocks = clocks_of(&mut reader, &case.id).await?;
        shown.push(desk.listed(case, &clocks));
    }
    Ok(Json(json!({"cases": shown, "next": next})))
}

fn place_of(case: &CaseRow) -> CasePlace {
    CasePlace {
        opened_at: case.opened_at,
        id: case.id.clone(),
    }
}

fn read_token(token: &str) -> Result<CasePlace, Problem> {
    token
        .split_once('.')
        .and_then(|(opened_at, id)| {
            Some(CasePlace {
                opened_at: opened_at.parse().ok()?,
                id: id.to_owned(),
            })
        })
        .ok_or_else(|| Problem::bad_request("`after` must be the `next` of an earlier answer, unchanged"))
}

async fn show(
    State(desk): State<Arc<Desk>>,
    officer: Officer,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let case = seen_case(&desk, &officer, &id).await?;
    let mut reader = desk.reader().await?;
    let clocks = clocks_of(&mut reader, &id).await?;
    let mut shown = desk.listed(&case, &clocks);
    let legal: Vec<&str> = if case.is_mirrored() {
        Vec::new()
    } else {
        Move::legal(case.state()?).map(Move::as_str).collect()
    };
    shown["legal"] = json!(legal);
    let children = children(&mut reader, &id).await?;
    let children: Vec<&str> = children.iter().map(|child| child.id.as_str()).collect();
    shown["children"] = json!(children);
    // Cards turn and risk grows without a move, so the version alone does not tell whether a client has this.
    let mut answer = Json(shown).into_response();
    if let Ok(tag) = version_tag(case.version).parse() {
        answer.headers_mut().insert(header::ETAG, tag);
    }
    let _ = headers;
    Ok(answer)
}

async fn clocks(
    State(desk): State<Arc<Desk>>,
    officer: Officer,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    seen_case(&desk, &officer, &id).await?;
    let mut reader = desk.reader().await?;
    let mut clocks = clocks_of(&mut reader, &id).await?;
    clocks.sort_by(|one, other| {
        (other.start_at, other.generation, &one.name).cmp(&(one.start_at, one.generation, &other.name))
    });
    let data = desk.data();
    let shown: Vec<Value> = clocks
        .iter()
        .map(|clock| shown_clock(&desk, &data, clock))
        .collect();
    Ok(Json(json!({ "clocks": shown })))
}

async fn why(
    State(desk): State<Arc<Desk>>,
    officer: Officer,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let case = seen_case(&desk, &officer, &id).await?;
    let why: Value = serde_json::from_str(&case.why).unwrap_or_default();
    Ok(tagged(&headers, &version_tag(case.version), Json(why)))
}

async fn duplicates(
    State(desk): State<Arc<Desk>>,
    officer: Officer,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let case = seen_case(&desk, &officer, &id).await?;
    let duplicates = desk.duplicates_of(&case, |other| officer.sees(other)).await?;
    Ok(Json(json!({ "duplicates": duplicates })))
}

/// What people said is read by whoever works on the case, and each reading is written down before.
async fn texts(
    State(desk): State<Arc<Desk>>,
    officer: Officer,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    seen_case(&desk, &officer, &id).await?;
    let deed = officer.caller.deed("cases.texts").to(&id);
    desk.database.audit(&deed, (desk.clock)()).await?;
    let mut reader = desk.reader().await?;
    let texts = texts_of(&mut reader, &id).await?;
    let shown: Vec<Value> = texts
        .iter()
        .map(|text| json!({"id": text.id, "kind": text.kind, "text": text.body, "digest": text.digest}))
        .collect();
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    Ok((no_store, Json(json!({ "texts": shown }))).into_response())
}
