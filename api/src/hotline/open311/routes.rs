//! The paths below `/open311`.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;
use axum::routing::get;
use serde_json::Value;

use super::asked::{Asker, Pairs, Shared, Wrong, jurisdiction, officer_of, only};
use super::format::Format;
use super::{discovery, requests, services, updates};
use crate::access::{Access, AskedWithout, Caller};
use crate::hotline::desk::{Desk, Officer, read_key};
use crate::http::forwarded::External;

/// The routes.
pub fn routes(desk: Arc<Desk>, access: Arc<Access>) -> Router {
    Router::new()
        .route("/open311/{file}", get(discover))
        .route("/open311/v2/{*path}", get(read).post(write))
        .with_state(Shared { desk, access })
}

async fn discover(Path(file): Path<String>, external: External) -> Response {
    match Format::of(&file) {
        Some(("discovery", format)) => {
            format.answer(StatusCode::OK, "discovery", &discovery::document(&external.base))
        }
        Some((_, format)) => Wrong::not_found("there is discovery.xml and discovery.json").answer(format),
        None => no_such_format(),
    }
}

fn no_such_format() -> Response {
    Wrong::not_found("answers are .xml or .json").answer(Format::Xml)
}

/// What the root of an answer is called in XML, the answer, and the page that follows.
type Read = (&'static str, Value, Option<usize>);

async fn read(
    State(shared): State<Shared>,
    officer: AskedBy,
    external: External,
    Path(path): Path<String>,
    uri: Uri,
) -> Response {
    let Some((path, format)) = Format::of(&path) else {
        return no_such_format();
    };
    let pairs = pairs_of(uri.query().unwrap_or_default().as_bytes());
    match read_path(&shared.desk, officer, path, &pairs).await {
        Ok((root, value, next)) => {
            let mut answer = format.answer(StatusCode::OK, root, &value);
            if let Some(next) = next
                && let Some(link) = link_to(&external.base, &uri, &pairs, next)
            {
                answer.headers_mut().insert(header::LINK, link);
            }
            answer
        }
        Err(wrong) => wrong.answer(format),
    }
}

async fn read_path(desk: &Desk, officer: AskedBy, path: &str, pairs: &Pairs) -> Result<Read, Wrong> {
    jurisdiction(desk, pairs)?;
    let asker = Asker::of(officer.officer()?, desk.settings.is_open311_public)?;
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["services"] => Ok(("services", services::list(desk, &asker), None)),
        ["services", code] => {
            let definition = services::definition(desk, &asker, code)?;
            Ok(("service_definition", definition, None))
        }
        ["requests"] => {
            let (list, next) = requests::list(desk, &asker, pairs).await?;
            Ok(("service_requests", list, next))
        }
        ["requests", id] => {
            let one = requests::show(desk, &asker, id, pairs).await?;
            Ok(("service_requests", one, None))
        }
        ["servicerequestupdates"] => {
            let list = updates::list(desk, &asker, pairs).await?;
            Ok(("service_requests_updates", list, None))
        }
        ["tokens", _] => Err(Wrong::not_found(
            "requests have their service_request_id at once; there are no tokens",
        )),
        _ => Err(Wrong::not_found(
            "there are services, requests and servicerequestupdates",
        )),
    }
}

/// The same request, of another page.
fn link_to(base: &str, uri: &Uri, pairs: &Pairs, page: usize) -> Option<HeaderValue> {
    let others = pairs.iter().filter(|(name, _)| name != "page");
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(others)
        .append_pair("page", &page.to_string())
        .finish();
    HeaderValue::from_str(&format!("<{base}{}?{query}>; rel=\"next\"", uri.path())).ok()
}

#[allow(clippy::too_many_arguments, reason = "what a request is made of")]
async fn write(
    State(shared): State<Shared>,
    officer: AskedBy,
    Path(path): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some((path, format)) = Format::of(&path) else {
        return no_such_format();
    };
    let made = write_path(&shared, officer, path, (&method, &uri, &headers), &body).await;
    match made {
        Ok((root, value)) => format.answer(StatusCode::CREATED, root, &value),
        Err(wrong) => wrong.answer(format),
    }
}

async fn write_path(
    shared: &Shared,
    asked_by: AskedBy,
    path: &str,
    (method, uri, headers): (&Method, &Uri, &HeaderMap),
    body: &Bytes,
) -> Result<(&'static str, Value), Wrong> {
    let desk = &shared.desk;
    if !matches!(path, "requests" | "servicerequestupdates") {
        return Err(Wrong::not_found(
            "requests and servicerequestupdates are posted to",
        ));
    }
    let media_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    if !media_type.is_some_and(|text| text.starts_with("application/x-www-form-urlencoded")) {
        return Err(Wrong::bad("send a form: application/x-www-form-urlencoded"));
    }
    let form = pairs_of(body);
    let address = asked_by.address;
    let officer = match only(&form, "api_key")? {
        Some(key) if !asked_by.is_of_open_mode() => {
            let caller = shared.access.caller_of_key(key, address).await;
            Some(officer_of(
                caller.map_err(|problem| Wrong::forbidden(problem.detail()))?,
            ))
        }
        _ => asked_by.officer()?,
    };
    let officer = officer.ok_or_else(|| {
        Wrong::forbidden("api_key is missing; send it in the form, or as Authorization: Bearer KEY")
    })?;
    let mut named: Pairs = form.clone();
    if only(&named, "jurisdiction_id")?.is_none() {
        named.extend(pairs_of(uri.query().unwrap_or_default().as_bytes()));
    }
    let jurisdiction = jurisdiction(desk, &named)?;
    if path == "servicerequestupdates" {
        let update = updates::create(desk, &officer, &form).await?;
        return Ok(("service_requests_updates", update));
    }
    let once = read_key(headers, (method, uri.path()), body)?;
    let made = requests::create(desk, &officer, (&jurisdiction, &form), once).await?;
    Ok(("service_requests", made))
}

fn pairs_of(bytes: &[u8]) -> Pairs {
    url::form_urlencoded::parse(bytes)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}

/// Who asks, as far as a request says so by its headers.
struct AskedBy {
    officer: Option<Officer>,
    wrong: Option<AskedWithout>,
    address: Option<std::net::IpAddr>,
}

impl AskedBy {
    fn officer(self) -> Result<Option<Officer>, Wrong> {
        match (self.officer, self.wrong) {
            (Some(officer), _) => Ok(Some(officer)),
            (None, Some(AskedWithout::GoodCredential(why))) => Err(Wrong::forbidden(why)),
            (None, _) => Ok(None),
        }
    }

    fn is_of_open_mode(&self) -> bool {
        self.officer
            .as_ref()
            .is_some_and(|officer| officer.caller.identity.is_of_open_mode)
    }
}

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for AskedBy {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, state: &S) -> Result<Self, Response> {
        let address = parts
            .extensions
            .get::<External>()
            .and_then(|external| external.client);
        let wrong = parts.extensions.get::<AskedWithout>().cloned();
        let officer = if parts.extensions.get::<Caller>().is_some() {
            let officer = Officer::from_request_parts(parts, state).await;
            Some(officer.map_err(|problem| Wrong::from(problem).answer(Format::Xml))?)
        } else {
            None
        };
        Ok(Self {
            officer,
            wrong,
            address,
        })
    }
}
