//! `/r/{token}`: who reported says whether it is solved, on a page without a script; and making such a link.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use riskgrid_analytics::hotline::moves::Duty;
use serde_json::{Map, Value, json};

use super::cases::seen_case;
use crate::hotline::desk::{Desk, Officer};
use crate::http::forwarded::External;
use crate::problem::Problem;

/// The routes.
pub(super) fn routes(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/r/{token}", get(ask).post(answer))
        .route("/v1/cases/{id}/rating-link", post(make))
        .with_state(desk)
}

async fn make(
    State(desk): State<Arc<Desk>>,
    officer: Officer,
    external: External,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    seen_case(&desk, &officer, &id).await?;
    officer.must_be(&[Duty::Operator])?;
    let deed = officer.caller.deed("cases.rating_link").to(&id);
    desk.database.audit(&deed, (desk.clock)()).await?;
    let token = desk.rating_link(&id).await?;
    let body = json!({"rating_link": format!("{}/r/{token}", external.base)});
    Ok(not_kept((StatusCode::CREATED, Json(body)).into_response()))
}

fn not_kept(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Without a referrer the form's answer would come from no origin, and be refused as a stranger's.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    answer
}

fn wants_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|text| text.contains("application/json"))
}

async fn ask(State(desk): State<Arc<Desk>>, Path(token): Path<String>, headers: HeaderMap) -> Response {
    not_kept(match desk.asked_by_link(&token).await {
        Ok(asked) if wants_json(&headers) => Json(asked).into_response(),
        Ok(asked) => Html(page(&asked)).into_response(),
        Err(problem) => problem.into_response(),
    })
}

async fn answer(
    State(desk): State<Arc<Desk>>,
    external: External,
    Path(token): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let address = external.client;
    not_kept(match take(&desk, address, &token, &headers, &body).await {
        Ok(()) if wants_json(&headers) => Json(json!({"rated": true})).into_response(),
        Ok(()) => Html(thanks()).into_response(),
        Err(problem) => problem.into_response(),
    })
}

async fn take(
    desk: &Desk,
    address: Option<IpAddr>,
    token: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<(), Problem> {
    let who = address.map_or_else(|| "nobody".to_owned(), |address| address.to_string());
    desk.ratings.ask(&who).map_err(|seconds| {
        Problem::too_many_requests(
            "10 answers a minute come from one address at most; ask again later",
            seconds,
        )
    })?;
    let media_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let is_form = media_type.is_some_and(|text| text.starts_with("application/x-www-form-urlencoded"));
    let said = if is_form {
        of_form(body)?
    } else {
        super::asked::json_of(headers, body)?
    };
    desk.rate_by_link(token, &said).await
}

/// The same members as of JSON.
fn of_form(body: &Bytes) -> Result<Value, Problem> {
    let mut said = Map::new();
    for (name, value) in url::form_urlencoded::parse(body) {
        let value = match name.as_ref() {
            "rating" => json!(
                value
                    .parse::<i64>()
                    .map_err(|_| { Problem::unprocessable("`rating` is a whole number from 1 to 5") })?
            ),
            _ => json!(value),
        };
        if said.insert(name.into_owned(), value).is_some() {
            return Err(Problem::bad_request("a member of the form is there twice"));
        }
    }
    Ok(Value::Object(said))
}

fn page(asked: &Value) -> String {
    let shown = |name: &str| escaped(asked[name].as_str().unwrap_or("-"));
    let mut page = String::new();
    // Writing to a text cannot fail.
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{number}</title></head><body><h1>Was it solved?</h1><dl><dt>Number</dt>\
         <dd>{number}</dd><dt>About</dt><dd>{layer}</dd><dt>Reported</dt><dd>{opened}</dd><dt>Closed</dt><dd>{closed}</dd>\
         <dt>Result</dt><dd>{result}</dd></dl><form method=\"post\"><fieldset><legend>Solved</legend>",
        number = shown("number"),
        layer = shown("layer"),
        opened = shown("opened_at"),
        closed = shown("closed_at"),
        result = shown("result"),
    );
    for word in ["yes", "partly", "no"] {
        let _ = write!(
            page,
            "<label><input type=\"radio\" name=\"resolved\" value=\"{word}\" required> {word}</label> "
        );
    }
    page.push_str("</fieldset><fieldset><legend>How content are you? 5 is best</legend>");
    for number in 1..=5 {
        let _ = write!(
            page,
            "<label><input type=\"radio\" name=\"rating\" value=\"{number}\" required> {number}</label> "
        );
    }
    page.push_str("</fieldset><p><button>Send</button></p></form></body></html>");
    page
}

fn thanks() -> String {
    "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Thank you</title></head><body><h1>Thank you\
     </h1><p>Your answer was kept. This link is used now.</p></body></html>"
        .to_owned()
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, letter| {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
        escaped
    })
}
